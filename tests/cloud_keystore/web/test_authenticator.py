"""The calls of a browser that is a device: who it is, and what it may do."""

from __future__ import annotations

import json
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from structlog.testing import capture_logs

from card_os.piv.names import KeyRef
from cloud_keystore.approval import statement
from cloud_keystore.model.errors import IdentityRejected
from cloud_keystore.model.limits import Limits, with_limits
from cloud_keystore.model.operations import Decision, State
from cloud_keystore.model.people import Role, User
from cloud_keystore.web.proofs import decoded, encoded
from support.keystore_world import SESSIONS, Enrolled, World, csr, secret_of, sign
from support.rest import Answer
from support.site import ORIGIN, BrowserDevice, ask, site

CARDS = "/authenticator/v1/cards"


@pytest.fixture
def device(world: World, ada: tuple[User, Enrolled]) -> BrowserDevice:
    return BrowserDevice.of(site(world), ada[1])


def enrolment(token: str, request: bytes) -> bytes:
    said = {"token_secret": encoded(secret_of(token)), "csr": encoded(request)}
    return json.dumps(said).encode()


def post(world: World, body: bytes) -> Answer:
    fields = {"content-type": "application/json"}
    return ask(site(world), "POST", "/authenticator/v1/enrolments", fields, body)


def test_a_browser_becomes_a_device_of_the_same_kind(world: World) -> None:
    user, token = world.people.add_user("Ada Byron", "", actor=world.actor)
    request = csr(ec.generate_private_key(ec.SECP256R1()))
    told = post(world, enrolment(token.text, request))
    assert told.status == 201
    certificate = decoded(str(told.json["certificate"]))
    found = world.callers.identify(sha256(certificate).digest(), Role.DEVICE)
    assert (found.id, found.user_id) == (told.json["id"], user.id)
    # Whose answer was lost gets it again, with the same key alone.
    again = post(world, enrolment(token.text, request))
    assert again.json["certificate"] == told.json["certificate"]
    other = post(world, enrolment(token.text, csr(ec.generate_private_key(ec.SECP256R1()))))
    assert (other.status, other.kind) == (403, "token-rejected")


def test_a_token_of_another_role_makes_no_device(world: World) -> None:
    _, token = world.people.add_workstation("PC", "", actor=world.actor)
    told = post(world, enrolment(token.text, csr(ec.generate_private_key(ec.SECP256R1()))))
    assert (told.status, told.kind) == (422, "invalid-input")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"token_secret": 1}', b'{"csr": "!"}'])
def test_malformed_enrolments_are_told_what_is_wrong(world: World, body: bytes) -> None:
    told = post(world, body)
    assert told.status in (400, 422)
    assert told.json["detail"]


def test_the_key_of_the_device_opens_its_calls(device: BrowserDevice) -> None:
    told = device.send("GET", CARDS)
    assert (told.status, told.json) == (
        200,
        {"cards": [], "passcode_rule": "6 to 8 digits"},
    )


def test_open_sessions_are_listed_and_ended(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, device: BrowserDevice
) -> None:
    world.set_policy(SESSIONS)
    session = world.session(world.card(ada[0]), pc, ada[1])
    [told] = device.send("GET", "/authenticator/v1/sessions").json["sessions"]  # type: ignore[misc]
    assert (told["id"], told["uses_left"]) == (session.id, session.uses_left)
    assert (told["workstation"], told["site"]) == ("WARD7-PC3", "Ward 7")
    stranger = BrowserDevice.of(site(world), world.user("Eve Ek")[1])
    path = f"/authenticator/v1/sessions/{session.id}/end"
    assert stranger.send("GET", "/authenticator/v1/sessions").json == {"sessions": []}
    assert stranger.send("POST", path).status == 404
    assert device.send("POST", path).json == {"is_ended": True}
    assert device.send("GET", "/authenticator/v1/sessions").json == {"sessions": []}


def test_the_holder_agrees_to_an_unlock_of_their_own_card(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, device: BrowserDevice
) -> None:
    """AUTH-12: an operator has asked, and nobody else's phone agrees."""
    serial = world.card(ada[0])
    path = f"/authenticator/v1/cards/{serial}/unlock-agreement"
    assert device.send("POST", path).status == 409
    while world.find(serial).tries_left:
        world.passcodes.verify(serial, KeyRef.PIN, b"999000", pc.identity)
    world.unlocking.ask(serial, actor=world.actor)
    stranger = BrowserDevice.of(site(world), world.user("Eve Ek")[1])
    assert stranger.send("POST", path).status == 404
    assert world.find(serial).tries_left == 0
    assert device.send("POST", path).json["passcode_state"] == "ok"
    assert world.find(serial).tries_left


def test_without_a_proof_nothing_is_told(world: World) -> None:
    for path in (CARDS, "/authenticator/v1/requests", "/authenticator/v1/nothing"):
        told = ask(site(world), "GET", path)
        assert (told.status, told.kind) == (401, "proof-rejected")
        assert told.fields["www-authenticate"].startswith("DPoP ")


def test_a_proof_is_good_once(device: BrowserDevice) -> None:
    proof = device.proof("GET", ORIGIN + CARDS, b"")
    assert device.send("GET", CARDS, proof=proof).status == 200
    told = device.send("GET", CARDS, proof=proof)
    assert (told.status, told.kind) == (401, "proof-rejected")


def test_a_proof_for_another_call_body_or_address_opens_nothing(device: BrowserDevice) -> None:
    body = json.dumps({"passcode": "135790"}).encode()
    for proof in (
        device.proof("POST", ORIGIN + CARDS, b""),
        device.proof("GET", ORIGIN + CARDS + "?all", b""),
        device.proof("GET", "https://evil.example" + CARDS, b""),
        device.proof("GET", "http://localhost:8080" + CARDS, b""),
        device.proof("GET", ORIGIN + CARDS, body),
    ):
        assert device.send("GET", CARDS, proof=proof).kind == "proof-rejected"


def test_another_key_is_not_the_device(device: BrowserDevice) -> None:
    device.private = ec.generate_private_key(ec.SECP256R1())
    assert device.send("GET", CARDS).kind == "proof-rejected"


def test_identities_of_other_roles_are_no_devices(world: World) -> None:
    workstation = world.workstation()
    told = BrowserDevice.of(site(world), workstation).send("GET", CARDS)
    assert (told.status, told.kind) == (401, "identity-rejected")


def test_a_removed_device_is_refused_at_once(
    world: World, ada: tuple[User, Enrolled], device: BrowserDevice
) -> None:
    world.devices.remove(ada[1].identity.id, "lost", world.operator().identity)
    told = device.send("GET", CARDS)
    assert (told.status, told.kind) == (401, "identity-rejected")
    with pytest.raises(IdentityRejected):
        world.deciding.waiting(ada[1].identity)


def test_it_decides_by_the_signature_over_the_very_bytes(
    world: World, ada: tuple[User, Enrolled], device: BrowserDevice
) -> None:
    user, phone = ada
    serial = world.card(user)
    workstation = world.workstation()
    first = world.ask(serial, workstation)
    other = (first.payload or b"").replace(b"WARD7-PC3", b"WARD7-PC4")
    path = f"/authenticator/v1/requests/{first.id}/decision"

    def decided(payload: bytes, number: str) -> Answer:
        signature = sign(phone.private, statement.statement(payload, Decision.APPROVE, number))
        said = {
            "decision": int(Decision.APPROVE),
            "number": number,
            "signature": encoded(signature),
            "is_sign_in": False,
        }
        return device.send("POST", path, said)

    # A signature over other bytes approves nothing.
    told = decided(other, first.number)
    assert (told.status, told.kind) == (403, "approval-rejected")
    assert world.state(first) is State.PENDING
    told = decided(first.payload or b"", first.number)
    assert told.json == {"state": "approved"}
    assert world.perform(first, workstation)


def test_passcodes_are_chosen_changed_and_never_logged(
    world: World, ada: tuple[User, Enrolled], device: BrowserDevice
) -> None:
    serial = world.issuing.issue(b"\x01" * 16, ada[0].id, "p256", actor=world.actor).card.serial
    path = f"{CARDS}/{serial}"
    with capture_logs() as logs:
        told = device.send("POST", f"{path}/first-passcode", {"passcode": "135790"})
        assert len(str(told.json["puk"])) == 8
        wrong = {"old_passcode": "111111", "new_passcode": "246802"}
        assert device.send("POST", f"{path}/passcode", wrong).json["tries_left"] is not None
        right = {"old_passcode": "135790", "new_passcode": "246802"}
        assert device.send("POST", f"{path}/passcode", right).json["is_set"] is True
        by_puk = {"secret": str(told.json["puk"]), "new_passcode": "864201"}
        assert device.send("POST", f"{path}/reset", by_puk).json["is_set"] is True
        no_code = device.send("POST", f"{path}/unlock", {**by_puk, "secret": "0123456789"})
        assert (no_code.status, no_code.kind) == (409, "illegal-card-change")
        short = {"old_passcode": "864201", "new_passcode": "1"}
        assert device.send("POST", f"{path}/passcode", short).json["rule"]
        device.send("POST", f"{path}/passcode", {"old_passcode": ["246802"]})
    for secret in ("135790", "246802", "864201", "111111", str(told.json["puk"])):
        assert secret not in str(logs)


def test_the_puk_that_an_unlock_code_gives_is_told_once(
    world: World, ada: tuple[User, Enrolled], device: BrowserDevice
) -> None:
    serial = world.card(ada[0])
    world.clock.forward(days=8)  # a code counts on no phone that is new
    code = world.unlock_codes.make(serial, actor=world.actor).code
    said = {"secret": code, "new_passcode": "864201"}
    told = device.send("POST", f"{CARDS}/{serial}/unlock", said)
    assert told.json["is_set"] is True
    by_puk = {"secret": told.json["puk"], "new_passcode": "246802"}
    assert device.send("POST", f"{CARDS}/{serial}/reset", by_puk).json["is_set"] is True


def test_passcodes_are_counted_before_they_are_compared(
    world: World, ada: tuple[User, Enrolled]
) -> None:
    device = BrowserDevice.of(site(world, with_limits(Limits(), ["passcode=1/1"])), ada[1])
    said = {"old_passcode": "111111", "new_passcode": "246802"}
    kinds = [device.send("POST", f"{CARDS}/1/passcode", said).kind for _ in range(2)]
    assert kinds == ["card-not-found", "too-many-calls"]

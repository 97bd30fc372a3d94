"""The calls of a browser that approves by a passkey, and what somebody without it may try."""

from __future__ import annotations

import json
from typing import cast
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from card_os.piv.names import KeyRef
from cloud_keystore.approval import statement
from cloud_keystore.model.approval_keys import Passkey
from cloud_keystore.model.limits import Limits, with_limits
from cloud_keystore.model.operations import Assertion, Decision, Operation, State
from cloud_keystore.model.people import User
from cloud_keystore.storage import approval_keys
from cloud_keystore.web.proofs import encoded
from cloudcard_tools.authenticator.passkey import SoftwarePasskey
from support.keystore_world import (
    OPERATOR,
    RELYING_PARTY,
    Enrolled,
    World,
    csr,
    new_passkey,
    secret_of,
    sign,
)
from support.rest import Answer
from support.site import BrowserDevice, ask, site

ENROLMENTS, PASSKEYS = "/authenticator/v1/enrolments", "/authenticator/v1/passkeys"
JSON = {"content-type": "application/json"}


def post(world: World, path: str, said: object) -> Answer:
    return ask(site(world), "POST", path, JSON, json.dumps(said).encode())


def enrolling(token: str, made_for: str, passkey: SoftwarePasskey) -> dict[str, object]:
    """A browser's request, with a passkey that was made for a token."""
    request = csr(ec.generate_private_key(ec.SECP256R1()))
    signed = statement.enrolment(secret_of(made_for), request)
    created = passkey.create(statement.challenge(signed))
    made = {
        "attestation_object": encoded(created.attestation_object),
        "client_data": encoded(created.client_data),
        "transports": ["internal"],
    }
    return {
        "token_secret": encoded(secret_of(token)),
        "csr": encoded(request),
        "passkey": made,
    }


@pytest.fixture
def phone(world: World, ada: tuple[User, Enrolled]) -> Enrolled:
    return world.enrol_passkey(world.people.invite_device(ada[0].id, actor=OPERATOR).text)


@pytest.fixture
def operation(world: World, ada: tuple[User, Enrolled], pc: Enrolled) -> Operation:
    return world.ask(world.card(ada[0]), pc)


def test_a_browser_enrols_with_a_passkey_that_was_made_for_its_token(world: World) -> None:
    user, token = world.people.add_user("Ada Byron", "", actor=world.actor)
    terms = post(world, PASSKEYS, {"token_secret": encoded(secret_of(token.text))})
    assert terms.json == {
        "rp_id": RELYING_PARTY.id,
        "origin": RELYING_PARTY.origin,
        "user_handle": encoded(UUID(user.id).bytes),
        "user_name": "Ada Byron",
    }
    told = post(world, ENROLMENTS, enrolling(token.text, token.text, new_passkey()))
    assert told.status == 201
    with world.database.read() as connection:
        assert isinstance(approval_keys.find(connection, world.phone_of(user)), Passkey)


def test_a_passkey_of_another_token_or_device_is_refused(world: World, phone: Enrolled) -> None:
    (_, first), (_, other) = (
        world.people.add_user(name, "", actor=world.actor) for name in ("Bea", "Cy")
    )
    assert phone.passkey is not None
    for said in (
        enrolling(first.text, other.text, new_passkey()),
        enrolling(first.text, first.text, phone.passkey),
        {**enrolling(first.text, first.text, new_passkey()), "csr": encoded(csr(phone.private))},
    ):
        assert post(world, ENROLMENTS, said).status == 422
    assert post(world, ENROLMENTS, enrolling(first.text, first.text, new_passkey())).status == 201


@pytest.mark.parametrize("length", [0, 16 * 1024 + 1, 40_000])
def test_passkeys_of_any_size_are_refused(world: World, length: int) -> None:
    _, token = world.people.add_user("Ada Byron", "", actor=world.actor)
    said = enrolling(token.text, token.text, new_passkey())
    said["passkey"] = {"attestation_object": encoded(bytes(length)), "client_data": ""}
    assert post(world, ENROLMENTS, said).status == 422


def test_nothing_is_told_of_whom_a_wrong_token_is_for(world: World) -> None:
    told = post(world, PASSKEYS, {"token_secret": encoded(bytes(16))})
    assert (told.status, told.kind) == (403, "token-rejected")
    limits = with_limits(Limits(), ["enrolment=1/1"])
    pages = site(world, limits)
    body = json.dumps({"token_secret": encoded(bytes(16))}).encode()
    kinds = [ask(pages, "POST", PASSKEYS, JSON, body).kind for _ in range(2)]
    assert kinds == ["token-rejected", "too-many-calls"]


def decision(phone: Enrolled, operation: Operation, by: Enrolled) -> dict[str, object]:
    signed = statement.statement(operation.payload or b"", Decision.APPROVE, operation.number)
    signature, assertion = by.evidence(signed)
    said: dict[str, object] = {
        "decision": int(Decision.APPROVE),
        "number": operation.number,
        "signature": encoded(signature),
        "is_sign_in": False,
    }
    if assertion is not None:
        said["assertion"] = evidence(assertion)
    else:
        said["signature"] = encoded(sign(phone.private, signed))
    return said


def test_the_browsers_own_key_approves_nothing_in_place_of_the_passkey(
    world: World, ada: tuple[User, Enrolled], phone: Enrolled, operation: Operation, pc: Enrolled
) -> None:
    """Whoever has the unlocked page, or its key, and no finger."""
    device = BrowserDevice.of(site(world), phone_with_certificate(world, phone))
    path = f"/authenticator/v1/requests/{operation.id}/decision"
    others = world.enrol_passkey(world.people.invite_device(ada[0].id, actor=OPERATOR).text)
    for by in (Enrolled(phone.identity, phone.private), others):
        told = device.send("POST", path, decision(phone, operation, by))
        assert (told.status, told.kind) == (403, "approval-rejected")
        assert world.state(operation) is State.PENDING
    told = device.send("POST", path, decision(phone, operation, phone))
    assert told.json == {"state": "approved"}
    assert world.perform(operation, pc)


def test_the_browsers_own_key_agrees_to_no_unlock_in_place_of_the_passkey(
    world: World, ada: tuple[User, Enrolled], phone: Enrolled, pc: Enrolled
) -> None:
    """AUTH-12: whoever has the unlocked page, or its key, and no finger."""
    serial = world.card(ada[0])
    device = BrowserDevice.of(site(world), phone_with_certificate(world, phone))
    path = f"/authenticator/v1/cards/{serial}/unlock-agreement"
    while world.find(serial).tries_left:
        world.passcodes.verify(serial, KeyRef.PIN, b"999000", pc.identity)
    assert unlock_id(device) == ""
    world.unlocking.ask(serial, actor=world.actor)
    signed = statement.unlock(unlock_id(device))
    others = world.enrol_passkey(world.people.invite_device(ada[0].id, actor=OPERATOR).text)
    for said in (None, answered(others, signed), answered(phone, statement.unlock("another"))):
        told = device.send("POST", path, said)
        assert (told.status, told.kind) == (403, "approval-rejected")
    right = answered(phone, signed)
    for said in ({}, {**right, "assertion": None}, {**right, "more": 1}, [right], "yes"):
        assert device.send("POST", path, said).status == 422
    assert world.find(serial).tries_left == 0
    assert device.send("POST", path, right).json["passcode_state"] == "ok"


def unlock_id(device: BrowserDevice) -> str:
    (card,) = cast(
        "list[dict[str, str]]", device.send("GET", "/authenticator/v1/cards").json["cards"]
    )
    return card["unlock_id"]


def answered(phone: Enrolled, signed: bytes) -> dict[str, object]:
    """What a page sends of its passkey's answer."""
    signature, assertion = phone.evidence(signed)
    assert assertion is not None
    return {
        "signature": encoded(signature),
        "assertion": evidence(assertion),
    }


def evidence(assertion: Assertion) -> dict[str, str]:
    """An assertion as a page sends it."""
    return {
        "authenticator_data": encoded(assertion.authenticator_data),
        "client_data": encoded(assertion.client_data),
        "credential_id": encoded(assertion.credential_id),
    }


def phone_with_certificate(world: World, phone: Enrolled) -> Enrolled:
    """The same phone, renewed, so that its certificate is known here."""
    return world.rekeyed(world.renewed(phone))

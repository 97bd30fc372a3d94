"""Approvals by passkeys, and what an attacker may try with one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_keystore.approval import passkeys, statement
from cloud_keystore.approval.passkeys import Registration, Usage
from cloud_keystore.model.approval_keys import ApprovalKey, NativeKey, Passkey
from cloud_keystore.model.errors import ApprovalRejected, InvalidInput, OperationClosed
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.operations import Approval, Assertion, Decision, Operation, State
from cloud_keystore.model.people import User
from cloud_keystore.model.policies import Policy
from cloud_keystore.storage import approval_keys, operations, tables
from cloud_keystore.storage.authentic import rows
from cloudcard_tools.authenticator.approving import sign
from cloudcard_tools.authenticator.passkey import (
    BACKED_UP,
    BACKUP_ELIGIBLE,
    USER_PRESENT,
    USER_VERIFIED,
    SoftwarePasskey,
)
from support.keystore_world import OPERATOR, RELYING_PARTY, Enrolled, World, new_passkey, spki

DIGEST = b"\x11" * 32
CHALLENGE = b"\x22" * 32
PRESENT_ONLY = USER_PRESENT
EXTENDED = 0x80  # extension data follows (WebAuthn level 3, 6.1)
SYNCED = USER_PRESENT | USER_VERIFIED | BACKUP_ELIGIBLE | BACKED_UP


@pytest.fixture
def phone(world: World, ada: tuple[User, Enrolled]) -> Enrolled:
    """Ada's second phone, which has a passkey."""
    return world.enrol_passkey(world.people.invite_device(ada[0].id, actor=OPERATOR).text)


@pytest.fixture
def operation(world: World, ada: tuple[User, Enrolled], pc: Enrolled) -> Operation:
    return world.ask(world.card(ada[0]), pc)


def refused(world: World, operation: Operation, device: Enrolled, match: str) -> None:
    """It decides nothing."""
    with pytest.raises(ApprovalRejected, match=match):
        world.decide(operation, device)
    assert world.state(operation) is State.PENDING


def kept_key(world: World, device: Enrolled) -> Passkey:
    with world.database.read() as connection:
        found = approval_keys.find(connection, device.identity)
    assert isinstance(found, Passkey)
    return found


def test_a_passkey_approves_and_the_evidence_is_checked_again_at_use(
    world: World, operation: Operation, phone: Enrolled, pc: Enrolled
) -> None:
    assert world.decide(operation, phone) is State.APPROVED
    assert kept_key(world, phone).sign_count == 1
    with world.database.write() as connection:  # as somebody with the database might
        found = operations.find(connection, operation.id)
        assert found is not None
        assert found.approval is not None
        assert found.approval.assertion is not None
        rows.change(connection, tables.operation, [], {"client_data": b"{}"})
    with pytest.raises(ApprovalRejected):
        world.activation.perform(operation.id, [DIGEST], pc.identity)


def test_one_signature_by_a_passkey(
    world: World, operation: Operation, phone: Enrolled, pc: Enrolled
) -> None:
    world.decide(operation, phone)
    assert world.activation.perform(operation.id, [DIGEST], pc.identity)
    assert world.state(operation) is State.SUCCEEDED


@pytest.mark.parametrize("kind", ["p256", "ed25519"])
def test_one_signature_by_a_native_key_of_its_own(
    world: World, ada: tuple[User, Enrolled], operation: Operation, pc: Enrolled, kind: str
) -> None:
    made = (
        ec.generate_private_key(ec.SECP256R1())
        if kind == "p256"
        else ed25519.Ed25519PrivateKey.generate()
    )
    own = world.enrol_native(world.people.invite_device(ada[0].id, actor=OPERATOR).text, made)
    refused(world, operation, Enrolled(own.identity, own.private), "not over this request")
    world.decide(operation, own)
    assert world.activation.perform(operation.id, [DIGEST], pc.identity)


def test_the_journal_holds_all_that_proves_a_decision(
    world: World, operation: Operation, phone: Enrolled
) -> None:
    world.decide(operation, phone)
    (entry,) = world.journal(Kind.OPERATION_APPROVED)
    assert str(entry.actor) == f"device {phone.identity.id}"
    assert (entry.details["decision"], entry.details["approval_key"]) == ("approve", "passkey")
    assert entry.details["rp_id"] == RELYING_PARTY.id
    assert entry.details["origin"] == RELYING_PARTY.origin
    approval = Approval(
        phone.identity.id,
        Decision.APPROVE,
        str(entry.details["number"]),
        entry.evidence["device_signature"],
        Assertion(entry.evidence["authenticator_data"], entry.evidence["client_data"]),
    )
    key = replace(kept_key(world, phone), public_key=entry.evidence["approval_key"])
    statement.verify(entry.evidence["payload"], approval, key)


def mutated(passkey: SoftwarePasskey | None, **changes: object) -> SoftwarePasskey:
    assert passkey is not None
    return replace(passkey, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"origin": "https://keystore.example.org.evil.example"}, "origin"),
        ({"origin": "http://keystore.example.org"}, "origin"),
        ({"rp_id": "example.org"}, "RP ID"),
        ({"flags": PRESENT_ONLY}, "not verified"),
        ({"flags": USER_VERIFIED}, "not present"),
        ({"flags": SYNCED}, "another one"),
        ({"flags": USER_PRESENT | USER_VERIFIED | BACKED_UP}, "refused"),
        ({"credential_id": b"\x09" * 32}, "not the passkey"),
        ({"private": ec.generate_private_key(ec.SECP256R1())}, "signature"),
    ],
)
def test_a_passkey_that_is_not_the_one(
    world: World,
    operation: Operation,
    phone: Enrolled,
    changes: dict[str, object],
    match: str,
) -> None:
    phone.passkey = mutated(phone.passkey, **changes)
    refused(world, operation, phone, match)


def test_a_page_inside_another_one_approves_nothing(
    world: World, operation: Operation, phone: Enrolled
) -> None:
    signed = statement.statement(operation.payload, Decision.APPROVE, operation.number)
    _, assertion = phone.evidence(signed)
    assert assertion is not None
    framed = replace(assertion, client_data=assertion.client_data.replace(b"false", b"true"))
    with pytest.raises(ApprovalRejected, match="cannot be read"):
        world.deciding.decide(
            operation.id, Decision.APPROVE, operation.number, b"", phone.identity, framed
        )


def test_a_counter_that_goes_back_is_a_copy(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, phone: Enrolled
) -> None:
    copy = phone.passkey
    serial = world.card(ada[0])
    first = world.ask(serial, pc)
    world.decide(first, phone)
    world.activation.perform(first.id, [DIGEST], pc.identity)
    phone.passkey = copy
    refused(world, world.ask(serial, pc), phone, "counter went back")


def test_of_a_passkey_and_its_copy_one_counts_when_both_are_used_at_once(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, phone: Enrolled
) -> None:
    asked = [world.ask(world.card(ada[0]), pc) for _ in range(6)]
    copies = [Enrolled(phone.identity, phone.private, passkey=phone.passkey) for _ in asked]

    def decide(operation: Operation, copy: Enrolled) -> bool:
        try:
            return world.decide(operation, copy) is State.APPROVED
        except ApprovalRejected:
            return False

    with ThreadPoolExecutor(len(asked)) as threads:
        approved = list(threads.map(decide, asked, copies))
    assert approved.count(True) == 1


def test_an_authenticator_that_does_not_count_is_taken(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, phone: Enrolled
) -> None:
    for _ in range(2):
        phone.passkey = mutated(phone.passkey, sign_count=-1)
        asked = world.ask(world.card(ada[0]), pc)
        assert world.decide(asked, phone) is State.APPROVED


def test_a_denial_is_no_approval(world: World, operation: Operation, phone: Enrolled) -> None:
    """The decision is in the challenge: an assertion made for one is none for another."""
    denial = statement.statement(operation.payload, Decision.DENY, "")
    for decision in (Decision.APPROVE, Decision.NOT_ME):
        signature, assertion = phone.evidence(denial)
        with pytest.raises(ApprovalRejected, match="challenge"):
            world.deciding.decide(operation.id, decision, "", signature, phone.identity, assertion)
    assert world.state(operation) is State.PENDING


def test_another_number_than_the_one_that_was_signed(
    world: World, operation: Operation, phone: Enrolled
) -> None:
    wrong = f"{(int(operation.number) + 1) % 100:02}"
    signed = statement.statement(operation.payload, Decision.APPROVE, wrong)
    signature, assertion = phone.evidence(signed)
    with pytest.raises(ApprovalRejected):
        world.deciding.decide(
            operation.id, Decision.APPROVE, operation.number, signature, phone.identity, assertion
        )


def test_one_guess_at_the_number(world: World, operation: Operation, phone: Enrolled) -> None:
    wrong = f"{(int(operation.number) + 1) % 100:02}"
    assert world.decide(operation, phone, number=wrong) is State.DENIED
    (entry,) = world.journal(Kind.OPERATION_DENIED)
    assert entry.details["decision"] == "approve"
    with pytest.raises(OperationClosed):
        world.decide(operation, phone)


def test_a_decision_is_taken_once(world: World, operation: Operation, phone: Enrolled) -> None:
    signed = statement.statement(operation.payload, Decision.APPROVE, operation.number)
    signature, assertion = phone.evidence(signed)
    again = (operation.id, Decision.APPROVE, operation.number, signature, phone.identity, assertion)
    assert world.deciding.decide(*again) is State.APPROVED
    assert world.deciding.decide(*again) is State.APPROVED  # the answer once more
    assert world.decide(operation, phone) is State.APPROVED  # signed anew
    assert len(world.journal(Kind.OPERATION_APPROVED)) == 1
    with pytest.raises(OperationClosed):
        world.decide(operation, phone, Decision.DENY)


def test_a_repeated_approval_has_its_answer_although_the_policy_has_changed(
    world: World, operation: Operation, phone: Enrolled
) -> None:
    assert world.decide(operation, phone) is State.APPROVED
    world.set_policy(Policy(passkeys=False))
    assert world.decide(operation, phone) is State.APPROVED
    assert len(world.journal(Kind.OPERATION_APPROVED)) == 1


def test_the_approval_of_one_request_is_none_of_another(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, phone: Enrolled
) -> None:
    one, other = world.ask(world.card(ada[0]), pc), world.ask(world.card(ada[0]), pc)
    signed = statement.statement(one.payload, Decision.APPROVE, other.number)
    signature, assertion = phone.evidence(signed)
    with pytest.raises(ApprovalRejected):
        world.deciding.decide(
            other.id, Decision.APPROVE, other.number, signature, phone.identity, assertion
        )


def test_each_device_approves_by_its_own_kind_of_key_alone(
    world: World, ada: tuple[User, Enrolled], operation: Operation, phone: Enrolled
) -> None:
    tls_key = Enrolled(phone.identity, phone.private)
    refused(world, operation, tls_key, "passkey alone")
    native = Enrolled(ada[1].identity, ada[1].private, passkey=phone.passkey)
    refused(world, operation, native, "no passkey")
    other = world.enrol_passkey(world.people.invite_device(ada[0].id, actor=OPERATOR).text)
    refused(world, operation, Enrolled(other.identity, other.private, passkey=phone.passkey), "not")


def test_the_policy_says_which_passkeys(
    world: World, ada: tuple[User, Enrolled], operation: Operation, phone: Enrolled
) -> None:
    synced = world.enrol_passkey(
        world.people.invite_device(ada[0].id, actor=OPERATOR).text,
        replace(new_passkey(), flags=SYNCED),
    )
    assert kept_key(world, synced).backup_eligible
    refused(world, operation, synced, "several devices keep")
    world.set_policy(Policy(passkeys=False))
    refused(world, operation, phone, "not used by passkeys")
    world.set_policy(Policy(synced_passkeys=True))
    assert world.decide(operation, synced) is State.APPROVED


def test_a_passkey_that_the_policy_forbids_cannot_try_numbers(
    world: World, operation: Operation, phone: Enrolled
) -> None:
    world.set_policy(Policy(passkeys=False))
    for number in (operation.number, f"{(int(operation.number) + 1) % 100:02}"):
        with pytest.raises(ApprovalRejected, match="not used by passkeys"):
            world.decide(operation, phone, number=number)
    assert world.state(operation) is State.PENDING


def test_a_passkey_that_the_policy_forbids_may_still_refuse(
    world: World, operation: Operation, phone: Enrolled
) -> None:
    world.set_policy(Policy(passkeys=False))
    assert world.decide(operation, phone, Decision.DENY) is State.DENIED


PASSKEY = new_passkey()
REGISTERED = Passkey(PASSKEY.cose_key(), PASSKEY.credential_id, RELYING_PARTY)
NATIVE = ed25519.Ed25519PrivateKey.generate()
PAYLOAD = b"a payload"


def _by_passkey() -> Approval:
    signed = statement.statement(PAYLOAD, Decision.APPROVE, "42")
    answer, _ = PASSKEY.get(statement.challenge(signed))
    assertion = Assertion(answer.authenticator_data, answer.client_data)
    return Approval("device", Decision.APPROVE, "42", answer.signature, assertion)


def _by_native() -> Approval:
    signature = sign(NATIVE, statement.statement(PAYLOAD, Decision.APPROVE, "42"))
    return Approval("device", Decision.APPROVE, "42", signature)


@pytest.mark.parametrize(
    ("approval", "key"),
    [(_by_passkey(), REGISTERED), (_by_native(), NativeKey(spki(NATIVE)))],
    ids=["passkey", "native"],
)
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_changed_byte_of_the_evidence_verifies(
    approval: Approval, key: ApprovalKey, data: st.DataObject
) -> None:
    statement.verify(PAYLOAD, approval, key)
    parts = {"payload": PAYLOAD, "device_signature": approval.device_signature}
    if approval.assertion is not None:
        parts["authenticator_data"] = approval.assertion.authenticator_data
        parts["client_data"] = approval.assertion.client_data
    name = data.draw(st.sampled_from(sorted(parts)))
    place = data.draw(st.integers(0, len(parts[name]) - 1))
    raw = bytearray(parts[name])
    raw[place] ^= data.draw(st.integers(1, 255))
    parts[name] = bytes(raw)
    changed = replace(approval, device_signature=parts["device_signature"])
    if approval.assertion is not None:
        changed = replace(
            changed, assertion=Assertion(parts["authenticator_data"], parts["client_data"])
        )
    with pytest.raises(ApprovalRejected):
        statement.verify(parts["payload"], changed, key)


@given(st.binary(max_size=300), st.binary(max_size=100), st.binary(max_size=100))
def test_any_bytes_are_refused_and_nothing_else(
    client_data: bytes, authenticator_data: bytes, signature: bytes
) -> None:
    with pytest.raises(ApprovalRejected):
        passkeys.verify(
            REGISTERED, CHALLENGE, Assertion(authenticator_data, client_data), signature
        )
    with pytest.raises(InvalidInput):
        passkeys.register(Registration(authenticator_data, client_data), CHALLENGE, RELYING_PARTY)


def attested(passkey: SoftwarePasskey, *, tampered: bool) -> Registration:
    """A registration that its own key attests (WebAuthn level 3, 8.2, self attestation)."""
    created = passkey.create(CHALLENGE)
    data = cbor2.loads(created.attestation_object)["authData"]
    signed = data + statement.challenge(created.client_data)
    signature = passkey.private.sign(signed, ec.ECDSA(SHA256()))
    if tampered:
        data = data[:33] + b"\x00\x00\x00\x07" + data[37:]
    whole = {"fmt": "packed", "attStmt": {"alg": -7, "sig": signature}, "authData": data}
    return Registration(cbor2.dumps(whole), created.client_data)


def test_an_attestation_that_is_given_is_checked() -> None:
    made = new_passkey()
    key = passkeys.register(attested(made, tampered=False), CHALLENGE, RELYING_PARTY)
    assert key.public_key == made.cose_key()
    with pytest.raises(InvalidInput, match="refused"):
        passkeys.register(attested(made, tampered=True), CHALLENGE, RELYING_PARTY)


@pytest.mark.parametrize(
    "changes",
    [
        {"origin": "https://evil.example"},
        {"rp_id": "evil.example"},
        {"flags": PRESENT_ONLY},
        {"flags": USER_VERIFIED},
        {"credential_id": b""},
    ],
)
def test_a_registration_for_somebody_else_is_refused(changes: dict[str, object]) -> None:
    created = mutated(new_passkey(), **changes).create(CHALLENGE)
    registration = Registration(created.attestation_object, created.client_data)
    with pytest.raises(InvalidInput):
        passkeys.register(registration, CHALLENGE, RELYING_PARTY)


def test_a_registered_passkey_is_what_its_authenticator_says() -> None:
    made = mutated(new_passkey(), sign_count=5, flags=SYNCED)
    created = made.create(CHALLENGE)
    transports = ("internal", "x" * 32, *["usb"] * 6)
    registration = Registration(created.attestation_object, created.client_data, transports)
    assert passkeys.register(registration, CHALLENGE, RELYING_PARTY) == Passkey(
        made.cose_key(), made.credential_id, RELYING_PARTY, 5, True, True, transports
    )
    created = mutated(made, flags=USER_PRESENT | USER_VERIFIED).create(CHALLENGE)
    key = passkeys.register(
        Registration(created.attestation_object, created.client_data), CHALLENGE, RELYING_PARTY
    )
    assert (key.backup_eligible, key.backed_up) == (False, False)


def test_a_page_inside_another_one_registers_nothing() -> None:
    created = new_passkey().create(CHALLENGE)
    framed = created.client_data.replace(b"false", b"true")
    with pytest.raises(InvalidInput, match="cannot be read"):
        passkeys.register(
            Registration(created.attestation_object, framed), CHALLENGE, RELYING_PARTY
        )


def test_a_key_of_an_algorithm_that_no_device_uses_is_refused() -> None:
    made = new_passkey()
    created = made.create(CHALLENGE)
    whole, es512 = cbor2.loads(created.attestation_object), cbor2.loads(made.cose_key()) | {3: -36}
    whole["authData"] = whole["authData"].removesuffix(made.cose_key()) + cbor2.dumps(es512)
    registration = Registration(cbor2.dumps(whole), created.client_data)
    with pytest.raises(InvalidInput, match="nsupported"):
        passkeys.register(registration, CHALLENGE, RELYING_PARTY)


@pytest.mark.parametrize(("size", "fits"), [(1023, True), (1024, False)])
def test_how_long_a_credential_id_can_be(size: int, fits: bool) -> None:
    created = mutated(new_passkey(), credential_id=bytes(size)).create(CHALLENGE)
    registration = Registration(created.attestation_object, created.client_data)
    if fits:
        assert passkeys.register(registration, CHALLENGE, RELYING_PARTY).credential_id == bytes(
            size
        )
        return
    with pytest.raises(InvalidInput, match="too long"):
        passkeys.register(registration, CHALLENGE, RELYING_PARTY)


@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize("large", ["attestation_object", "client_data"])
def test_how_large_a_registration_can_be(large: str, more: int) -> None:
    created = new_passkey().create(CHALLENGE)
    attestation, client_data = created.attestation_object, created.client_data
    if large == "client_data":
        client_data = client_data.ljust(passkeys.LARGEST_CLIENT_DATA + more)
    else:
        whole = cbor2.loads(attestation) | {"x": bytes(passkeys.LARGEST_ATTESTATION)}
        over = len(cbor2.dumps(whole)) - passkeys.LARGEST_ATTESTATION - more
        whole["x"] = bytes(passkeys.LARGEST_ATTESTATION - over)
        attestation = cbor2.dumps(whole)
        assert len(attestation) == passkeys.LARGEST_ATTESTATION + more
    registration = Registration(attestation, client_data)
    if not more:
        assert passkeys.register(registration, CHALLENGE, RELYING_PARTY)
        return
    with pytest.raises(InvalidInput, match="larger"):
        passkeys.register(registration, CHALLENGE, RELYING_PARTY)


@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize("large", ["client_data", "authenticator_data", "signature"])
def test_how_large_an_answer_can_be(large: str, more: int) -> None:
    answer, _ = PASSKEY.get(CHALLENGE)
    client_data, data, signature = answer.client_data, answer.authenticator_data, b""
    if large == "client_data":
        client_data = client_data.ljust(passkeys.LARGEST_CLIENT_DATA + more)
    elif large == "authenticator_data":
        room = passkeys.LARGEST_AUTHENTICATOR_DATA + more - len(data)
        extension = cbor2.dumps({"x": bytes(room)})
        extension = cbor2.dumps({"x": bytes(2 * room - len(extension))})
        data = data[:32] + bytes((data[32] | EXTENDED,)) + data[33:] + extension
        assert len(data) == passkeys.LARGEST_AUTHENTICATOR_DATA + more
    else:
        signature = bytes(passkeys.LARGEST_SIGNATURE + more)
    signed = data + statement.challenge(client_data)
    signature = signature or PASSKEY.private.sign(signed, ec.ECDSA(SHA256()))
    assertion = Assertion(data, client_data)
    if large != "signature" and not more:
        passkeys.verify(REGISTERED, CHALLENGE, assertion, signature)
        return
    with pytest.raises(ApprovalRejected, match="larger" if more else "refused"):
        passkeys.verify(REGISTERED, CHALLENGE, assertion, signature)


def test_a_use_that_cannot_be_read_is_refused() -> None:
    answer, _ = mutated(PASSKEY, flags=SYNCED).get(CHALLENGE)
    assert passkeys.usage(Assertion(answer.authenticator_data, b"")) == Usage(1, True, True)
    with pytest.raises(ApprovalRejected, match="cannot be read"):
        passkeys.usage(Assertion(answer.authenticator_data[:36], b""))


def test_a_page_inside_another_one_approves_nothing_although_the_passkey_has_signed() -> None:
    answer, _ = PASSKEY.get(CHALLENGE)
    framed = answer.client_data.replace(b"false", b"true")
    signed = answer.authenticator_data + statement.challenge(framed)
    signature = PASSKEY.private.sign(signed, ec.ECDSA(SHA256()))
    with pytest.raises(ApprovalRejected, match="cannot be read"):
        passkeys.verify(
            REGISTERED, CHALLENGE, Assertion(answer.authenticator_data, framed), signature
        )


@pytest.mark.parametrize(
    "transports", [("a b",), ("x" * 33,), ("usb",) * 9, ("",), ("intern\u00e4l",)]
)
def test_transports_are_words(transports: tuple[str, ...]) -> None:
    created = new_passkey().create(CHALLENGE)
    registration = Registration(created.attestation_object, created.client_data, transports)
    with pytest.raises(InvalidInput, match="transports"):
        passkeys.register(registration, CHALLENGE, RELYING_PARTY)


def test_nested_junk_is_refused() -> None:
    deep = Registration(b"\x81" * 10_000, b"[" * 4000)
    with pytest.raises(InvalidInput):
        passkeys.register(deep, CHALLENGE, RELYING_PARTY)
    huge = Registration(b"", b"x" * 100_000)
    with pytest.raises(InvalidInput, match="larger"):
        passkeys.register(huge, CHALLENGE, RELYING_PARTY)


@settings(max_examples=300, deadline=None)
@given(
    whole=st.booleans(),
    place=st.integers(0, 250),
    cut=st.integers(0, 3),
    put=st.binary(max_size=3),
)
def test_a_changed_registration_is_refused_or_is_one(
    whole: bool, place: int, cut: int, put: bytes
) -> None:
    """No attestation is asked for, so not every change shows; but none is a bug's way in."""
    created = PASSKEY.create(CHALLENGE)
    parts = [created.attestation_object, created.client_data]
    parts[whole] = parts[whole][:place] + put + parts[whole][place + cut :]
    try:
        key = passkeys.register(Registration(*parts), CHALLENGE, RELYING_PARTY)
    except InvalidInput:
        return
    assert key.relying_party == RELYING_PARTY
    with pytest.raises(ApprovalRejected):
        passkeys.verify(key, CHALLENGE, Assertion(b"", b""), b"")

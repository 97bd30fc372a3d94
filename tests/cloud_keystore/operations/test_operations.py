"""The life of an operation: every state and event, and who may do what."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import product
from typing import cast
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import delete

from card_os.uses import KeyUse
from cloud_keystore.approval import payload, qr, statement
from cloud_keystore.custody.use import padding
from cloud_keystore.model.approval_keys import ApprovalKey
from cloud_keystore.model.errors import (
    ApprovalRejected,
    CardNotInUse,
    IdentityRejected,
    InvalidInput,
    JustRefused,
    KeyNotFound,
    MalformedKeyInput,
    NoResult,
    OperationBusy,
    OperationClosed,
    OperationNotFound,
    PasscodeNeeded,
    RequestIdReused,
    TooManyRefusals,
)
from cloud_keystore.model.finding import SHORTEST_BEGINNING
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.operations import (
    FINAL,
    QUIET_TIME,
    REFUSAL_LIMIT,
    STALLED_TIME,
    TRANSITIONS,
    Approval,
    Channel,
    Decision,
    Event,
    State,
)
from cloud_keystore.model.people import IdentityState, Role, User
from cloud_keystore.operations import sweeping
from cloud_keystore.operations.asking import qr_secret
from cloud_keystore.storage import operations, tables
from cloud_keystore.storage.authentic import rows
from support.keystore_world import (
    DIGEST,
    OPERATOR,
    PASSCODE,
    SESSIONS,
    TERMS,
    Enrolled,
    World,
    verify,
)


def test_one_signature(world: World, ada: tuple[User, Enrolled], pc: Enrolled) -> None:
    user, phone = ada
    serial = world.card(user)
    operation = world.ask(serial, pc)
    assert [each.id for each in world.deciding.waiting(phone.identity)] == [operation.id]
    assert world.decide(operation, phone) is State.APPROVED
    signature = world.perform(operation, pc, DIGEST)
    verify(world, serial, 0x9A, signature, DIGEST)
    assert world.state(operation) is State.SUCCEEDED
    assert world.deciding.waiting(phone.identity) == []


def test_a_repeated_use_gives_the_same_result(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    user, phone = ada
    operation = world.ask(world.card(user), pc)
    world.decide(operation, phone)
    first = world.perform(operation, pc, DIGEST)
    assert world.perform(operation, pc, DIGEST) == first  # ECDSA: not made anew


def test_nothing_is_signed_without_approval(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    operation = world.ask(world.card(ada[0]), pc)
    with pytest.raises(OperationClosed, match="pending"):
        world.perform(operation, pc, DIGEST)


def test_another_input_than_the_approved_one_is_refused(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    user, phone = ada
    operation = world.ask(world.card(user), pc)
    world.decide(operation, phone)
    with pytest.raises(ApprovalRejected, match="input"):
        world.perform(operation, pc, b"\x22" * 32)
    assert world.perform(operation, pc, DIGEST)  # the right one is still good


def test_a_foreign_workstation_gets_nothing(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    user, phone = ada
    other = world.workstation("PC-OF-MALLORY")
    operation = world.ask(world.card(user), pc)
    world.decide(operation, phone)
    for attempt in (
        lambda: world.perform(operation, other, DIGEST),
        lambda: world.asking.find(operation.id, other.identity),
        lambda: world.asking.cancel(operation.id, other.identity),
    ):
        with pytest.raises(OperationNotFound):
            attempt()


def test_a_look_at_many_shows_those_of_the_workstation_as_they_are(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    user, phone = ada
    waiting, approved, late = (world.ask(world.card(user), pc) for _ in range(3))
    foreign = world.ask(world.card(user), world.workstation("PC2"))
    asked = (waiting, approved, late, foreign)
    world.decide(approved, phone)
    ids = [*(each.id for each in asked), user.id, "", "no such operation"]
    shown = {each.id: each for each in world.asking.look(ids, pc.identity)}
    assert {each: shown[each].state for each in shown} == {
        waiting.id: State.PENDING,
        approved.id: State.APPROVED,
        late.id: State.PENDING,
    }
    assert (shown[waiting.id].number, shown[waiting.id].qr_text) == (waiting.number, "")
    world.clock.now = late.expire_time
    (seen,) = world.asking.look([late.id], pc.identity)
    assert seen.state is State.EXPIRED
    assert world.asking.look([], pc.identity) == []


def test_a_foreign_device_sees_and_decides_nothing(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    _, mallory = world.user("Mallory")
    operation = world.ask(world.card(ada[0]), pc)
    assert world.deciding.waiting(mallory.identity) == []
    with pytest.raises(OperationNotFound):
        world.decide(operation, mallory)


def test_a_beginning_names_the_only_request_that_waits(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    user, phone = ada
    asked = world.ask(world.card(user), pc)
    named = world.deciding.named
    assert named(asked.id[:8], phone.identity).id == asked.id
    assert named(asked.id[:SHORTEST_BEGINNING], phone.identity).id == asked.id
    with pytest.raises(OperationNotFound, match="no such operation"):
        named(asked.id[: SHORTEST_BEGINNING - 1], phone.identity)
    with pytest.raises(OperationNotFound):
        named("", phone.identity)
    _, eves_phone = world.user("Eve")
    with pytest.raises(OperationNotFound, match="no such operation"):
        named(asked.id[:8], eves_phone.identity)
    world.ask(world.card(user), pc)
    with pytest.raises(OperationNotFound, match="2 requests that wait for you begin so"):
        named(asked.id[:4], phone.identity)
    assert named(asked.id, phone.identity).id == asked.id


def test_a_wrong_number_is_the_last_guess(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    user, phone = ada
    operation = world.ask(world.card(user), pc)
    wrong = f"{(int(operation.number) + 1) % 100:02}"
    assert world.decide(operation, phone, number=wrong) is State.DENIED
    with pytest.raises(OperationClosed):
        world.decide(operation, phone)


def test_no_number_is_a_wrong_number(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    user, phone = ada
    operation = world.ask(world.card(user), pc, channels=(Channel.PUSH, Channel.QR))
    assert world.decide(operation, phone, number="") is State.DENIED


@pytest.mark.parametrize("decision", [Decision.DENY, Decision.NOT_ME])
@pytest.mark.parametrize("channel", [Channel.PUSH, Channel.QR])
def test_a_refusal_is_one_although_the_holder_has_seen_the_screen(
    world: World,
    ada: tuple[User, Enrolled],
    pc: Enrolled,
    decision: Decision,
    channel: Channel,
) -> None:
    operation = world.ask(world.card(ada[0]), pc, channels=(channel,))
    if channel is Channel.QR:
        world.deciding.claim(world.qr_text(operation), ada[1].identity)
    number = "" if channel is Channel.QR else operation.number
    assert world.decide(operation, ada[1], decision, number) is State.DENIED
    assert world.state(operation) is State.DENIED


@pytest.mark.parametrize("number", ["1", "123", "ab", "٣٤", "-1", " 1"])
def test_a_number_is_two_digits(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, number: str
) -> None:
    operation = world.ask(world.card(ada[0]), pc)
    with pytest.raises(InvalidInput):
        world.deciding.decide(operation.id, Decision.APPROVE, number, b"", ada[1].identity)
    assert world.state(operation) is State.PENDING


def test_an_altered_payload_or_statement_is_refused(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    _, phone = ada
    operation = world.ask(world.card(ada[0]), pc)
    other = world.ask(operation_serial(operation.payload), pc)
    attempts = {
        "replay of another operation's signature": statement.statement(
            operation.payload, Decision.APPROVE, other.number
        ),
        "altered payload": statement.statement(
            other.payload + b"\0", Decision.APPROVE, other.number
        ),
        "denial turned into approval": statement.statement(
            other.payload, Decision.DENY, other.number
        ),
        "another number": statement.statement(other.payload, Decision.APPROVE, ""),
        "no domain": other.payload,
    }
    for name, signed in attempts.items():
        signature = phone.private.sign(signed, ec.ECDSA(SHA256()))
        with pytest.raises(ApprovalRejected):
            world.deciding.decide(
                other.id, Decision.APPROVE, other.number, signature, phone.identity
            )
        assert world.state(other) is State.PENDING, name


def test_a_signature_by_another_key_is_refused(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    _, phone = ada
    operation = world.ask(world.card(ada[0]), pc)
    stranger = Enrolled(phone.identity, ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(ApprovalRejected):
        world.decide(operation, stranger)
    with pytest.raises(ApprovalRejected):
        world.deciding.decide(
            operation.id, Decision.APPROVE, operation.number, b"junk", phone.identity
        )


def test_too_late(world: World, ada: tuple[User, Enrolled], pc: Enrolled) -> None:
    user, phone = ada
    operation = world.ask(world.card(user), pc)
    world.clock.forward(seconds=120)
    assert world.state(operation) is State.EXPIRED
    assert world.deciding.waiting(phone.identity) == []
    with pytest.raises(OperationClosed, match="expired"):
        world.decide(operation, phone)
    with pytest.raises(OperationClosed, match="expired"):  # its signature matters no more
        world.deciding.decide(operation.id, Decision.DENY, "", b"", phone.identity)


def test_a_device_without_a_key_decides_nothing(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    operation = world.ask(world.card(ada[0]), pc)
    with world.database.write() as connection:
        connection.execute(delete(tables.approval_key))
    with pytest.raises(ApprovalRejected, match="has no key: enrol it again"):
        world.decide(operation, ada[1])
    assert world.state(operation) is State.PENDING


def test_a_device_of_nobody_has_nothing_that_waits(
    world: World, ada: tuple[User, Enrolled]
) -> None:
    with pytest.raises(OperationNotFound, match="belongs to nobody"):
        world.deciding.waiting(replace(ada[1].identity, user_id=None))


def test_an_approval_must_be_used_soon(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    user, phone = ada
    operation = world.ask(world.card(user), pc)
    world.clock.forward(seconds=119)
    world.decide(operation, phone)
    world.clock.forward(seconds=59)
    assert world.state(operation) is State.APPROVED  # a restart in between costs no approval
    world.clock.forward(seconds=1)
    with pytest.raises(OperationClosed, match="expired"):
        world.perform(operation, pc, DIGEST)


def test_the_clock_set_back_revives_nothing(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    user, phone = ada
    operation = world.ask(world.card(user), pc)
    world.clock.forward(seconds=121)
    with world.database.write() as connection:
        operations.sweep(connection, world.clock(), STALLED_TIME)
    world.clock.forward(seconds=-100)
    with pytest.raises(OperationClosed, match="expired"):
        world.decide(operation, phone)


def test_a_repeated_request_is_the_same_operation(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    serial = world.card(ada[0])
    proof, request_id = world.proof(serial, pc), os.urandom(16)
    first = world.ask(serial, pc, proof=proof, request_id=request_id, key_ref=0x9C)
    again = world.ask(serial, pc, proof=proof, request_id=request_id, key_ref=0x9C)
    assert again == first


@pytest.mark.parametrize(
    "other",
    [
        {"data": (b"\x22" * 32,)},
        {"data": (DIGEST, DIGEST)},
        {"key_ref": 0x9D, "key_use": KeyUse.AGREE},
        {"session": TERMS},
        {"channels": (Channel.QR,)},
    ],
    ids=str,
)
def test_a_request_id_is_not_for_another_request(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, other: dict[str, object]
) -> None:
    serial, request_id = world.card(ada[0]), os.urandom(16)
    first = world.ask(serial, pc, request_id=request_id)
    data = cast("tuple[bytes, ...]", other.get("data", ()))
    rest = {name: value for name, value in other.items() if name != "data"}
    with pytest.raises(RequestIdReused):
        world.ask(serial, pc, *data, request_id=request_id, **rest)  # type: ignore[arg-type]
    assert world.ask(serial, pc, request_id=request_id) == first


def test_a_card_is_not_issued_again_for_somebody_else(
    world: World, ada: tuple[User, Enrolled]
) -> None:
    request_id, (grace, _) = os.urandom(16), world.user("Grace Hopper")
    made = world.issuing.issue(request_id, ada[0].id, "p256", actor=OPERATOR)
    for user, profile in ((grace, "p256"), (ada[0], "p384")):
        with pytest.raises(RequestIdReused):
            world.issuing.issue(request_id, user.id, profile, actor=OPERATOR)
    assert world.issuing.issue(request_id, ada[0].id, "p256", actor=OPERATOR) == made


@pytest.mark.parametrize("later", [0, 59, 600])
@pytest.mark.parametrize("decision", [Decision.APPROVE, Decision.DENY, Decision.NOT_ME])
def test_a_phone_that_lost_its_answer_gets_it_again(
    world: World,
    ada: tuple[User, Enrolled],
    pc: Enrolled,
    decision: Decision,
    later: int,
) -> None:
    user, phone = ada
    operation = world.ask(world.card(user), pc)
    first = world.decide(operation, phone, decision)
    if decision is Decision.APPROVE:
        world.perform(operation, pc)
    world.clock.forward(seconds=later)
    before = len(world.journal())
    assert world.decide(operation, phone, decision) is first
    assert len(world.journal()) == before  # it is taken once
    other = Decision.DENY if decision is Decision.APPROVE else Decision.APPROVE
    for attempt in (other, Decision.NOT_ME if decision is Decision.DENY else Decision.DENY):
        if attempt is not decision:
            with pytest.raises(OperationClosed, match="the operation is"):
                world.decide(operation, phone, attempt)


def test_a_decision_that_arrives_twice_at_once_is_taken_once(
    world: World,
    ada: tuple[User, Enrolled],
    pc: Enrolled,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    operation = world.ask(world.card(ada[0]), pc)
    both_have_looked = threading.Barrier(2, timeout=60)
    checked = statement.verify

    def after_both(asked: bytes, approval: Approval, key: ApprovalKey) -> None:
        checked(asked, approval, key)
        both_have_looked.wait()

    monkeypatch.setattr(statement, "verify", after_both)
    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(lambda _: world.decide(operation, ada[1]), range(2)))
    assert answers == [State.APPROVED, State.APPROVED]
    kinds = [entry.kind for entry in world.journal()]
    assert kinds.count(Kind.OPERATION_APPROVED) == 1


def test_another_phone_does_not_repeat_a_decision(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    user, phone = ada
    second = world.enrol(world.people.invite_device(user.id, actor=OPERATOR).text)
    operation = world.ask(world.card(user), pc)
    world.decide(operation, phone)
    with pytest.raises(OperationClosed):
        world.decide(operation, second)
    with pytest.raises(ApprovalRejected):  # nor does a repetition that the phone has not signed
        world.deciding.decide(
            operation.id, Decision.APPROVE, operation.number, b"forged", phone.identity
        )


def test_a_newer_operation_replaces_the_older_one(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    serial = world.card(ada[0])
    older = world.ask(serial, pc)
    newer = world.ask(serial, pc)
    elsewhere = world.ask(serial, world.workstation("PC2"))
    assert world.state(older) is State.CANCELLED
    assert world.state(newer) is State.PENDING
    assert world.state(elsewhere) is State.PENDING


def test_the_signature_key_takes_a_proof_once(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    serial = world.card(ada[0])
    proof = world.proof(serial, pc)
    world.ask(serial, pc, proof=proof, key_ref=0x9C)
    with pytest.raises(PasscodeNeeded):
        world.ask(serial, pc, proof=proof, key_ref=0x9C)
    world.ask(serial, pc, proof=proof)  # 9A needs the passcode once


def test_a_proof_is_for_one_card_at_one_workstation_for_a_shift(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    serial, other_card = world.card(ada[0]), world.card(ada[0])
    proof, other_pc = world.proof(serial, pc), world.workstation("PC2")
    for attempt in (
        lambda: world.ask(other_card, pc, proof=proof),
        lambda: world.ask(serial, other_pc, proof=proof),
        lambda: world.ask(serial, pc, proof=b""),
        lambda: world.ask(serial, pc, proof=proof + b"\0"),
    ):
        with pytest.raises(PasscodeNeeded):
            attempt()
    world.clock.forward(hours=12)
    with pytest.raises(PasscodeNeeded):
        world.ask(serial, pc, proof=proof)


def test_the_phone_is_left_in_peace_after_some_refusals(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    user, phone = ada
    serial = world.card(user)
    for _ in range(REFUSAL_LIMIT):
        world.decide(world.ask(serial, pc), phone, Decision.DENY)
        world.clock.forward(seconds=QUIET_TIME.total_seconds())
    for _ in range(2):
        with pytest.raises(TooManyRefusals):
            world.ask(serial, pc)
    assert len(world.alerts.list_all(include_acknowledged=False, actor=world.actor)) == 1
    world.clock.forward(minutes=11)
    world.ask(serial, pc)


@pytest.mark.parametrize("end", [Decision.DENY, None], ids=["denied", "expired"])
def test_an_application_that_repeats_itself_rings_no_phone(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, end: Decision | None
) -> None:
    user, phone = ada
    serial = world.card(user)
    operation = world.ask(serial, pc)
    if end is None:
        world.clock.forward(seconds=120)
    else:
        world.decide(operation, phone, end)
    with pytest.raises(JustRefused):
        world.ask(serial, pc)
    with pytest.raises(JustRefused):
        world.ask(serial, pc, b"PSS with another salt")
    assert world.deciding.waiting(phone.identity) == []
    point = ec.generate_private_key(ec.SECP256R1()).public_key()
    raw = point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    world.ask(serial, pc, raw, key_ref=0x9D, key_use=KeyUse.AGREE)  # another key
    world.clock.forward(seconds=QUIET_TIME.total_seconds())
    world.ask(serial, pc)


def test_withdrawn_requests_count_as_refused(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    serial = world.card(ada[0])
    for _ in range(REFUSAL_LIMIT + 1):
        world.ask(serial, pc)  # each replaces the one before, each rang
    with pytest.raises(TooManyRefusals):
        world.ask(serial, pc)


def test_wrong_questions(world: World, ada: tuple[User, Enrolled], pc: Enrolled) -> None:
    serial = world.card(ada[0])
    with pytest.raises(KeyNotFound):
        world.ask(serial, pc, key_ref=0x82)
    with pytest.raises(KeyNotFound):
        world.ask(serial, pc, algorithm=0x07)
    with pytest.raises(MalformedKeyInput):
        world.ask(serial, pc, key_use=KeyUse.AGREE)
    with pytest.raises(MalformedKeyInput):
        world.ask(serial, pc, b"", key_use=KeyUse.SIGN)
    with pytest.raises(InvalidInput):
        world.ask(serial, pc, request_id=b"short")


@pytest.mark.parametrize("profile", ["p256", "rsa2048"])
def test_the_key_management_key_does_not_sign(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, profile: str
) -> None:
    serial = world.card(ada[0], profile)
    algorithm = {"p256": 0x11, "rsa2048": 0x07}[profile]
    with pytest.raises(MalformedKeyInput):
        world.ask(serial, pc, key_ref=0x9D, algorithm=algorithm, key_use=KeyUse.SIGN)


@pytest.mark.parametrize("in_session", [False, True])
def test_a_signature_hidden_in_a_cryptogram_is_not_given_out(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, *, in_session: bool
) -> None:
    """Malware multiplied a padded digest with the eth power of two, had a decryption approved, and
    halved the result: a signature by the key management key.
    """
    user, phone = ada
    world.set_policy(SESSIONS)
    serial = world.card(user, "rsa2048")
    ask = partial(world.ask, serial, pc, key_ref=0x9D, algorithm=0x07, key_use=KeyUse.DECRYPT)

    def decipher(data: bytes) -> bytes:
        if in_session:
            operation = ask(session=TERMS)
            world.decide(operation, phone)
            opened = world.activation.perform(operation.id, [], pc.identity).session
            assert opened is not None
            return world.use(opened, pc, data)[0]
        operation = ask(data)
        world.decide(operation, phone)
        return world.perform(operation, pc, data)

    (key,) = (each for each in world.keys(serial) if each.key_ref == 0x9D)
    public = x509.load_der_x509_certificate(key.certificate).public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    modulus, exponent = public.public_numbers().n, public.public_numbers().e
    prefix, _ = padding.DIGEST_INFO["sha256"]
    padded = b"\0\1" + b"\xff" * 202 + b"\0" + prefix + DIGEST
    hidden = int.from_bytes(padded) * pow(2, exponent, modulus) % modulus
    with pytest.raises(MalformedKeyInput, match="not encrypted for the key"):
        decipher(hidden.to_bytes(256))
    assert decipher(public.encrypt(b"secret", PKCS1v15())).endswith(b"\0secret")
    if in_session:  # which ended with the first try
        assert [each.kind for each in world.journal(Kind.SESSION_ENDED)] == [Kind.SESSION_ENDED]


def test_a_point_off_the_curve_fails_the_operation(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    user, phone = ada
    point = b"\x04" + b"\x01" * 64
    operation = world.ask(world.card(user), pc, point, key_ref=0x9D, key_use=KeyUse.AGREE)
    world.decide(operation, phone)
    with pytest.raises(MalformedKeyInput):
        world.perform(operation, pc, point)
    assert world.state(operation) is State.FAILED


def test_a_suspended_card_is_of_no_use(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    user, phone = ada
    serial = world.card(user)
    operation = world.ask(serial, pc)
    world.decide(operation, phone)
    world.cards.suspend(serial, actor=OPERATOR)
    assert world.state(operation) is State.CANCELLED
    with pytest.raises(OperationClosed):
        world.perform(operation, pc, DIGEST)
    with pytest.raises(CardNotInUse):
        world.passcodes.verify(serial, 0x80, PASSCODE, pc.identity)


def test_the_approval_of_a_phone_removed_since_is_not_used(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    user, phone = ada
    operation = world.ask(world.card(user), pc)
    world.decide(operation, phone)
    with world.database.write() as connection:
        of_phone = tables.identity.c.id == phone.identity.id
        rows.change(connection, tables.identity, [of_phone], {"state": IdentityState.REMOVED})
    with pytest.raises(ApprovalRejected, match="removed"):
        world.perform(operation, pc, DIGEST)
    fingerprint = phone.identity.certificate_sha256
    assert fingerprint is not None
    with pytest.raises(IdentityRejected):
        world.callers.identify(fingerprint, Role.DEVICE)


class TestQr:
    def test_claimed_then_approved_without_a_number(
        self, world: World, ada: tuple[User, Enrolled], pc: Enrolled
    ) -> None:
        user, phone = ada
        operation = world.ask(world.card(user), pc, channels=(Channel.QR,))
        assert world.deciding.waiting(phone.identity) == []  # only the screen knows of it
        claimed = world.deciding.claim(world.qr_text(operation), phone.identity)
        assert world.decide(claimed, phone, number="") is State.APPROVED
        assert world.perform(operation, pc, DIGEST)

    def test_a_wrong_number_beside_a_code_is_a_refusal(
        self, world: World, ada: tuple[User, Enrolled], pc: Enrolled
    ) -> None:
        operation = world.ask(world.card(ada[0]), pc, channels=(Channel.QR,))
        claimed = world.deciding.claim(world.qr_text(operation), ada[1].identity)
        wrong = f"{(int(operation.number) + 1) % 100:02}"
        assert world.decide(claimed, ada[1], number=wrong) is State.DENIED
        assert world.state(operation) is State.DENIED

    def test_a_code_is_claimed_by_one_device(
        self, world: World, ada: tuple[User, Enrolled], pc: Enrolled
    ) -> None:
        user, phone = ada
        second = world.enrol(world.people.invite_device(user.id, actor=OPERATOR).text)
        operation = world.ask(world.card(user), pc, channels=(Channel.QR,))
        text = world.qr_text(operation)
        world.deciding.claim(text, phone.identity)
        world.deciding.claim(text, phone.identity)  # its answer was lost
        (claimed,) = world.journal(Kind.OPERATION_CLAIMED)
        assert claimed.device_id == phone.identity.id
        with pytest.raises(OperationClosed):
            world.deciding.claim(text, second.identity)
        with pytest.raises(OperationNotFound):
            world.decide(operation, second, number="")

    def test_a_code_lives_a_minute(
        self, world: World, ada: tuple[User, Enrolled], pc: Enrolled
    ) -> None:
        user, phone = ada
        operation = world.ask(world.card(user), pc, channels=(Channel.QR,))
        world.clock.forward(seconds=60)
        with pytest.raises(OperationClosed):
            world.deciding.claim(world.qr_text(operation), phone.identity)

    def test_foreign_and_forged_codes(
        self, world: World, ada: tuple[User, Enrolled], pc: Enrolled
    ) -> None:
        _, mallory = world.user("Mallory")
        operation = world.ask(world.card(ada[0]), pc, channels=(Channel.QR,))
        text = world.qr_text(operation)
        with pytest.raises(OperationNotFound):
            world.deciding.claim(text, mallory.identity)
        forged = text[:-4] + ("A" if text[-4] != "A" else "B") + text[-3:]
        with pytest.raises(OperationNotFound):
            world.deciding.claim(forged, ada[1].identity)
        for foreign in ("", "https://example.org", text + "A", text.lower(), "CLOUDCARD:1:ÄÖÜ"):
            with pytest.raises(InvalidInput):
                world.deciding.claim(foreign, ada[1].identity)

    def test_a_push_operation_has_no_code(
        self, world: World, ada: tuple[User, Enrolled], pc: Enrolled
    ) -> None:
        operation = world.ask(world.card(ada[0]), pc)
        assert world.qr_text(operation) == ""
        code = qr.text(operation.id, qr_secret(world.deciding.seal, operation.id))
        with pytest.raises(OperationNotFound, match="not for you"):
            world.deciding.claim(code, ada[1].identity)

    def test_the_code_of_an_operation_that_is_not_there(
        self, world: World, ada: tuple[User, Enrolled]
    ) -> None:
        code = qr.text(str(UUID(int=7)), qr_secret(world.deciding.seal, str(UUID(int=7))))
        with pytest.raises(OperationNotFound, match="not for you"):
            world.deciding.claim(code, ada[1].identity)


class TestOnce:
    def test_a_use_under_way_is_not_used_again(
        self, world: World, ada: tuple[User, Enrolled], pc: Enrolled
    ) -> None:
        user, phone = ada
        operation = world.ask(world.card(user), pc)
        world.decide(operation, phone)
        with world.database.write() as connection:
            assert operations.start_use(connection, operation.id, world.clock())
            assert not operations.start_use(connection, operation.id, world.clock())
        with pytest.raises(OperationBusy):
            world.perform(operation, pc, DIGEST)
        assert world.asking.cancel(operation.id, pc.identity).state is State.APPROVED

    def test_a_use_whose_process_died_fails(
        self, world: World, ada: tuple[User, Enrolled], pc: Enrolled
    ) -> None:
        user, phone = ada
        operation = world.ask(world.card(user), pc)
        world.decide(operation, phone)
        with world.database.write() as connection:
            operations.start_use(connection, operation.id, world.clock())
        world.clock.forward(seconds=STALLED_TIME.total_seconds())
        with world.database.write() as connection:
            swept = sweeping.sweep(connection, world.clock(), STALLED_TIME)
        assert swept == {operation.id, user.id}
        assert world.state(operation) is State.FAILED
        with pytest.raises(NoResult):
            world.perform(operation, pc, DIGEST)

    def test_a_use_fails_as_soon_as_its_process_is_known_to_be_gone(
        self, world: World, ada: tuple[User, Enrolled], pc: Enrolled
    ) -> None:
        user, phone = ada
        left, kept = (world.ask(world.card(user), pc) for _ in range(2))
        for number, operation in enumerate((left, kept)):
            world.decide(operation, phone)
            with world.database.write() as connection:
                operations.start_use(connection, operation.id, world.clock(), used_by=number)
                assert operations.users(connection) == set(range(number + 1))
        with world.database.write() as connection:
            assert not sweeping.needs_sweep(connection, world.clock(), STALLED_TIME, {2})
            assert sweeping.needs_sweep(connection, world.clock(), STALLED_TIME, {0})
            swept = sweeping.sweep(connection, world.clock(), STALLED_TIME, {0})
        assert swept == {left.id, user.id}
        assert [world.state(each) for each in (left, kept)] == [State.FAILED, State.APPROVED]
        # It only slept, and wakes up with a result.
        with world.database.write() as connection:
            assert not operations.end_use(connection, left.id, b"sealed", world.clock())
        assert world.state(left) is State.FAILED

    def test_a_result_is_not_kept_for_ever(
        self, world: World, ada: tuple[User, Enrolled], pc: Enrolled
    ) -> None:
        user, phone = ada
        operation = world.ask(world.card(user), pc)
        world.decide(operation, phone)
        world.perform(operation, pc, DIGEST)
        world.clock.forward(minutes=10)
        with world.database.write() as connection:
            operations.sweep(connection, world.clock(), STALLED_TIME)
        with pytest.raises(NoResult):
            world.perform(operation, pc, DIGEST)


def test_the_table_says_which_states_are_final() -> None:
    assert {
        State.DENIED,
        State.EXPIRED,
        State.CANCELLED,
        State.SUCCEEDED,
        State.FAILED,
    } == FINAL


@pytest.mark.parametrize(("state", "event"), list(product(State, Event)))
def test_every_state_and_event_follows_the_table(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, state: State, event: Event
) -> None:
    """The repository moves a row exactly as the table says, from every state by every event."""
    user, phone = ada
    operation = world.ask(world.card(user), pc)
    bring_to(world, operation.id, state)
    moved = apply(world, operation.id, event, phone)
    expected = TRANSITIONS.get((state, event))
    assert moved is (expected is not None)
    with world.database.read() as connection:
        found = operations.find(connection, operation.id)
    assert found is not None
    assert found.state is (expected or state)


def bring_to(world: World, operation_id: str, state: State) -> None:
    with world.database.write() as connection:
        this = tables.operation.c.id == operation_id
        rows.change(connection, tables.operation, [this], {"state": state})


def apply(world: World, operation_id: str, event: Event, phone: Enrolled) -> bool:
    now = world.clock()
    with world.database.write() as connection:
        match event:
            case Event.APPROVE | Event.DENY:
                approval = Approval(phone.identity.id, Decision.APPROVE, "00", b"")
                return operations.decide(connection, operation_id, event, approval, now)
            case Event.CANCEL:
                return operations.cancel(connection, operation_id, now)
            case Event.EXPIRE:
                world.clock.forward(seconds=121)
                return bool(operations.sweep(connection, world.clock(), STALLED_TIME))
            case Event.SUCCEED | Event.FAIL:
                operations.start_use(connection, operation_id, now)
                result = b"sealed" if event is Event.SUCCEED else None
                return operations.end_use(connection, operation_id, result, now)


def operation_serial(raw: bytes) -> str:
    serial: str = payload.decode(raw).card_serial
    return serial

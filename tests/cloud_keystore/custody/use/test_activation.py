"""The approval is checked again when the key is used: rows that nobody approved yield nothing."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime

import pytest
from sqlalchemy import Connection, delete, select

from card_os.piv.names import Algorithm
from card_os.uses import KeyUse
from cloud_keystore.approval import statement
from cloud_keystore.custody.backends.keys import Keys
from cloud_keystore.custody.use import padding
from cloud_keystore.custody.use.using_sessions import SLOW_TIME
from cloud_keystore.model.actors import KEYSTORE
from cloud_keystore.model.cards import SOFTWARE, CardEvent, HeldKey
from cloud_keystore.model.errors import (
    ApprovalRejected,
    CardNotInUse,
    KeyBackendUnavailable,
    KeyNotFound,
    KeystoreError,
    MalformedKeyInput,
    NoResult,
    OperationBusy,
    OperationClosed,
    SessionClosed,
    SessionRefused,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.operations import STALLED_TIME, Decision, Operation, OperationKind, State
from cloud_keystore.model.people import User
from cloud_keystore.model.policies import Policy
from cloud_keystore.storage import cards, people, sessions, tables
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.engine import Database
from support.keystore_world import DIGEST, SESSIONS, TERMS, Enrolled, World


@pytest.fixture
def serial(world: World, ada: tuple[User, Enrolled]) -> str:
    """A card whose policy allows sessions."""
    world.set_policy(SESSIONS)
    return world.card(ada[0])


@pytest.fixture
def approved(world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str) -> Operation:
    """An approved use of 9A."""
    operation = world.ask(serial, pc)
    assert world.decide(operation, ada[1]) is State.APPROVED
    return operation


@pytest.fixture
def approved_session(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str
) -> Operation:
    """An approved session of 9A, which has not begun."""
    operation = world.ask(serial, pc, session=TERMS)
    assert world.decide(operation, ada[1]) is State.APPROVED
    return operation


def forge(world: World, operation: Operation, **values: object) -> None:
    """Change a row, as somebody with the database might."""
    with world.database.write() as connection:
        row = tables.operation.c.id == operation.id
        rows.change(connection, tables.operation, [row], values)


def forge_decision(
    world: World, operation: Operation, device: Enrolled, decision: Decision
) -> None:
    """Put a device's real decision there, and call the operation approved."""
    number = operation.number if decision is Decision.APPROVE else ""
    signature, _ = device.evidence(statement.statement(operation.payload, decision, number))
    forge(
        world,
        operation,
        state=State.APPROVED,
        device_id=device.identity.id,
        decision=decision,
        decision_number=number,
        device_signature=signature,
    )


def refused(
    world: World, operation: Operation, pc: Enrolled, error: type[KeystoreError], match: str
) -> None:
    inputs = [] if operation.kind is OperationKind.SESSION else [DIGEST]
    with pytest.raises(error, match=match):
        world.activation.perform(operation.id, inputs, pc.identity)


@pytest.mark.parametrize("decision", [Decision.DENY, Decision.NOT_ME])
def test_a_signed_refusal_is_no_approval(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str, decision: Decision
) -> None:
    operation = world.ask(serial, pc)
    forge_decision(world, operation, ada[1], decision)
    refused(world, operation, pc, ApprovalRejected, "has no approval")


def test_a_row_that_is_called_approved_has_no_approval(
    world: World, pc: Enrolled, serial: str
) -> None:
    operation = world.ask(serial, pc)
    forge(world, operation, state=State.APPROVED)
    refused(world, operation, pc, ApprovalRejected, "has no approval")


def test_another_holders_device_approves_nothing(world: World, pc: Enrolled, serial: str) -> None:
    operation = world.ask(serial, pc)
    forge_decision(world, operation, world.user("Mallory")[1], Decision.APPROVE)
    refused(world, operation, pc, ApprovalRejected, "is not the holder's")


def test_a_device_that_is_not_there_approves_nothing(
    world: World, pc: Enrolled, approved: Operation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "find_identity", lambda *_: None)
    refused(world, approved, pc, ApprovalRejected, "is not the holder's")


def test_a_device_without_a_key_for_approvals_approves_nothing(
    world: World, pc: Enrolled, approved: Operation
) -> None:
    with world.database.write() as connection:
        connection.execute(delete(tables.approval_key))
    refused(world, approved, pc, ApprovalRejected, "is not the holder's")


def test_a_card_that_was_suspended_since_the_approval_is_not_used(
    world: World, pc: Enrolled, approved: Operation
) -> None:
    with world.database.write() as connection:  # the operation stays open, as no use case does it
        assert cards.move(connection, approved.card_id, CardEvent.SUSPEND, "lost")
    refused(world, approved, pc, CardNotInUse, "no longer in use")


def test_a_device_that_was_removed_since_the_approval_counts_no_more(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, approved: Operation
) -> None:
    with world.database.write() as connection:
        row = tables.identity.c.id == ada[1].identity.id
        rows.change(connection, tables.identity, [row], {"state": "removed"})
    refused(world, approved, pc, ApprovalRejected, "has been removed")


def test_a_key_that_was_destroyed_since_the_approval_is_gone(
    world: World, pc: Enrolled, approved: Operation
) -> None:
    with world.database.write() as connection:
        row = tables.key.c.id == approved.key_id
        rows.change(connection, tables.key, [row], {"sealed_private": None})
    refused(world, approved, pc, KeyNotFound, "destroyed")
    assert world.state(approved) is State.APPROVED  # not spent


def test_a_use_that_has_begun_is_not_begun_again(
    world: World, pc: Enrolled, approved: Operation
) -> None:
    forge(world, approved, use_time=world.clock())
    refused(world, approved, pc, OperationBusy, "the key is being used: ask again")


@pytest.mark.parametrize("said", ["pending", "denied", "cancelled", "expired"])
def test_an_operation_that_is_not_approved_is_told_its_state(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str, said: str
) -> None:
    operation = world.ask(serial, pc)
    if said == "denied":
        world.decide(operation, ada[1], Decision.DENY)
    elif said == "cancelled":
        world.asking.cancel(operation.id, pc.identity)
    elif said == "expired":
        world.decide(operation, ada[1])
        world.clock.forward(hours=1)
    refused(world, operation, pc, OperationClosed, f"the operation is {said}")


def test_an_input_that_the_key_must_not_get_spends_no_approval(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str
) -> None:
    """Even if it could be asked for, as with a keystore of before that check."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(padding, "check", lambda *_: None)
        operation = world.ask(serial, pc, bytes(65))
    world.decide(operation, ada[1])
    with pytest.raises(MalformedKeyInput, match="65"):
        world.perform(operation, pc, bytes(65))
    assert world.state(operation) is State.APPROVED
    assert world.journal(Kind.OPERATION_USED) == []


OTHER_FACTS = {
    "use of the key": {"key_use": KeyUse.AGREE},
    "policy": {"policy": "*/*/99"},
}


@pytest.mark.parametrize("fact", OTHER_FACTS)
def test_an_approval_holds_for_the_facts_that_were_shown(
    world: World, pc: Enrolled, approved_session: Operation, fact: str
) -> None:
    forge(world, approved_session, **OTHER_FACTS[fact])
    refused(world, approved_session, pc, ApprovalRejected, "another key, card or workstation")


@pytest.mark.parametrize(
    "changed",
    [
        {"key_ref": 0x9D},
        {"certificate": b"another"},
        {"algorithm": Algorithm.ECC_P384},
    ],
    ids=lambda each: next(iter(each)),
)
def test_an_approval_holds_for_the_key_that_was_shown(
    world: World, pc: Enrolled, approved: Operation, changed: dict[str, object]
) -> None:
    with world.database.write() as connection:
        of_9d = (tables.key.c.card_id == approved.card_id) & (tables.key.c.key_ref == 0x9D)
        rows.change(connection, tables.key, [of_9d], {"key_ref": 0x95})
        row = tables.key.c.id == approved.key_id
        rows.change(connection, tables.key, [row], changed)
    refused(world, approved, pc, ApprovalRejected, "another key, card or workstation")


def test_an_approval_holds_for_its_own_operation(
    world: World, pc: Enrolled, approved: Operation, serial: str
) -> None:
    """The same request, made again, with everything that the holder has signed for the first."""
    again = world.ask(serial, pc)
    signed = ("payload", "device_id", "decision", "decision_number", "device_signature")
    with world.database.read() as connection:
        row = tables.operation.c.id == approved.id
        first = connection.execute(tables.operation.select().where(row)).mappings().one()
    forge(world, again, state=State.APPROVED, **{name: first[name] for name in signed})
    refused(world, again, pc, ApprovalRejected, "another key, card or workstation")


def test_an_approval_holds_for_the_key_and_no_other_in_its_place(
    world: World, pc: Enrolled, approved: Operation
) -> None:
    c = tables.key.c
    with world.database.write() as connection:
        of_card = select(c.id, c.certificate, c.key_ref).where(c.card_id == approved.card_id)
        keys = {row.key_ref: row for row in connection.execute(of_card)}
        mine, other = keys[0x9A], keys[0x9D]
        for key, values in (
            (mine, {"key_ref": 0x95}),
            (other, {"key_ref": 0x9A, "certificate": mine.certificate}),
        ):
            rows.change(connection, tables.key, [c.id == key.id], values)
    forge(world, approved, key_id=other.id)
    refused(world, approved, pc, ApprovalRejected, "another key, card or workstation")


def test_an_approved_use_opens_no_session(world: World, pc: Enrolled, approved: Operation) -> None:
    forge(world, approved, kind=OperationKind.SESSION)
    with pytest.raises(ApprovalRejected):
        world.activation.perform(approved.id, [], pc.identity)
    assert world.journal(Kind.SESSION_OPENED) == []


def test_an_approved_session_is_no_approved_use(
    world: World, pc: Enrolled, approved_session: Operation
) -> None:
    forge(world, approved_session, kind=OperationKind.USES)
    with pytest.raises(ApprovalRejected, match="another key, card or workstation"):
        world.activation.perform(approved_session.id, [], pc.identity)


@pytest.mark.parametrize("column", ["payload", "device_signature"])
def test_what_the_device_has_signed_cannot_be_changed(
    world: World, pc: Enrolled, approved: Operation, column: str
) -> None:
    with world.database.read() as connection:
        row = tables.operation.c.id == approved.id
        was = connection.execute(tables.operation.select().where(row)).mappings().one()[column]
    # an unknown field at the end, so that the payload says the same
    forge(world, approved, **{column: was + b"\xf8\x7f\x01"})
    refused(world, approved, pc, ApprovalRejected, "signature")


@pytest.mark.parametrize(
    ("missing", "error", "said"),
    [("find", CardNotInUse, "no longer in use"), ("find_key", KeyNotFound, "destroyed")],
)
def test_a_card_or_key_that_is_not_there(
    world: World,
    pc: Enrolled,
    approved: Operation,
    monkeypatch: pytest.MonkeyPatch,
    missing: str,
    error: type[KeystoreError],
    said: str,
) -> None:
    monkeypatch.setattr(cards, missing, lambda *_: None)
    refused(world, approved, pc, error, said)


@pytest.mark.parametrize("fact", ["serial", "user_id"])
def test_an_approval_holds_for_the_card_and_holder_that_were_shown(
    world: World, pc: Enrolled, approved: Operation, fact: str
) -> None:
    changed = {"serial": "999999", "user_id": world.user("Mallory")[0].id}[fact]
    with world.database.write() as connection:
        row = tables.card.c.id == approved.card_id
        rows.change(connection, tables.card, [row], {fact: changed})
    refused(world, approved, pc, ApprovalRejected, "another key, card or workstation")


@pytest.mark.parametrize("forged", ["certificate", "workstation"])
def test_an_approval_holds_for_the_workstation_that_was_shown(
    world: World, pc: Enrolled, approved: Operation, forged: str
) -> None:
    """The same row with another certificate, or the operation in another workstation's name."""
    other = world.workstation("PC-OF-MALLORY")
    if forged == "certificate":
        caller = replace(pc.identity, certificate_sha256=other.identity.certificate_sha256)
    else:
        forge(world, approved, workstation_id=other.identity.id)
        caller = replace(other.identity, certificate_sha256=pc.identity.certificate_sha256)
    with pytest.raises(ApprovalRejected, match="another key, card or workstation"):
        world.activation.perform(approved.id, [DIGEST], caller)


def test_a_session_that_was_opened_is_told_again_without_inputs_alone(
    world: World, pc: Enrolled, approved_session: Operation
) -> None:
    opened = world.activation.perform(approved_session.id, [], pc.identity)
    assert world.activation.perform(approved_session.id, [], pc.identity) == opened
    with pytest.raises(ApprovalRejected, match="input"):
        world.activation.perform(approved_session.id, [DIGEST], pc.identity)


def test_of_two_who_saw_the_approval_one_spends_it(
    world: World, pc: Enrolled, approved: Operation
) -> None:
    """The other uses the key after this one has checked everything."""
    signatures: list[bytes] = []
    times = 0

    def clock() -> datetime:
        nonlocal times
        times += 1
        if times == 2:  # the last thing before the approval is spent
            signatures.append(world.perform(approved, pc))
        return world.clock()

    late = replace(world.activation, clock=clock)
    with pytest.raises(OperationBusy, match="another call has just spent"):
        late.perform(approved.id, [DIGEST], pc.identity)
    assert len(signatures) == len(world.journal(Kind.OPERATION_USED)) == 1


class SlowBackend:
    """Answers so late that the use has been given up."""

    def __init__(self, world: World) -> None:
        self.world = world
        backend = world.custody.backends[SOFTWARE]
        self.make, self.destroy = backend.make, backend.destroy

    def use(self, key: HeldKey, key_use: KeyUse, inputs: Sequence[bytes]) -> list[bytes]:
        made = self.world.custody.use(key, key_use, inputs)
        self.world.clock.forward(seconds=STALLED_TIME.total_seconds() + 1)
        self.world.sweep()
        return made

    def destroy(self, key: HeldKey) -> None:
        """None is destroyed here."""


def slow(world: World) -> Keys:
    return Keys({SOFTWARE: SlowBackend(world)})


def test_no_signature_leaves_a_use_that_was_given_up(
    world: World, pc: Enrolled, approved: Operation
) -> None:
    world.activation = replace(world.activation, custody=slow(world))
    refused(world, approved, pc, NoResult, "given up")
    refused(world, approved, pc, NoResult, "failed")


def test_no_signature_leaves_a_sessions_use_that_was_given_up(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str
) -> None:
    session = world.session(serial, pc, ada[1])
    world.sessions = replace(world.sessions, custody=slow(world))
    with pytest.raises(NoResult, match="given up"):
        world.use(session, pc)


def test_a_session_of_a_card_that_was_suspended_is_not_used(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str
) -> None:
    session = world.session(serial, pc, ada[1])
    with world.database.write() as connection:  # the session stays open, as no use case does it
        assert cards.move(connection, session.card_id, CardEvent.SUSPEND, "lost")
    with pytest.raises(CardNotInUse):
        world.use(session, pc)


def test_a_session_whose_request_was_not_approved_is_not_used(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str
) -> None:
    real = world.session(serial, pc, ada[1])
    asked = world.ask(serial, pc, session=TERMS)
    for _ in range(2):
        with world.database.write() as connection:  # as somebody with the database might
            connection.execute(tables.session.delete().where(tables.session.c.id == asked.id))
            sessions.add(connection, replace(real, id=asked.id))
        with pytest.raises(SessionClosed, match="not approved"):
            world.use(replace(real, id=asked.id), pc)
        forge_decision(world, asked, ada[1], Decision.DENY)
        forge(world, asked, state=State.SUCCEEDED)


class LateBackend(SlowBackend):
    """Answers late, but before the use is given up."""

    def use(self, key: HeldKey, key_use: KeyUse, inputs: Sequence[bytes]) -> list[bytes]:
        self.world.clock.forward(seconds=SLOW_TIME.total_seconds())
        return self.world.custody.use(key, key_use, inputs)


class FailingBackend(SlowBackend):
    """Fails whenever a key is used."""

    def use(self, key: HeldKey, key_use: KeyUse, inputs: Sequence[bytes]) -> list[bytes]:
        raise KeyBackendUnavailable("away")


def test_a_use_that_failed_is_told_in_the_journal(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str
) -> None:
    session = world.session(serial, pc, ada[1])
    world.sessions = replace(world.sessions, custody=Keys({SOFTWARE: FailingBackend(world)}))
    with pytest.raises(KeyBackendUnavailable):
        world.use(session, pc)
    (used,), (failed,) = (
        world.journal(kind) for kind in (Kind.SESSION_USED, Kind.OPERATION_FAILED)
    )
    assert failed.details == {"session": session.id}
    assert (failed.operation_id, failed.key_id) == (used.operation_id, session.key_id)
    assert (str(failed.actor), failed.user_id) == (f"workstation {pc.identity.id}", ada[0].id)


class BelatedBackend(SlowBackend):
    """Fails after its use has been given up."""

    def use(self, key: HeldKey, key_use: KeyUse, inputs: Sequence[bytes]) -> list[bytes]:
        super().use(key, key_use, inputs)
        raise KeyBackendUnavailable("away")


def test_the_end_of_a_use_is_told_once(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str, approved: Operation
) -> None:
    """A use that failed after it was given up stood twice in the journal as failed, so that who
    subtracts failures counted too few.
    """
    world.activation = replace(world.activation, custody=Keys({SOFTWARE: BelatedBackend(world)}))
    with pytest.raises(KeyBackendUnavailable):
        world.perform(approved, pc)
    session = world.session(serial, pc, ada[1])
    world.sessions = replace(world.sessions, custody=Keys({SOFTWARE: BelatedBackend(world)}))
    with pytest.raises(KeyBackendUnavailable):
        world.use(session, pc)
    told = world.journal(Kind.OPERATION_FAILED, Kind.OPERATION_UNSETTLED)
    assert [(each.kind, each.actor) for each in told] == [
        (Kind.OPERATION_FAILED, KEYSTORE),
        (Kind.OPERATION_UNSETTLED, KEYSTORE),
    ]


def test_uses_of_keys_keep_no_other_use_waiting(
    world: World,
    ada: tuple[User, Enrolled],
    pc: Enrolled,
    approved: Operation,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Their transactions are shared, whatever comes of them."""
    session = world.session(world.card(ada[0]), pc, ada[1])
    failing = world.ask(world.card(ada[0]), pc)
    world.decide(failing, ada[1])
    made: list[bool] = []
    write = Database.write

    def watched(self: Database, *, shared: bool = False) -> AbstractContextManager[Connection]:
        made.append(shared)
        return write(self, shared=shared)

    monkeypatch.setattr(Database, "write", watched)
    world.perform(approved, pc)
    world.use(session, pc)
    usual = world.sessions
    world.sessions = replace(usual, custody=Keys({SOFTWARE: LateBackend(world)}))
    world.use(session, pc)
    away = Keys({SOFTWARE: FailingBackend(world)})
    world.activation = replace(world.activation, custody=away)
    refused(world, failing, pc, KeyBackendUnavailable, "away")
    world.sessions = replace(usual, custody=away)
    with pytest.raises(KeyBackendUnavailable):
        world.use(session, pc)
    assert set(made) == {True}
    assert len(made) >= 9


def test_an_approval_holds_for_the_inputs_that_were_shown(
    world: World, pc: Enrolled, approved: Operation
) -> None:
    for inputs in ([b"\x22" * 32], [DIGEST, DIGEST], []):
        with pytest.raises(ApprovalRejected, match="input is not the one"):
            world.activation.perform(approved.id, inputs, pc.identity)
    assert world.state(approved) is State.APPROVED


def test_only_an_operation_that_failed_is_told_as_failed(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, approved: Operation
) -> None:
    world.perform(approved, pc)
    assert world.journal(Kind.OPERATION_FAILED) == []
    failing = world.ask(world.card(ada[0]), pc)
    world.decide(failing, ada[1])
    world.activation = replace(world.activation, custody=Keys({SOFTWARE: FailingBackend(world)}))
    refused(world, failing, pc, KeyBackendUnavailable, "away")
    (failed,) = world.journal(Kind.OPERATION_FAILED)
    assert (failed.operation_id, str(failed.actor)) == (
        failing.id,
        f"workstation {pc.identity.id}",
    )
    assert world.state(failing) is State.FAILED


def test_a_session_takes_the_place_of_the_one_before(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str
) -> None:
    first = world.session(serial, pc, ada[1])
    others = [
        world.session(serial, world.workstation("PC2"), ada[1]),
        world.session(world.card(ada[0]), pc, ada[1]),
    ]
    second = world.session(serial, pc, ada[1])
    (ended,) = world.journal(Kind.SESSION_ENDED)
    assert (ended.operation_id, ended.details["why"]) == (first.id, "replaced")
    assert ended.actor == pc.identity.actor
    opened = world.journal(Kind.SESSION_OPENED)
    assert [entry.operation_id for entry in opened] == [
        first.id,
        *(other.id for other in others),
        second.id,
    ]
    terms = {"most_uses": TERMS.most_uses, "seconds": int(TERMS.time.total_seconds())}
    assert opened[-1].details.items() >= terms.items()
    assert opened[-1].details["policy"] == second.policy
    assert opened[-1].device_id == ada[1].identity.id
    assert {"statement", "payload", "device_signature"} <= opened[-1].evidence.keys()


def test_a_policy_that_changed_since_the_approval_counts(
    world: World, pc: Enrolled, approved_session: Operation
) -> None:
    world.set_policy(Policy())
    refused(world, approved_session, pc, SessionRefused, "no longer allows such a session")
    assert world.journal(Kind.SESSION_OPENED) == []
    assert world.state(approved_session) is State.APPROVED

"""Sessions: one approval, many uses; and everybody who wants more than was approved."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from sqlalchemy import func, select

from card_os.uses import KeyUse
from cloud_keystore.custody.backends.keys import Backend, Keys
from cloud_keystore.custody.backends.sharing import Sharing
from cloud_keystore.custody.sealing import rotation
from cloud_keystore.custody.sealing.envelope import KeyEncryptionKey
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.custody.use import using_sessions
from cloud_keystore.custody.use.unwritten import LONGEST
from cloud_keystore.custody.use.using_sessions import Used, UseRequest, UsingSessions
from cloud_keystore.model.actors import KEYSTORE
from cloud_keystore.model.cards import SOFTWARE, HeldKey
from cloud_keystore.model.errors import (
    ApprovalRejected,
    CardNotInUse,
    JustRefused,
    KeystoreError,
    MalformedKeyInput,
    NoResult,
    OperationBusy,
    OperationClosed,
    OperationNotFound,
    RequestIdReused,
    SessionClosed,
    SessionNotFound,
    SessionRefused,
    TooManyRefusals,
)
from cloud_keystore.model.journal import Kind, decode
from cloud_keystore.model.operations import QUIET_TIME, REFUSAL_LIMIT, STALLED_TIME, Decision, State
from cloud_keystore.model.people import User
from cloud_keystore.model.policies import Policy, SessionTerms
from cloud_keystore.model.sessions import Session, Use, inputs_sha256
from cloud_keystore.operations import sweeping
from cloud_keystore.storage import session_uses, tables
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.session_uses import Ended
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

OTHER = b"\x22" * 32


@pytest.fixture
def serial(world: World, ada: tuple[User, Enrolled]) -> str:
    """A card whose policy allows sessions."""
    world.set_policy(SESSIONS)
    return world.card(ada[0])


@pytest.fixture
def session(world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str) -> Session:
    """An open session of 9A."""
    return world.session(serial, pc, ada[1])


def kinds(world: World) -> list[Kind]:
    """What the journal tells, in order."""
    with world.database.read() as connection:
        entries = connection.execute(select(tables.journal.c.entry).order_by(tables.journal.c.id))
        return [decode(entry).kind for entry in entries.scalars()]


def test_one_approval_many_uses(world: World, pc: Enrolled, serial: str, session: Session) -> None:
    for digest in (DIGEST, OTHER):
        (signature,) = world.use(session, pc, digest)
        verify(world, serial, 0x9A, signature, digest)
    assert kinds(world)[-3:] == [Kind.SESSION_OPENED, Kind.SESSION_USED, Kind.SESSION_USED]


def test_several_inputs_at_once_come_back_in_order(
    world: World, pc: Enrolled, serial: str, session: Session
) -> None:
    digests = [bytes([n]) * 32 for n in range(5)]
    used = world.sessions.use(session.id, os.urandom(16), digests, pc.identity)
    for digest, signature in zip(digests, used.results, strict=True):
        verify(world, serial, 0x9A, signature, digest)
    assert used.uses_left == TERMS.most_uses - 5


def test_a_repeated_use_gives_the_same_results_and_takes_nothing(
    world: World, pc: Enrolled, session: Session
) -> None:
    request_id = os.urandom(16)
    first = world.sessions.use(session.id, request_id, [DIGEST], pc.identity)
    assert world.sessions.use(session.id, request_id, [DIGEST], pc.identity) == first


def test_the_last_use_can_be_repeated(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str
) -> None:
    session = world.session(serial, pc, ada[1], SessionTerms(1, timedelta(minutes=1)))
    request_id = os.urandom(16)
    first = world.use(session, pc, request_id=request_id)
    assert world.use(session, pc, request_id=request_id) == first
    with pytest.raises(SessionClosed):
        world.use(session, pc)


@pytest.mark.parametrize("inputs", [(OTHER,), (DIGEST, DIGEST), ()])
def test_a_request_id_is_not_taken_for_other_inputs(
    world: World, pc: Enrolled, session: Session, inputs: tuple[bytes, ...]
) -> None:
    request_id = os.urandom(16)
    world.use(session, pc, request_id=request_id)
    with pytest.raises(KeystoreError) as refused:
        world.sessions.use(session.id, request_id, inputs, pc.identity)
    if inputs:
        assert isinstance(refused.value, RequestIdReused)


def test_an_approved_session_is_opened_once(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str
) -> None:
    operation = world.ask(serial, pc, session=TERMS)
    world.decide(operation, ada[1])
    first = world.activation.perform(operation.id, [], pc.identity).session
    assert first is not None
    world.use(first, pc)
    again = world.activation.perform(operation.id, [], pc.identity).session
    assert again == replace(first, uses_left=first.uses_left - 1)
    assert kinds(world).count(Kind.SESSION_OPENED) == 1


def test_a_session_counts_its_uses(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str
) -> None:
    session = world.session(serial, pc, ada[1], SessionTerms(3, timedelta(hours=1)))
    world.use(session, pc, DIGEST, DIGEST)
    with pytest.raises(SessionClosed, match="2 uses"):
        world.use(session, pc, DIGEST, DIGEST)
    world.use(session, pc)
    with pytest.raises(SessionClosed):
        world.use(session, pc)


def test_a_session_lasts_from_the_approval(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str
) -> None:
    operation = world.ask(serial, pc, session=SessionTerms(9, timedelta(minutes=5)))
    world.decide(operation, ada[1])
    world.clock.forward(seconds=50)
    session = world.activation.perform(operation.id, [], pc.identity).session
    assert session is not None
    world.clock.forward(seconds=249)
    world.use(session, pc)
    world.clock.forward(seconds=1)
    with pytest.raises(SessionClosed):
        world.use(session, pc)


def test_a_clock_set_back_opens_no_session_that_ended(
    world: World, pc: Enrolled, session: Session
) -> None:
    world.clock.forward(hours=-1)
    with pytest.raises(SessionClosed):
        world.use(session, pc)
    world.clock.forward(hours=2)
    with pytest.raises(SessionClosed):
        world.use(session, pc)
    world.sweep()
    world.clock.forward(minutes=-30)
    with pytest.raises(SessionClosed):
        world.use(session, pc)


def test_another_workstation_uses_and_ends_nothing(
    world: World, pc: Enrolled, session: Session
) -> None:
    other = world.workstation("PC-OF-MALLORY")
    for attempt in (
        lambda: world.use(session, other),
        lambda: world.sessions.end(session.id, other.identity),
        lambda: world.activation.perform(session.id, [], other.identity),
    ):
        with pytest.raises((SessionNotFound, OperationNotFound)):
            attempt()
    world.use(session, pc)


def test_a_use_is_no_operation_to_perform(world: World, pc: Enrolled, session: Session) -> None:
    request_id = os.urandom(16)
    world.use(session, pc, request_id=request_id)
    with world.database.read() as connection:
        use = session_uses.find_by_request(connection, session.id, request_id)
    assert use is not None
    with pytest.raises(OperationNotFound):
        world.activation.perform(use.id, [DIGEST], pc.identity)


@pytest.mark.parametrize("profile", ["p256", "v2", "developer"])
def test_no_session_of_a_key_that_signs_content(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, profile: str
) -> None:
    world.set_policy(SESSIONS)
    serial = world.card(ada[0], profile)
    algorithm = 0x07 if profile == "v2" else 0x11
    with pytest.raises(SessionRefused, match="content"):
        world.ask(serial, pc, key_ref=0x9C, algorithm=algorithm, session=TERMS)


def test_a_key_that_has_become_one_that_signs_content_is_not_used(
    world: World, pc: Enrolled, session: Session
) -> None:
    with world.database.write() as connection:  # as no use case does it
        of_9c = tables.key.c.key_ref == 0x9C
        rows.change(connection, tables.key, [of_9c], {"key_ref": 0x95})
        of_session = tables.key.c.id == session.key_id
        rows.change(connection, tables.key, [of_session], {"key_ref": 0x9C})
    with pytest.raises(SessionClosed):
        world.use(session, pc)


@pytest.mark.parametrize(
    "terms", [replace(TERMS, most_uses=101), replace(TERMS, time=timedelta(seconds=3601))]
)
def test_no_session_beyond_the_policy(
    world: World, pc: Enrolled, serial: str, terms: SessionTerms
) -> None:
    with pytest.raises(SessionRefused):
        world.ask(serial, pc, session=terms)


def test_no_session_without_a_policy(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    with pytest.raises(SessionRefused):
        world.ask(world.card(ada[0]), pc, session=SessionTerms(1, timedelta(seconds=1)))


@pytest.mark.parametrize(
    "policy",
    [
        Policy(),
        Policy(session=SessionTerms(50, timedelta(hours=1))),
        Policy(session=SessionTerms(100, timedelta(seconds=1))),
    ],
)
def test_a_policy_made_stricter_ends_sessions_and_approvals(
    world: World,
    ada: tuple[User, Enrolled],
    pc: Enrolled,
    serial: str,
    session: Session,
    policy: Policy,
) -> None:
    operation = world.ask(serial, pc, session=TERMS)
    world.decide(operation, ada[1])
    world.set_policy(policy)
    world.clock.forward(seconds=1)
    with pytest.raises(SessionClosed, match="policy"):
        world.use(session, pc)
    with pytest.raises(SessionRefused, match="policy"):
        world.activation.perform(operation.id, [], pc.identity)


def test_a_refused_or_late_session_is_none(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str
) -> None:
    refused = world.ask(serial, pc, session=TERMS)
    world.decide(refused, ada[1], Decision.DENY)
    with pytest.raises(OperationClosed, match="denied"):
        world.activation.perform(refused.id, [], pc.identity)
    world.clock.forward(seconds=10)
    late = world.ask(serial, pc, session=TERMS)
    world.decide(late, ada[1])
    world.clock.forward(seconds=60)
    with pytest.raises(OperationClosed, match="expired"):
        world.activation.perform(late.id, [], pc.identity)


def test_the_approval_of_a_session_signs_nothing_and_that_of_a_use_opens_none(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str
) -> None:
    asked = world.ask(serial, pc, session=TERMS)
    world.decide(asked, ada[1])
    with pytest.raises(ApprovalRejected):
        world.activation.perform(asked.id, [DIGEST], pc.identity)
    with world.database.write() as connection:  # whoever turns the row cannot turn the payload
        rows.change(connection, tables.operation, [tables.operation.c.id == asked.id], {"kind": 1})
    with pytest.raises(ApprovalRejected):
        world.activation.perform(asked.id, [], pc.identity)


@pytest.mark.parametrize("data", [b"", b"\x11" * 65])
def test_inputs_are_checked_as_ever(
    world: World, pc: Enrolled, session: Session, data: bytes
) -> None:
    with pytest.raises(MalformedKeyInput):
        world.use(session, pc, DIGEST, data)
    used = world.sessions.use(session.id, os.urandom(16), [DIGEST], pc.identity)
    assert used.uses_left == TERMS.most_uses - 1


ENDINGS: dict[str, Callable[[World, str, Enrolled, Session], object]] = {
    "workstation": lambda world, _, pc, session: world.sessions.end(session.id, pc.identity),
    "suspended": lambda world, serial, *_: world.cards.suspend(serial, actor=OPERATOR),
    "resumed": lambda world, serial, *_: (
        world.cards.suspend(serial, actor=OPERATOR),
        world.cards.resume(serial, actor=OPERATOR),
    ),
    "revoked": lambda world, serial, *_: world.cards.revoke(serial, "lost", actor=OPERATOR),
    "passcode changed": lambda world, serial, pc, _: world.passcodes.change(
        serial, 0x80, PASSCODE, b"246802", pc.identity
    ),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_ends_a_session(
    world: World, pc: Enrolled, serial: str, session: Session, ending: str
) -> None:
    ENDINGS[ending](world, serial, pc, session)
    with pytest.raises((SessionClosed, CardNotInUse)):
        world.use(session, pc)
    assert kinds(world).count(Kind.SESSION_ENDED) == 1


def test_a_new_session_replaces_the_one_of_that_key_there(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str, session: Session
) -> None:
    other_pc = world.workstation("PC2")
    elsewhere = world.session(serial, other_pc, ada[1])
    newer = world.session(serial, pc, ada[1])
    with pytest.raises(SessionClosed):
        world.use(session, pc)
    world.use(newer, pc)
    world.use(elsewhere, other_pc)


def test_results_are_kept_through_a_rotation_of_the_sealing_key(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str, session: Session
) -> None:
    request_id = os.urandom(16)
    operation = world.ask(serial, pc)
    world.decide(operation, ada[1])
    made = world.perform(operation, pc), world.use(session, pc, request_id=request_id)
    keys = (KeyEncryptionKey.of(b"\x08" * 32), KeyEncryptionKey.of(b"\x07" * 32))
    renewed = sum(
        rotation.rotate(world.database, Seal(b"\x07" * 32, os.urandom, keys), world.clock)
    )
    assert renewed > 2
    only_new = Seal(b"\x07" * 32, os.urandom, keys[:1])
    world.activation = replace(world.activation, seal=only_new)
    world.sessions = replace(world.sessions, seal=only_new)
    again = world.perform(operation, pc), world.use(session, pc, request_id=request_id)
    assert again == made


def test_results_wait_for_no_more_than_a_few_uses(
    world: World, pc: Enrolled, session: Session
) -> None:
    certificate = pc.identity.certificate_sha256

    def kept() -> int:
        with world.database.read() as connection:
            ended = select(func.count()).where(tables.session_use.c.end_time.is_not(None))
            return connection.execute(ended).scalar_one()

    def use() -> None:
        request = UseRequest(session.id, os.urandom(16), (DIGEST,), certificate)
        world.sessions.use_all([request], lambda *_: None)

    use()
    use()
    assert kept() == 0
    world.clock.forward(seconds=LONGEST.total_seconds())
    use()
    assert kept() == 2
    for _ in range(2):
        use()
    assert kept() == 2
    world.sessions.write_results()
    assert kept() == 5


def test_a_use_whose_process_died_is_spent(
    world: World, pc: Enrolled, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = os.urandom(16)
    with monkeypatch.context() as died:

        class Died(BaseException):
            """The process is gone: nothing after this runs."""

        def die(*_: object) -> bytes:
            raise Died

        died.setattr(session_uses, "end", die)
        with pytest.raises(Died):
            world.use(session, pc, request_id=request_id)
    old = world.sessions
    world.sessions = UsingSessions(old.database, old.seal, old.clock, old.random, old.custody)
    with pytest.raises(OperationBusy):
        world.use(session, pc, request_id=request_id)
    world.clock.forward(seconds=STALLED_TIME.total_seconds())
    world.sweep()
    with pytest.raises(NoResult, match="spent"):
        world.use(session, pc, request_id=request_id)
    assert not world.journal(Kind.OPERATION_FAILED)
    used = world.sessions.use(session.id, os.urandom(16), [DIGEST], pc.identity)
    assert used.uses_left == TERMS.most_uses - 2


def test_a_use_is_spent_as_soon_as_its_process_is_known_to_be_gone(
    world: World, session: Session
) -> None:
    uses = [
        Use(str(each), session.id, bytes([each]), b"", world.clock(), used_by=each)
        for each in (1, 2)
    ]
    with world.database.write() as connection:
        session_uses.add(connection, uses)
        assert session_uses.users(connection) == {1, 2}
        assert not sweeping.needs_sweep(connection, world.clock(), STALLED_TIME, {3})
        assert sweeping.needs_sweep(connection, world.clock(), STALLED_TIME, {1})
        sweeping.sweep(connection, world.clock(), STALLED_TIME, {1})
        assert session_uses.users(connection) == {2}
        # It only slept, and wakes up with a result.
        assert not session_uses.end(connection, [Ended("1", b"sealed", world.clock())])
    (unsettled,) = world.journal(Kind.OPERATION_UNSETTLED)
    assert unsettled.time == world.clock()


def test_a_use_that_was_answered_is_never_called_failed(
    world: World, pc: Enrolled, session: Session
) -> None:
    """A kill between the answer and the writing of the result had the journal say `failed` of 169
    of 33,000 uses whose signatures their callers held: who subtracts failures counts too few.
    """
    request = UseRequest(
        session.id, os.urandom(16), (DIGEST,), pc.identity.certificate_sha256, "trace"
    )
    answered: list[object] = []
    world.sessions.use_all([request], lambda _, outcome: answered.append(outcome))
    assert isinstance(answered[0], Used)
    old = world.sessions  # its process is killed, with the result that it has not written
    world.sessions = UsingSessions(old.database, old.seal, old.clock, old.random, old.custody)
    world.clock.forward(seconds=STALLED_TIME.total_seconds())
    world.sweep()
    assert not world.journal(Kind.OPERATION_FAILED)
    (used,), (unsettled,) = (
        world.journal(kind) for kind in (Kind.SESSION_USED, Kind.OPERATION_UNSETTLED)
    )
    assert unsettled.operation_id == used.operation_id
    assert (unsettled.actor, unsettled.details) == (KEYSTORE, {"session": session.id})
    with pytest.raises(NoResult, match="process ended"):
        world.use(session, pc, request_id=request.request_id)


def test_racers_take_no_more_than_there_is(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str
) -> None:
    session = world.session(serial, pc, ada[1], SessionTerms(5, timedelta(hours=1)))

    def race(_: int) -> bool:
        try:
            world.use(session, pc)
        except SessionClosed:
            return False
        return True

    with ThreadPoolExecutor(8) as racers:
        assert sum(racers.map(race, range(16))) == 5


def test_racers_with_one_request_make_one_use(world: World, pc: Enrolled, session: Session) -> None:
    request_id = os.urandom(16)

    def race(_: int) -> tuple[bytes, ...] | None:
        try:
            return world.use(session, pc, request_id=request_id)
        except OperationBusy:
            return None

    with ThreadPoolExecutor(4) as racers:
        made = {result for result in racers.map(race, range(8)) if result}
    assert len(made) == 1
    assert kinds(world).count(Kind.SESSION_USED) == 1


def test_a_group_uses_its_keys_at_once(
    world: World, pc: Enrolled, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group was as slow as its keys one after the other, whatever processors there were."""
    monkeypatch.setattr(using_sessions, "BRIEF", frozenset())
    met, old = threading.Barrier(2), world.sessions

    class Meeting:
        """Keys of which each use waits for another one."""

        def use(self, key: HeldKey, key_use: KeyUse, inputs: Sequence[bytes]) -> list[bytes]:
            met.wait(60)
            return old.custody.use(key, key_use, inputs)

    sharing = UsingSessions(
        old.database,
        old.seal,
        old.clock,
        old.random,
        Keys({SOFTWARE: cast(Backend, Meeting())}),
        _sharing=Sharing(2),
    )
    certificate, same = pc.identity.certificate_sha256, os.urandom(16)
    requests = [
        UseRequest(session.id, same, (DIGEST,), certificate),
        UseRequest(session.id, same, (DIGEST,), certificate),
        UseRequest(session.id, os.urandom(16), (b"",), certificate),
        UseRequest(session.id, os.urandom(16), (OTHER,), certificate),
    ]
    outcomes: dict[int, object] = {}
    sharing.use_all(requests, outcomes.__setitem__)
    first, repeated, refused, last = (outcomes[each] for each in range(4))
    assert isinstance(first, Used)
    assert isinstance(repeated, Used)
    assert isinstance(last, Used)
    assert repeated.results == first.results != last.results
    assert isinstance(refused, MalformedKeyInput)
    assert len(world.journal(Kind.SESSION_USED)) == 2


def test_the_operation_of_a_session_has_succeeded(
    world: World, pc: Enrolled, session: Session
) -> None:
    assert world.asking.find(session.id, pc.identity).state is State.SUCCEEDED


def test_the_journal_holds_what_a_session_rests_on(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, session: Session
) -> None:
    world.use(session, pc)
    with world.database.read() as connection:
        found = connection.execute(select(tables.journal.c.entry).order_by(tables.journal.c.id))
        told = {entry.kind: entry for entry in map(decode, found.scalars())}
    opened, used = told[Kind.SESSION_OPENED], told[Kind.SESSION_USED]
    statement = opened.evidence["statement"]
    assert statement.endswith(opened.evidence["payload"])
    ada[1].private.public_key().verify(
        opened.evidence["device_signature"], statement, ec.ECDSA(SHA256())
    )
    assert str(opened.actor) == str(used.actor) == f"workstation {pc.identity.id}"
    assert (used.details["session"], used.details["inputs"]) == (session.id, 1)
    assert used.evidence["input_sha256"] == inputs_sha256([DIGEST])
    assert opened.details["policy"] == used.details["policy"] == session.policy == "*/*/1"


def test_no_two_sequences_of_inputs_have_one_hash() -> None:
    sequences = [[b"ab"], [b"a", b"b"], [b"b", b"a"], [b"ab", b""], [b"", b"ab"], []]
    assert len({inputs_sha256(each) for each in sequences}) == len(sequences)


class TestFatigue:
    """Whoever has a passcode and a workstation still cannot make a phone ring without end."""

    def test_one_request_is_open_at_a_time(self, world: World, pc: Enrolled, serial: str) -> None:
        asked = world.ask(serial, pc, session=TERMS)
        use = world.ask(serial, pc)
        assert world.state(asked) is State.CANCELLED
        world.ask(serial, pc, session=TERMS)
        assert world.state(use) is State.CANCELLED

    def test_requests_for_sessions_count(
        self, world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str
    ) -> None:
        for _ in range(REFUSAL_LIMIT):
            world.decide(world.ask(serial, pc, session=TERMS), ada[1], Decision.DENY)
            with pytest.raises(JustRefused):
                world.ask(serial, pc, session=TERMS)
            world.clock.forward(seconds=QUIET_TIME.total_seconds())
        with pytest.raises(TooManyRefusals):
            world.ask(serial, pc, session=TERMS)

    def test_uses_of_a_session_are_no_refusals(
        self, world: World, pc: Enrolled, serial: str, session: Session
    ) -> None:
        for _ in range(2 * REFUSAL_LIMIT):
            world.use(session, pc)
        assert world.ask(serial, pc, key_ref=0x9C).state is State.PENDING

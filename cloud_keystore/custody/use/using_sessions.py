"""Uses of private keys in a session that the holder has approved.

Uses that are requested at the same time are handled together: one transaction records them, then
the keys are used, on several processors at once if they compute for long.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import TypeAlias

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from cloud_keystore.audit import entries, journal
from cloud_keystore.custody.backends.keys import Keys
from cloud_keystore.custody.backends.sharing import BRIEF, Sharing
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.custody.use import padding, releasing, results
from cloud_keystore.custody.use.closing import end_sessions
from cloud_keystore.custody.use.commitment import commits
from cloud_keystore.custody.use.unwritten import Unwritten
from cloud_keystore.model.actors import Actor, ActorKind
from cloud_keystore.model.cards import CardState, Destroyed
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.errors import (
    CardNotInUse,
    InvalidInput,
    KeyNotFound,
    KeystoreError,
    NoResult,
    OperationBusy,
    RecordDamaged,
    RequestIdReused,
    ResultWithheld,
    SessionClosed,
    SessionNotFound,
)
from cloud_keystore.model.fields.request_ids import REUSED, check_request_id
from cloud_keystore.model.journal import Entry, Kind
from cloud_keystore.model.people import Identity, IdentityState
from cloud_keystore.model.policies import MOST_INPUTS
from cloud_keystore.model.sessions import Session, Use, inputs_sha256, still_allowed
from cloud_keystore.model.tracing import TRACE_ID
from cloud_keystore.storage import session_uses, sessions
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.session_uses import Ended, Subject
from cloud_keystore.storage.sessions import Which

# After this, others can have given up the use, as its process seemed not to live.
SLOW_TIME = timedelta(seconds=2)
NOT_ITS_OWN = "this workstation has no such session"


@dataclass(frozen=True, slots=True)
class UseRequest:
    """A request for uses of a session. The caller's TLS certificate identifies it."""

    session_id: str
    request_id: bytes
    inputs: tuple[bytes, ...]
    certificate_sha256: bytes | None
    trace_id: str = ""


@dataclass(frozen=True, slots=True)
class Used:
    """A result for each input, and how many uses the session has left."""

    results: tuple[bytes, ...]
    uses_left: int
    workstation_id: str


@dataclass(frozen=True, slots=True)
class _Taken:
    """A use that is recorded, but whose key has not been used yet."""

    use: Use
    subject: Subject
    request: UseRequest
    uses_left: int


@dataclass(frozen=True, slots=True)
class _Repeated:
    """A request that the session's workstation has made before."""

    request: UseRequest
    session: Session


Outcome: TypeAlias = "Used | Exception"
Done: TypeAlias = Callable[[int, Outcome], None]
Answers: TypeAlias = "dict[int, _Taken | _Repeated | Exception]"  # by place in the group


@dataclass(frozen=True, slots=True)
class UsingSessions:
    """The use cases of open sessions."""

    database: Database
    seal: Seal
    clock: Clock
    random: Random
    custody: Keys
    process: int = 0  # the number of this process among those of the service
    _unwritten: Unwritten = field(default_factory=Unwritten)
    _sharing: Sharing = field(default_factory=Sharing)

    def use(
        self, session_id: str, request_id: bytes, inputs: Sequence[bytes], workstation: Identity
    ) -> Used:
        """Take one use from the session for each input, and use its key. A repeated request returns
        the earlier results.

        Raises SessionNotFound, SessionClosed, CardNotInUse, KeyNotFound, MalformedKeyInput,
        RequestIdReused, OperationBusy, NoResult, InvalidInput.
        """
        certificate, trace_id = workstation.certificate_sha256, TRACE_ID.get()
        request = UseRequest(session_id, request_id, tuple(inputs), certificate, trace_id)
        outcomes: list[Outcome] = []
        self.use_all([request], lambda _, outcome: outcomes.append(outcome))
        self.write_results()
        (outcome,) = outcomes
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def use_all(self, requests: Sequence[UseRequest], done: Done) -> None:
        """Do the same for several requests; `done` gets each outcome with the request's place.

        The uses are committed, with their journal entries, before any key is used: a crash in
        between costs the uses. The results are stored for repeated requests a little later, by a
        following transaction or by `write_results`: a crash before that loses the results, and the
        journal calls the uses unsettled, because their callers can have been answered.
        """
        try:
            answers = self._take_or_repeat(requests)
        except Exception as error:
            answers = dict.fromkeys(range(len(requests)), error)
        long = [(place, each) for place, each in answers.items() if _is_long(each)]
        for at, outcome in self._sharing.each(long, lambda one: self._outcome(one[1])):
            done(long[at][0], outcome)
        # After them, because there can be repetitions of them
        for place, answer in answers.items():
            if not _is_long(answer):
                done(place, self._outcome(answer))

    def write_results(self) -> None:
        """Store the results that are still waiting, for repeated requests."""
        with self._unwritten.all() as ended:
            if ended:
                with self.database.write(shared=True) as connection:
                    session_uses.end(connection, ended)

    def end(self, session_id: str, workstation: Identity) -> None:
        """End a session of this workstation; does nothing if it has ended already.

        Raises SessionNotFound.
        """
        with self.database.read() as connection:
            session = sessions.find(connection, session_id)
        if session is None or session.workstation_id != workstation.id:
            raise SessionNotFound(NOT_ITS_OWN)
        with self.database.write() as connection:
            now, actor = self.clock(), workstation.actor
            end_sessions(connection, now, actor, "workstation", Which(session_id=session_id))

    def _take_or_repeat(self, requests: Sequence[UseRequest]) -> Answers:
        # Repeated requests are rare, so they are looked up only after the database reports one.
        for look in (False, True):
            with suppress(IntegrityError):
                return self._take(requests, look=look)
        # Another replica was faster with one of the requests. Taken one by one, they show which.
        answers: Answers = {}
        for place, request in enumerate(requests):
            try:
                answers[place] = self._take([request], look=True)[0]
            except IntegrityError:
                answers[place] = OperationBusy("another replica uses the key: ask again")
        return answers

    def _take(self, requests: Sequence[UseRequest], *, look: bool) -> Answers:
        """Record all allowed uses and take them from their sessions, in one transaction.

        Raises IntegrityError if another replica records one of the requests at the same moment, or
        if one was made before: without `look`, earlier requests are not looked up.
        """
        due = self._unwritten.due(self.clock())
        with due as ended, self.database.write(shared=True) as connection:
            now = self.clock()
            if ended:
                session_uses.end(connection, ended)
            subjects = session_uses.find(connection, {each.session_id for each in requests})
            answers = self._judge(requests, subjects, frozenset(), now)
            if look or any(isinstance(each, KeystoreError) for each in answers.values()):
                # A refused request can be a repeated one, such as that for the last use.
                asked = {(each.session_id, each.request_id) for each in requests}
                seen = session_uses.seen(connection, asked)
                answers = self._judge(requests, subjects, seen, now)
            _write(connection, answers)
            return answers

    def _judge(
        self,
        requests: Sequence[UseRequest],
        subjects: Mapping[str, Subject | RecordDamaged],
        seen: Set[tuple[str, bytes]],
        now: datetime,
    ) -> Answers:
        """Decide which uses are taken; `seen` are the requests that were made before."""
        answers: Answers = {}
        left = {
            name: 0 if isinstance(subject, RecordDamaged) else subject.session.uses_left
            for name, subject in subjects.items()
        }
        met = set(seen)
        for place, request in enumerate(requests):
            name = request.session_id
            try:
                subject = _called(subjects.get(name), request, now)
                if (name, request.request_id) in met:
                    answers[place] = _Repeated(request, subject.session)
                    continue
                _check_request(subject, request, left[name], now)
            except KeystoreError as refused:
                answers[place] = refused
                continue
            met.add((name, request.request_id))
            left[name] -= len(request.inputs)
            use_id = new_id(now, self.random)
            use = Use(
                id=use_id,
                session_id=name,
                request_id=request.request_id,
                input_sha256=inputs_sha256(request.inputs),
                create_time=now,
                used_by=self.process,
            )
            answers[place] = _Taken(use, subject, request, left[name])
        return answers

    def _outcome(self, answer: _Taken | _Repeated | Exception) -> Outcome:
        try:
            match answer:
                case _Taken():
                    return self._perform(answer)
                case _Repeated():
                    return self._repeated(answer)
                case _:
                    return answer
        except Exception as error:
            return error

    def _perform(self, taken: _Taken) -> Used:
        use, session = taken.use, taken.subject.session
        sealed_result = None
        try:
            made = releasing.use(
                self.custody, taken.subject.key, session.key_use, taken.request.inputs
            )
            sealed_result = results.close(self.seal, use.id, made)
        except ResultWithheld:
            # One blinded block in 65,000 looks like a message, and a session can allow as many
            # tries, so the first block that is none ends it.
            with self.database.write() as connection:
                now, which = self.clock(), Which(session_id=session.id)
                end_sessions(connection, now, _actor(session), "withheld", which)
            raise
        finally:
            if sealed_result is None:
                with self.database.write(shared=True) as connection:
                    now = self.clock()
                    if session_uses.end(connection, [Ended(use.id, None, now)]):
                        failed = entries.use_failed(use.id, session, now, _actor(session))
                        journal.append(connection, failed)
        ended = Ended(use.id, sealed_result, self.clock())
        if ended.time - use.create_time < SLOW_TIME:
            self._unwritten.add(ended)
        else:
            with self.database.write(shared=True) as connection:
                kept = session_uses.end(connection, [ended])
            if not kept:
                raise NoResult("the use was given up before its key had answered")
        return Used(tuple(made), taken.uses_left, session.workstation_id)

    def _repeated(self, repeated: _Repeated) -> Used:
        """Return the results that this request has had before."""
        self.write_results()
        request, session = repeated.request, repeated.session
        with self.database.read() as connection:
            use = session_uses.find_by_request(connection, session.id, request.request_id)
        if use is None or not compare_digest(use.input_sha256, inputs_sha256(request.inputs)):
            raise RequestIdReused(REUSED)
        if use.end_time is None:
            raise OperationBusy("the key is being used: ask again")
        if use.sealed_result is None:
            raise NoResult(
                "the use is spent, and its result is not kept: its key failed, its process ended "
                "too early, or it was too long ago"
            )
        kept = results.open_(self.seal, use.id, use.sealed_result)
        return Used(tuple(kept), session.uses_left, session.workstation_id)


def _is_long(answer: _Taken | _Repeated | Exception) -> bool:
    """Whether a key computes for so long that others should compute meanwhile."""
    return isinstance(answer, _Taken) and answer.subject.key.algorithm not in BRIEF


def _called(subject: Subject | RecordDamaged | None, request: UseRequest, now: datetime) -> Subject:
    """Return the session of a request. Raises SessionNotFound unless its own workstation calls, and
    RecordDamaged if its record cannot be read.
    """
    if isinstance(subject, RecordDamaged):
        raise subject
    if subject is None or subject.workstation_state is not IdentityState.ACTIVE:
        raise SessionNotFound(NOT_ITS_OWN)
    until = subject.certificates.get(request.certificate_sha256 or b"")
    if until is None or until <= now:
        raise SessionNotFound(NOT_ITS_OWN)
    return subject


def _check_request(subject: Subject, request: UseRequest, left: int, now: datetime) -> None:
    """Raise the reason if a request that was not made before is refused."""
    check_request_id(request.request_id)
    count = len(request.inputs)
    if not 1 <= count <= MOST_INPUTS:
        raise InvalidInput(f"give 1 to {MOST_INPUTS} inputs")
    _check_open(subject, now)
    for each in request.inputs:
        padding.check(subject.session.key_use, subject.key.algorithm, each)
    if count > left:
        raise SessionClosed(f"the session does not have {count} uses left")


def _check_open(subject: Subject, now: datetime) -> None:
    """Raise the reason if the session cannot be used at all."""
    if not subject.approved:
        raise SessionClosed("the session was not approved: ask the holder anew")
    if not subject.session.is_open(now):
        raise SessionClosed("the session has ended: ask the holder anew")
    if subject.card_state is not CardState.ACTIVE:
        raise CardNotInUse("the card is no longer in use")
    if isinstance(subject.key.private, Destroyed):
        raise KeyNotFound("the key has been destroyed")
    if commits(subject.key) or not still_allowed(subject.session, subject.policy, now):
        raise SessionClosed("the policy in force allows no such session: ask for each use")


def _write(connection: Connection, answers: Answers) -> None:
    """Record the uses that are taken."""
    taken = [answer for answer in answers.values() if isinstance(answer, _Taken)]
    # What is left after the last use of a session is what is left of the session.
    last = {each.use.session_id: each for each in taken}
    if taken:
        left = [(each.subject, each.uses_left) for each in last.values()]
        session_uses.leave(connection, left, taken[-1].use.create_time)
        session_uses.add(connection, [each.use for each in taken])
        journal.append(connection, *map(_used, taken))


def _used(taken: _Taken) -> Entry:
    use, session = taken.use, taken.subject.session
    return entries.about_use(
        Kind.SESSION_USED,
        use.id,
        session,
        use.create_time,
        _actor(session),
        {"inputs": len(taken.request.inputs), "policy": session.policy},
        {"input_sha256": use.input_sha256},
        trace_id=taken.request.trace_id,
    )


def _actor(session: Session) -> Actor:
    """The workstation of a session, because no other one can use it."""
    return Actor(ActorKind.WORKSTATION, session.workstation_id)

"""The other door to private keys: a use in a session that the holder has approved.

Uses that are asked for at one time are taken together: one transaction, one commit, then the keys.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hmac import compare_digest
from typing import TypeAlias

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from cloud_keystore.audit import journal
from cloud_keystore.custody import padding, results
from cloud_keystore.custody.backends import Keys
from cloud_keystore.custody.closing import end_sessions
from cloud_keystore.custody.commitment import commits
from cloud_keystore.custody.sealing import Seal
from cloud_keystore.custody.unwritten import Unwritten
from cloud_keystore.model.cards import CardState, Key
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.errors import (
    CardNotInUse,
    InvalidInput,
    KeyNotFound,
    KeystoreError,
    OperationBusy,
    OperationClosed,
    RecordDamaged,
    RequestIdReused,
    SessionClosed,
    SessionNotFound,
)
from cloud_keystore.model.journal import Event, Kind
from cloud_keystore.model.operations import STALLED_TIME, USE_TIME, Operation, State
from cloud_keystore.model.people import Identity, IdentityState
from cloud_keystore.model.policies import MOST_INPUTS
from cloud_keystore.model.requests import check_request_id
from cloud_keystore.model.sessions import Session, inputs_sha256, still_allowed
from cloud_keystore.model.tracing import TRACE_ID
from cloud_keystore.storage import operations, policies, session_uses, sessions
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.session_uses import Ended, Subject

SLOW_TIME = STALLED_TIME / 2  # after which the use may have been given up
NOT_ITS_OWN = "this workstation has no such session"


@dataclass(frozen=True, slots=True)
class UseRequest:
    """What is asked for. The caller is known by the certificate of its TLS connection."""

    session_id: str
    request_id: bytes
    inputs: tuple[bytes, ...]
    certificate_sha256: bytes | None
    trace_id: str = ""


@dataclass(frozen=True, slots=True)
class Used:
    """A result for each input, and what is left of the session."""

    results: tuple[bytes, ...]
    uses_left: int
    workstation_id: str


@dataclass(frozen=True, slots=True)
class _Taken:
    """A use that is written down; its key is still to be used."""

    use: Operation
    key: Key
    inputs: tuple[bytes, ...]
    uses_left: int


@dataclass(frozen=True, slots=True)
class _Repeated:
    """A request that was made before, by the session's workstation."""

    request: UseRequest
    session: Session


Outcome: TypeAlias = "Used | Exception"
Done: TypeAlias = Callable[[int, Outcome], None]
Answers: TypeAlias = "dict[int, _Taken | _Repeated | Exception]"  # by places in a group


@dataclass(frozen=True, slots=True)
class UsingSessions:
    """The use cases of open sessions."""

    database: Database
    seal: Seal
    clock: Clock
    random: Random
    custody: Keys
    _unwritten: Unwritten = field(default_factory=Unwritten)

    def use(
        self, session_id: str, request_id: bytes, inputs: Sequence[bytes], workstation: Identity
    ) -> Used:
        """Take as many uses as there are inputs from the session and use its key for each;
        repeated, return the results made before.

        Raises SessionNotFound, SessionClosed, CardNotInUse, KeyNotFound, MalformedKeyInput,
        RequestIdReused, OperationBusy, OperationClosed, InvalidInput.
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
        """The same for several requests; each outcome goes to `done`, with the request's place.

        What is taken is committed, with its journal entries, before any key is used: a crash in
        between costs the uses. What keys have made is kept for repeated requests a little later, by
        the next transaction or `write_results`: a crash before that costs what was to be kept, and
        the journal calls the use failed.
        """
        try:
            answers = self._take_or_repeat(requests)
        except Exception as error:
            answers = dict.fromkeys(range(len(requests)), error)
        for place, answer in answers.items():
            done(place, self._outcome(answer))

    def write_results(self) -> None:
        """Keep what keys have made for repeated requests."""
        with self._unwritten.written() as ended:
            if ended:
                with self.database.write(shared=True) as connection:
                    session_uses.end(connection, ended)

    def end(self, session_id: str, workstation: Identity) -> None:
        """Close a session of this workstation; one that has ended stays so.

        Raises SessionNotFound.
        """
        with self.database.read() as connection:
            session = sessions.find(connection, session_id)
        if session is None or session.workstation_id != workstation.id:
            raise SessionNotFound(NOT_ITS_OWN)
        with self.database.write() as connection:
            actor = f"workstation {workstation.id}"
            end_sessions(connection, self.clock(), actor, "workstation", session_id=session_id)

    def _take_or_repeat(self, requests: Sequence[UseRequest]) -> Answers:
        try:
            return self._take(requests)
        except IntegrityError:
            # Another replica was quicker with one of them. Which one shows when each goes alone.
            answers: Answers = {}
            for place, request in enumerate(requests):
                try:
                    answers[place] = self._take([request])[0]
                except IntegrityError:
                    answers[place] = OperationBusy("another replica uses the key: ask again")
            return answers

    def _take(self, requests: Sequence[UseRequest]) -> Answers:
        """Write down all uses that are allowed and take them from their sessions, in one
        transaction. Raises IntegrityError where another replica did so with a request meanwhile.
        """
        of_session: defaultdict[str, dict[int, UseRequest]] = defaultdict(dict)
        for place, request in enumerate(requests):
            of_session[request.session_id][place] = request
        answers: Answers = {}
        with self._unwritten.written() as ended, self.database.write(shared=True) as connection:
            now = self.clock()
            if ended:
                session_uses.end(connection, ended)
            for session_id in sorted(of_session):  # one order for all, so that none waits in a ring
                answers |= self._take_from(connection, session_id, of_session[session_id], now)
        return answers

    def _take_from(
        self,
        connection: Connection,
        session_id: str,
        requests: Mapping[int, UseRequest],
        now: datetime,
    ) -> Answers:
        """The part of `_take` that is about one session."""
        try:
            subject = session_uses.find(connection, session_id)
            if subject is None:
                return dict.fromkeys(requests, SessionNotFound(NOT_ITS_OWN))
            closed = self._why_closed(connection, subject, now)
        except RecordDamaged as damaged:  # of this one: others in the transaction go on
            return dict.fromkeys(requests, damaged)
        session = subject.session
        ids = {request.request_id for request in requests.values()}
        seen = session_uses.seen(connection, session.workstation_id, ids)
        answers: Answers = {}
        left = session.uses_left
        for place, request in requests.items():
            try:
                _check_caller(subject, request)
                if request.request_id in seen:
                    answers[place] = _Repeated(request, session)
                    continue
                _check_request(subject, request, left, closed)
            except KeystoreError as refused:
                answers[place] = refused
                continue
            seen.add(request.request_id)
            left -= len(request.inputs)
            use = _use(session, request, new_id(now, self.random), now)
            answers[place] = _Taken(use, subject.key, request.inputs, left)
        taken = {at: each for at, each in answers.items() if isinstance(each, _Taken)}
        if not taken:
            return answers
        if sessions.take(connection, session.id, session.uses_left - left, now) is None:
            raced = SessionClosed("another replica has just used what was left: ask again")
            return answers | dict.fromkeys(taken, raced)
        session_uses.add(
            connection, [(each.use, requests[at].trace_id) for at, each in taken.items()]
        )
        journal.append(
            connection, *(_used(each, requests[at].trace_id) for at, each in taken.items())
        )
        return answers

    def _why_closed(
        self, connection: Connection, subject: Subject, now: datetime
    ) -> KeystoreError | None:
        """Why the session cannot be used at all; None if it can."""
        if not subject.session.is_open(now):
            return SessionClosed("the session has ended: ask the holder anew")
        if subject.card_state is not CardState.ACTIVE:
            return CardNotInUse("the card is no longer in use")
        if subject.key.sealed_private is None:
            return KeyNotFound("the key has been destroyed")
        policy = policies.in_force(connection, subject.organisation_id, subject.profile).policy
        if commits(subject.key) or not still_allowed(subject.session, policy, now):
            return SessionClosed("the policy in force allows no such session: ask for each use")
        return None

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
        use = taken.use
        sealed_result = None
        try:
            made = self.custody.use(taken.key, use.key_use, taken.inputs)
            sealed_result = results.close(self.seal, use.id, made)
        finally:
            if sealed_result is None:
                with self.database.write(shared=True) as connection:
                    now = self.clock()
                    operations.end_use(connection, use.id, None, now)
                    journal.append(connection, _event(Kind.OPERATION_FAILED, use, now))
        ended = Ended(use.id, sealed_result, self.clock())
        if ended.time - use.create_time < SLOW_TIME:
            self._unwritten.add(ended)
        else:
            with self.database.write(shared=True) as connection:
                kept = operations.end_use(connection, use.id, sealed_result, ended.time)
            if not kept:
                raise OperationClosed("the use was given up before its key had answered")
        return Used(tuple(made), taken.uses_left, use.workstation_id)

    def _repeated(self, repeated: _Repeated) -> Used:
        """The results that this request made before."""
        self.write_results()
        request, session = repeated.request, repeated.session
        with self.database.read() as connection:
            use = operations.find_by_request(connection, session.workstation_id, request.request_id)
        same = (
            use is not None
            and use.session_id == session.id
            and compare_digest(use.input_sha256 or b"", inputs_sha256(request.inputs))
        )
        if use is None or not same:
            raise RequestIdReused("request_id was used for something else: make another one")
        if use.state is State.APPROVED:
            raise OperationBusy("the key is being used: ask again")
        if use.sealed_result is None:
            raise OperationClosed(f"the use has {use.state.name.lower()}; its result is not kept")
        kept = results.open_(self.seal, use.id, use.sealed_result)
        return Used(tuple(kept), session.uses_left, session.workstation_id)


def _check_caller(subject: Subject, request: UseRequest) -> None:
    """Raise SessionNotFound for anybody but the session's workstation."""
    own, said = subject.certificate_sha256, request.certificate_sha256
    if own is None or said is None or not compare_digest(own, said):
        raise SessionNotFound(NOT_ITS_OWN)
    if subject.workstation_state is not IdentityState.ACTIVE:
        raise SessionNotFound(NOT_ITS_OWN)


def _check_request(
    subject: Subject, request: UseRequest, left: int, closed: KeystoreError | None
) -> None:
    """Raise what is wrong with a request that has not been made before."""
    check_request_id(request.request_id)
    count = len(request.inputs)
    if not 1 <= count <= MOST_INPUTS:
        raise InvalidInput(f"give 1 to {MOST_INPUTS} inputs")
    if closed is not None:
        raise closed
    for each in request.inputs:
        padding.check(subject.session.key_use, subject.key.algorithm, each)
    if count > left:
        raise SessionClosed(f"the session has not {count} uses left")


def _use(session: Session, request: UseRequest, use_id: str, now: datetime) -> Operation:
    """The row of a use: its key is in use from the beginning, and nobody is asked."""
    return Operation(
        id=use_id,
        request_id=request.request_id,
        workstation_id=session.workstation_id,
        card_id=session.card_id,
        key_id=session.key_id,
        user_id=session.user_id,
        key_use=session.key_use,
        state=State.APPROVED,
        payload=b"",
        number="",
        channels=frozenset(),
        create_time=now,
        expire_time=now + USE_TIME,
        qr_expire_time=now,
        use_time=now,
        policy=session.policy,
        session_id=session.id,
        input_sha256=inputs_sha256(request.inputs),
    )


def _used(taken: _Taken, trace_id: str) -> Event:
    use = taken.use
    event = _event(Kind.SESSION_USED, use, use.create_time)
    details: dict[str, str | int | bool] = {
        "session": use.session_id or "",
        "inputs": len(taken.inputs),
        "policy": use.policy,
    }
    evidence = {"input_sha256": use.input_sha256 or b""}
    return replace(event, details=details, evidence=evidence, trace_id=trace_id)


def _event(kind: Kind, use: Operation, now: datetime) -> Event:
    return Event(
        kind=kind,
        time=now,
        actor=f"workstation {use.workstation_id}",
        card_id=use.card_id,
        user_id=use.user_id,
        workstation_id=use.workstation_id,
        operation_id=use.id,
        key_id=use.key_id,
        details={"session": use.session_id or ""},
    )

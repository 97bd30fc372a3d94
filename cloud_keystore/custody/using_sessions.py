"""The other door to private keys: a use in a session that the holder has approved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hmac import compare_digest

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from cloud_keystore.audit import journal
from cloud_keystore.custody import padding, results
from cloud_keystore.custody.backends import Keys
from cloud_keystore.custody.closing import end_sessions
from cloud_keystore.custody.commitment import commits
from cloud_keystore.custody.sealing import Seal
from cloud_keystore.model.cards import CardState, Key
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.errors import (
    CardNotInUse,
    InvalidInput,
    KeyNotFound,
    OperationBusy,
    OperationClosed,
    RequestIdReused,
    SessionClosed,
    SessionNotFound,
)
from cloud_keystore.model.journal import Event, Kind
from cloud_keystore.model.operations import USE_TIME, Operation, State
from cloud_keystore.model.people import Identity
from cloud_keystore.model.policies import MOST_INPUTS
from cloud_keystore.model.requests import check_request_id
from cloud_keystore.model.sessions import Session, inputs_sha256, still_allowed
from cloud_keystore.storage import cards, operations, policies, sessions
from cloud_keystore.storage.engine import Database


@dataclass(frozen=True, slots=True)
class Used:
    """A result for each input, and what is left of the session."""

    results: tuple[bytes, ...]
    uses_left: int


@dataclass(frozen=True, slots=True)
class UsingSessions:
    """The use cases of open sessions."""

    database: Database
    seal: Seal
    clock: Clock
    random: Random
    custody: Keys

    def use(
        self, session_id: str, request_id: bytes, inputs: Sequence[bytes], workstation: Identity
    ) -> Used:
        """Take as many uses as there are inputs from the session and use its key for each;
        repeated, return the results made before.

        What is taken is committed, with its journal entry, before the key is used: a crash in
        between costs the uses.

        Raises SessionNotFound, SessionClosed, CardNotInUse, KeyNotFound, MalformedKeyInput,
        RequestIdReused, OperationBusy, OperationClosed, InvalidInput.
        """
        check_request_id(request_id)
        if not 1 <= len(inputs) <= MOST_INPUTS:
            raise InvalidInput(f"give 1 to {MOST_INPUTS} inputs")
        try:
            use, key, left = self._take(session_id, request_id, inputs, workstation)
        except IntegrityError:
            return self._repeated(session_id, request_id, inputs, workstation)
        except (SessionClosed, CardNotInUse, KeyNotFound):
            # Its last use may have been this one, whose answer was lost.
            if self._find_use(session_id, request_id, workstation) is None:
                raise
            return self._repeated(session_id, request_id, inputs, workstation)
        return Used(tuple(self._perform(use, key, inputs)), left)

    def end(self, session_id: str, workstation: Identity) -> None:
        """Close a session of this workstation; one that has ended stays so.

        Raises SessionNotFound.
        """
        with self.database.read() as connection:
            _own(sessions.find(connection, session_id), workstation)
        with self.database.write() as connection:
            actor = f"workstation {workstation.id}"
            end_sessions(connection, self.clock(), actor, "workstation", session_id=session_id)

    def _take(
        self, session_id: str, request_id: bytes, inputs: Sequence[bytes], workstation: Identity
    ) -> tuple[Operation, Key, int]:
        """Write down the use and take it from the session, in one transaction; IntegrityError
        where the request id was used before.
        """
        with self.database.write() as connection:
            now = self.clock()
            session, key = self._check(connection, session_id, workstation, now)
            for each in inputs:
                padding.check(session.key_use, key.algorithm, each)
            use = _use(session, request_id, inputs, new_id(now, self.random), now)
            operations.add(connection, use)
            left = sessions.take(connection, session.id, len(inputs), now)
            if left is None:
                raise SessionClosed(f"the session has not {len(inputs)} uses left")
            journal.append(connection, _used(session, use, len(inputs), now))
        return use, key, left

    def _check(
        self, connection: Connection, session_id: str, workstation: Identity, now: datetime
    ) -> tuple[Session, Key]:
        session = _own(sessions.find(connection, session_id), workstation)
        if not session.is_open(now):
            raise SessionClosed("the session has ended: ask the holder anew")
        card = cards.find(connection, session.card_id)
        key = cards.find_key(connection, session.key_id)
        if card is None or card.state is not CardState.ACTIVE:
            raise CardNotInUse("the card is no longer in use")
        if key is None or key.sealed_private is None:
            raise KeyNotFound("the key has been destroyed")
        policy = policies.in_force(connection, card.organisation_id, card.profile).policy
        if commits(key) or not still_allowed(session, policy, now):
            raise SessionClosed("the policy in force allows no such session: ask for each use")
        return session, key

    def _perform(self, use: Operation, key: Key, inputs: Sequence[bytes]) -> list[bytes]:
        sealed_result = None
        try:
            made = self.custody.use(key, use.key_use, inputs)
            sealed_result = results.close(self.seal, use.id, made)
        finally:
            with self.database.write() as connection:
                now = self.clock()
                kept = operations.end_use(connection, use.id, sealed_result, now)
                if sealed_result is None:
                    journal.append(connection, _event(Kind.OPERATION_FAILED, use, now))
        if not kept:
            raise OperationClosed("the use was given up before its key had answered")
        return made

    def _find_use(
        self, session_id: str, request_id: bytes, workstation: Identity
    ) -> Operation | None:
        with self.database.read() as connection:
            found = operations.find_by_request(connection, workstation.id, request_id)
        return found if found is not None and found.session_id == session_id else None

    def _repeated(
        self, session_id: str, request_id: bytes, inputs: Sequence[bytes], workstation: Identity
    ) -> Used:
        """The results that this request made before."""
        use = self._find_use(session_id, request_id, workstation)
        same = use is not None and compare_digest(use.input_sha256 or b"", inputs_sha256(inputs))
        if use is None or not same:
            raise RequestIdReused("request_id was used for something else: make another one")
        if use.state is State.APPROVED:
            raise OperationBusy("the key is being used: ask again")
        if use.sealed_result is None:
            raise OperationClosed(f"the use has {use.state.name.lower()}; its result is not kept")
        with self.database.read() as connection:
            session = _own(sessions.find(connection, session_id), workstation)
        kept = results.open_(self.seal, use.id, use.sealed_result)
        return Used(tuple(kept), session.uses_left)


def _own(session: Session | None, workstation: Identity) -> Session:
    if session is None or session.workstation_id != workstation.id:
        raise SessionNotFound("this workstation has no such session")
    return session


def _use(
    session: Session, request_id: bytes, inputs: Sequence[bytes], use_id: str, now: datetime
) -> Operation:
    """The row of a use: its key is in use from the beginning, and nobody is asked."""
    return Operation(
        id=use_id,
        request_id=request_id,
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
        input_sha256=inputs_sha256(inputs),
    )


def _used(session: Session, use: Operation, inputs: int, now: datetime) -> Event:
    event = _event(Kind.SESSION_USED, use, now)
    details: dict[str, str | int | bool] = {
        "session": session.id,
        "inputs": inputs,
        "policy": session.policy,
    }
    return replace(event, details=details, evidence={"input_sha256": use.input_sha256 or b""})


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

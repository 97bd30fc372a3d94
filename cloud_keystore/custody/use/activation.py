"""Uses of private keys for an operation, under a verified approval that is spent once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from hmac import compare_digest

from sqlalchemy import Connection

from cloud_keystore.approval import payload, statement
from cloud_keystore.audit import entries, journal
from cloud_keystore.custody.backends.keys import Keys
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.custody.use import padding, releasing, results, seating
from cloud_keystore.custody.use.closing import end_sessions
from cloud_keystore.custody.use.commitment import commits
from cloud_keystore.model.actors import Actor, ActorKind
from cloud_keystore.model.cards import Card, CardState, Destroyed, HeldKey
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import (
    ApprovalRejected,
    CardNotInUse,
    KeyNotFound,
    NoResult,
    OperationBusy,
    OperationClosed,
    SessionRefused,
)
from cloud_keystore.model.journal import Detail, Entry, Kind
from cloud_keystore.model.operations import Approval, Decision, Operation, OperationKind, State
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.model.policies import SessionTerms
from cloud_keystore.model.sessions import Session, within
from cloud_keystore.storage import approval_keys, cards, operations, people, policies, sessions
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.sessions import Which
from cloudcard.approval.v1 import approval_pb2


@dataclass(frozen=True, slots=True)
class Performed:
    """The outcome of an approval: a result for each input, or a session."""

    results: tuple[bytes, ...] = ()
    session: Session | None = None
    key_ref: int = 0  # of the session's key


@dataclass(frozen=True, slots=True)
class _Approved:
    """An approval that has been checked against its operation at the moment of use."""

    key: HeldKey
    card: Card
    approval: Approval
    payload: approval_pb2.Payload


@dataclass(frozen=True, slots=True)
class Activation:
    """Uses a private key for an approved operation, or opens its session, once."""

    database: Database
    seal: Seal
    clock: Clock
    custody: Keys
    process: int = 0  # the number of this process among those of the service

    def perform(
        self, operation_id: str, inputs: Sequence[bytes], workstation: Identity
    ) -> Performed:
        """Spend the approval and use the key for each input, or open the requested session. A
        repeated call returns the earlier outcome.

        The approval is spent in a commit of its own, with its journal entry, before the key is
        used. A crash in between costs the approval (the operation fails), but no order of calls
        uses the key twice.

        Raises OperationNotFound, OperationClosed, NoResult, OperationBusy, ApprovalRejected,
        CardNotInUse, KeyNotFound, MalformedKeyInput, SessionRefused.
        """
        with self.database.read() as connection:
            operation = operations.asked_at(connection, operation_id, workstation.id)
        if (made := self._made_before(operation, inputs)) is not None:
            return made
        if operation.state is State.APPROVED and operation.use_time is not None:
            raise OperationBusy("the key is being used: ask again")
        state = operation.state_at(self.clock())
        if state in (State.SUCCEEDED, State.FAILED):
            raise NoResult("the use has failed, or its result is no longer kept")
        if state is not State.APPROVED:
            raise OperationClosed(f"the operation is {state.name.lower()}")
        approved = self._verify(operation, inputs, workstation)
        if operation.kind is OperationKind.SESSION:
            return Performed((), self._open(operation, approved), approved.key.key_ref)
        for each in inputs:
            padding.check(operation.key_use, approved.key.algorithm, each)
        now = self.clock()
        room = results.room(self.seal, operation.id, approved.key.algorithm, len(inputs))
        with self.database.write(shared=True) as connection:
            if not operations.start_use(connection, operation.id, now, room, self.process):
                raise OperationBusy("another call has just spent the approval: ask again")
            used = _entry(Kind.OPERATION_USED, operation, approved, now, {"inputs": len(inputs)})
            journal.append(connection, used)
        return Performed(tuple(self._use(operation, approved.key, inputs)))

    def _made_before(self, operation: Operation, inputs: Sequence[bytes]) -> Performed | None:
        if operation.state is not State.SUCCEEDED:
            return None
        approved = payload.decode(operation.payload)
        if operation.kind is OperationKind.SESSION:
            _check_inputs(approved, inputs)
            with self.database.read() as connection:
                return Performed((), sessions.find(connection, operation.id), approved.key_ref)
        if operation.sealed_result is None:
            return None
        _check_inputs(approved, inputs)
        kept = results.open_(self.seal, operation.id, operation.sealed_result)
        return Performed(tuple(kept))

    def _verify(
        self, operation: Operation, inputs: Sequence[bytes], workstation: Identity
    ) -> _Approved:
        """Check the approval against the operation at the moment of use."""
        approval = operation.approval
        if approval is None or approval.decision is not Decision.APPROVE:
            raise ApprovalRejected("the operation has no approval")
        with self.database.read() as connection:
            device = people.find_identity(connection, approval.device_id)
            approval_key = None if device is None else approval_keys.find(connection, device)
            key = cards.find_key(connection, operation.key_id)
            card = cards.find(connection, operation.card_id)
        if device is None or approval_key is None or device.user_id != operation.user_id:
            raise ApprovalRejected("the approving device is not the holder's")
        if not device.is_active(self.clock()):
            raise ApprovalRejected("the approving device has been removed, or has ended")
        if card is None or card.state is not CardState.ACTIVE:
            raise CardNotInUse("the card is no longer in use")
        if key is None or isinstance(key.private, Destroyed):
            raise KeyNotFound("the key has been destroyed")
        if device.role is Role.SEAT:
            with self.database.read() as connection:
                seating.check(connection, device, approval_key, card, self.clock())
        statement.verify(operation.payload, approval, approval_key)
        approved = payload.decode(operation.payload)
        facts = (
            (approved.operation_id, operation.id),
            (approved.key_id, key.id),
            (approved.key_ref, key.key_ref),
            (approved.key_use, operation.key_use),
            (approved.algorithm, key.algorithm),
            (approved.certificate_sha256, key.sha256),
            (approved.card_serial, card.serial),
            (approved.user_id, card.user_id),
            (approved.workstation.workstation_id, workstation.id),
            (approved.workstation.certificate_sha256 in _certificates(workstation), True),
            (approved.policy, operation.policy),
            (approved.HasField("session"), operation.kind is OperationKind.SESSION),
        )
        if any(said != true for said, true in facts):
            raise ApprovalRejected("the approval is for another key, card or workstation")
        _check_inputs(approved, inputs)
        return _Approved(key, card, approval, approved)

    def _use(self, operation: Operation, key: HeldKey, inputs: Sequence[bytes]) -> list[bytes]:
        sealed_result = None
        try:
            made = releasing.use(self.custody, key, operation.key_use, inputs)
            sealed_result = results.close(self.seal, operation.id, made)
        finally:
            with self.database.write(shared=True) as connection:
                now = self.clock()
                kept = operations.end_use(connection, operation.id, sealed_result, now)
                if kept and sealed_result is None:
                    journal.append(connection, _entry(Kind.OPERATION_FAILED, operation, None, now))
        if not kept:
            raise NoResult("the operation was given up before its key had answered")
        return made

    def _open(self, operation: Operation, approved: _Approved) -> Session:
        """Spend the approval and open its session, in one transaction: neither happens without the
        other.
        """
        said = approved.payload.session
        terms = payload.session_terms(said)
        now = self.clock()
        with self.database.write() as connection:
            _check_session(connection, approved, terms)
            if operations.open_session(connection, operation.id, now):
                end_sessions(
                    connection,
                    now,
                    Actor(ActorKind.WORKSTATION, operation.workstation_id),
                    "replaced",
                    Which(key_id=operation.key_id, workstation_id=operation.workstation_id),
                )
                sessions.add(connection, _session(operation, terms))
                details: dict[str, Detail] = {
                    "most_uses": terms.most_uses,
                    "seconds": said.seconds,
                }
                opened = _entry(Kind.SESSION_OPENED, operation, approved, now, details)
                journal.append(connection, opened)
            session = sessions.find(connection, operation.id)
        if session is None:
            raise OperationClosed("the approval was not used in time, or was withdrawn")
        return session


def _certificates(workstation: Identity) -> set[bytes | None]:
    """Those that a request of a workstation can name: its own, and the one of before, if it was
    renewed since.
    """
    return {workstation.certificate_sha256, workstation.former_certificate_sha256 or None}


def _check_inputs(approved: approval_pb2.Payload, inputs: Sequence[bytes]) -> None:
    same = len(approved.input_sha256) == len(inputs) and all(
        compare_digest(said, sha256(each).digest())
        for said, each in zip(approved.input_sha256, inputs, strict=True)
    )
    if not same:
        raise ApprovalRejected("the input is not the one that was approved")


def _check_session(connection: Connection, approved: _Approved, terms: SessionTerms) -> None:
    """Raise SessionRefused if the policy in force, which can have changed since the request, does
    not allow the session.
    """
    card, key = approved.card, approved.key
    policy = policies.in_force(connection, card.organisation_id, card.profile).policy
    if commits(key) or not within(terms, policy.session):
        raise SessionRefused("the policy no longer allows such a session: ask for each use")


def _session(operation: Operation, terms: SessionTerms) -> Session:
    return Session(
        id=operation.id,
        card_id=operation.card_id,
        key_id=operation.key_id,
        user_id=operation.user_id,
        workstation_id=operation.workstation_id,
        key_use=operation.key_use,
        policy=operation.policy,
        uses_left=terms.most_uses,
        create_time=operation.approve_time,
        expire_time=operation.approve_time + terms.time,
    )


def _entry(
    kind: Kind,
    operation: Operation,
    approved: _Approved | None,
    now: datetime,
    details: Mapping[str, Detail] = entries.NO_DETAILS,
) -> Entry:
    """Make an entry about an operation, with the approval as evidence."""
    evidence = entries.NO_EVIDENCE if approved is None else _evidence(operation, approved.approval)
    return entries.about_asked(
        kind,
        operation,
        now,
        Actor(ActorKind.WORKSTATION, operation.workstation_id),
        {"policy": operation.policy, **details},
        evidence,
        device_id=None if approved is None else approved.approval.device_id,
    )


def _evidence(operation: Operation, approval: Approval) -> Mapping[str, bytes]:
    signed = statement.statement(operation.payload, approval.decision, approval.number)
    return {"statement": signed, **entries.approval_evidence(operation.payload, approval)}

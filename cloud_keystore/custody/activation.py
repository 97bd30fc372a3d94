"""The door to private keys: one verified approval, one use."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest

from cloud_keystore.approval import payload, statement
from cloud_keystore.custody import padding
from cloud_keystore.custody.backends import Keys
from cloud_keystore.custody.sealing import Seal
from cloud_keystore.model.cards import CardState, Key
from cloud_keystore.model.clock import Clock, Random
from cloud_keystore.model.errors import (
    ApprovalRejected,
    CardNotInUse,
    KeyNotFound,
    OperationBusy,
    OperationClosed,
    OperationNotFound,
)
from cloud_keystore.model.operations import Decision, Operation, State
from cloud_keystore.model.people import Identity, IdentityState
from cloud_keystore.storage import cards, operations, people
from cloud_keystore.storage.engine import Database


def _result_context(operation_id: str) -> str:
    return f"result {operation_id}"


@dataclass(frozen=True, slots=True)
class Activation:
    """Uses a private key for an approved operation, once."""

    database: Database
    seal: Seal
    clock: Clock
    random: Random
    custody: Keys

    def perform(self, operation_id: str, data: bytes, workstation: Identity) -> bytes:
        """Spend the approval, use the key, keep the result; repeated, return the result kept.

        The approval is spent in a commit of its own before the key is used. So a crash in between
        costs the approval (the operation fails), and no order of calls uses the key twice.

        Raises OperationNotFound, OperationClosed, OperationBusy, ApprovalRejected,
        MalformedKeyInput.
        """
        with self.database.read() as connection:
            operation = operations.find(connection, operation_id)
        if operation is None or operation.workstation_id != workstation.id:
            raise OperationNotFound("this workstation has no such operation")
        if operation.state is State.SUCCEEDED and operation.sealed_result is not None:
            self._check_input(operation, data)
            return self.seal.open(operation.sealed_result, _result_context(operation.id))
        if operation.state is State.APPROVED and operation.use_time is not None:
            raise OperationBusy("the key is being used: ask again")
        state = operation.state_at(self.clock())
        if state is not State.APPROVED:
            raise OperationClosed(f"the operation is {state.name.lower()}")
        key = self._verify(operation, data, workstation)
        with self.database.write() as connection:
            if not operations.start_use(connection, operation.id, self.clock()):
                raise OperationBusy("another call has just spent the approval: ask again")
        return self._use(operation, key, data)

    def _verify(self, operation: Operation, data: bytes, workstation: Identity) -> Key:
        """Check the approval against the operation at the moment of use; return its key."""
        approval = operation.approval
        if approval is None or approval.decision is not Decision.APPROVE:
            raise ApprovalRejected("the operation has no approval")
        with self.database.read() as connection:
            device = people.find_identity(connection, approval.device_id)
            key = cards.find_key(connection, operation.key_id)
            card = cards.find(connection, operation.card_id)
        if device is None or device.public_key is None or device.user_id != operation.user_id:
            raise ApprovalRejected("the approving device is not the holder's")
        if device.state is not IdentityState.ACTIVE:
            raise ApprovalRejected("the approving device has been removed")
        if card is None or card.state is not CardState.ACTIVE:
            raise CardNotInUse("the card is no longer in use")
        if key is None or key.sealed_private is None:
            raise KeyNotFound("the key has been destroyed")
        statement.verify(operation.payload, approval, device.public_key)
        approved = payload.decode(operation.payload)
        facts = (
            (approved.operation_id, operation.id),
            (approved.key_id, key.id),
            (approved.key_use, operation.key_use),
            (approved.algorithm, key.algorithm),
            (approved.certificate_sha256, key.sha256),
            (approved.card_serial, card.serial),
            (approved.user_id, card.user_id),
            (approved.workstation.workstation_id, workstation.id),
            (approved.workstation.certificate_sha256, workstation.certificate_sha256),
        )
        if any(said != true for said, true in facts):
            raise ApprovalRejected("the approval is for another key, card or workstation")
        self._check_input(operation, data)
        padding.check(operation.key_use, key.algorithm, data)
        return key

    def _check_input(self, operation: Operation, data: bytes) -> None:
        approved = payload.decode(operation.payload).input_sha256
        if len(approved) != 1 or not compare_digest(approved[0], sha256(data).digest()):
            raise ApprovalRejected("the input is not the one that was approved")

    def _use(self, operation: Operation, key: Key, data: bytes) -> bytes:
        sealed_result = None
        try:
            (result,) = self.custody.use(key, operation.key_use, [data])
            sealed_result = self.seal.close(result, _result_context(operation.id))
        finally:
            with self.database.write() as connection:
                kept = operations.end_use(connection, operation.id, sealed_result, self.clock())
        if not kept:
            raise OperationClosed("the operation was given up before its key had answered")
        return result

"""What a holder's device does with operations: see what waits, claim a code, decide."""

from __future__ import annotations

from dataclasses import dataclass
from hmac import compare_digest

from cloud_keystore.approval import qr, statement
from cloud_keystore.custody.sealing import Seal
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import (
    ApprovalRejected,
    InvalidInput,
    OperationClosed,
    OperationNotFound,
)
from cloud_keystore.model.operations import Approval, Channel, Decision, Event, Operation, State
from cloud_keystore.model.people import Identity
from cloud_keystore.notify.wakeups import Wake
from cloud_keystore.operations.asking import qr_secret
from cloud_keystore.storage import operations
from cloud_keystore.storage.engine import Database


@dataclass(frozen=True, slots=True)
class Deciding:
    """The device's use cases."""

    database: Database
    seal: Seal
    clock: Clock
    wake: Wake

    def waiting(self, device: Identity) -> list[Operation]:
        """What rings: the holder's open operations that came by push or that this device has
        claimed.
        """
        with self.database.read() as connection:
            waiting = operations.list_waiting(connection, _holder(device), self.clock())
        return [each for each in waiting if _may_see(each, device)]

    def find(self, operation_id: str, device: Identity) -> Operation:
        """An operation of the device's holder; raises OperationNotFound."""
        with self.database.read() as connection:
            operation = operations.find(connection, operation_id)
        if (
            operation is None
            or operation.user_id != device.user_id
            or not _may_see(operation, device)
        ):
            raise OperationNotFound("there is no such request for you")
        return operation

    def claim(self, qr_text: str, device: Identity) -> Operation:
        """Bind the operation of a scanned code to this device.

        Raises InvalidInput for a foreign code, OperationNotFound for another holder's or a forged
        one, and OperationClosed for one that was claimed by another device, has expired or has been
        decided.
        """
        operation_id, secret = qr.parse(qr_text)
        with self.database.read() as connection:
            operation = operations.find(connection, operation_id)
        if (
            operation is None
            or not compare_digest(secret, qr_secret(self.seal, operation_id))
            or operation.user_id != device.user_id
            or Channel.QR not in operation.channels
        ):
            raise OperationNotFound(
                "this code is not for you: scan the one on your own workstation"
            )
        with self.database.write() as connection:
            if not operations.claim(connection, operation_id, device.id, self.clock()):
                raise OperationClosed(
                    "this code has been used or has expired: start again at the workstation"
                )
        return self.find(operation_id, device)

    def decide(
        self, operation_id: str, decision: Decision, number: str, signature: bytes, device: Identity
    ) -> State:
        """Take a decision; the first one counts. A wrong number is a refusal: there is one guess.

        Raises OperationNotFound, OperationClosed, ApprovalRejected (a signature that is not the
        device's over these very bytes changes nothing).
        """
        if not (number == "" or (len(number) == 2 and number.isascii() and number.isdigit())):
            raise InvalidInput("the number has two digits")
        operation = self.find(operation_id, device)
        if not operation.is_open(self.clock()):
            state = operation.state_at(self.clock())
            raise OperationClosed(f"too late: the request is {state.name.lower()}")
        approval = Approval(device.id, decision, number, signature)
        if device.public_key is None:
            raise ApprovalRejected("this device has no key: enrol it again")
        statement.verify(operation.payload, approval, device.public_key)
        agrees = decision is Decision.APPROVE and _at_the_workstation(operation, number, device)
        event = Event.APPROVE if agrees else Event.DENY
        with self.database.write() as connection:
            if not operations.decide(connection, operation_id, event, approval, self.clock()):
                raise OperationClosed("too late: the request has been decided or has expired")
        self.wake([operation_id, operation.user_id])
        return State.APPROVED if agrees else State.DENIED


def _at_the_workstation(operation: Operation, number: str, device: Identity) -> bool:
    """Whether the holder has seen the workstation's screen: its code, or its number."""
    if operation.claimed_by == device.id:
        return number == "" or compare_digest(number, operation.number)
    return Channel.PUSH in operation.channels and compare_digest(number, operation.number)


def _may_see(operation: Operation, device: Identity) -> bool:
    return Channel.PUSH in operation.channels or operation.claimed_by == device.id


def _holder(device: Identity) -> str:
    if device.user_id is None:
        raise OperationNotFound("this device belongs to nobody: enrol it again")
    return device.user_id

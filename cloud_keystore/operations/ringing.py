"""What waits for a holder, operations and sign-ins alike, as a device sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from cloud_keystore.approval import payload, qr
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.finding import SHORTEST_BEGINNING
from cloud_keystore.model.operations import Assertion, Decision, Operation, State
from cloud_keystore.model.people import Identity
from cloud_keystore.model.sign_ins import SignIn
from cloud_keystore.operations.admitting import Admitting
from cloud_keystore.operations.deciding import Deciding

Waiting: TypeAlias = Operation | SignIn  # for the holder


@dataclass(frozen=True, slots=True)
class Shown:
    """A request as a device gets it: bytes, and the keystore's signature over them."""

    operation_id: str
    payload: bytes
    signature: bytes
    is_claimed: bool  # by the device, whose holder then has seen the workstation's screen


@dataclass(frozen=True, slots=True)
class Answered:
    """A device's answer to a request, and the evidence for it."""

    operation_id: str
    decision: Decision
    number: str
    signature: bytes
    is_sign_in: bool
    assertion: Assertion | None = None


@dataclass(frozen=True, slots=True)
class Ringing:
    """Asks whichever use case a request belongs to."""

    deciding: Deciding
    admitting: Admitting
    clock: Clock

    def waiting(self, device: Identity, *, sign_ins: bool, documents: bool) -> list[Waiting]:
        """What waits for the device's holder; of sign-ins and of requests that list documents, if
        the device can show them.
        """
        waiting: list[Waiting] = [
            each
            for each in self.deciding.waiting(device)
            if documents or not payload.lists_documents(each.payload)
        ]
        return [*waiting, *self.admitting.waiting(device)] if sign_ins else waiting

    def named(self, text: str, device: Identity) -> Waiting:
        """A sign-in by its whole identifier or its beginning, else an operation."""
        begun = [each for each in self.admitting.waiting(device) if each.id.startswith(text)]
        if len(text) >= SHORTEST_BEGINNING and len(begun) == 1:
            return begun[0]
        return self.deciding.named(text, device)

    def claimed(self, qr_text: str, card_serial: str, device: Identity) -> Waiting:
        """What a scanned code stands for, which is bound to the device from now on."""
        if qr.is_sign_in(qr_text):
            return self.admitting.claim(qr_text, card_serial, device)
        return self.deciding.claim(qr_text, device)

    def shown(self, waiting: Waiting, device: Identity) -> Shown:
        """A request with the keystore's signature."""
        use_cases = self.admitting if isinstance(waiting, SignIn) else self.deciding
        signature = use_cases.signature(waiting.id, device)
        is_claimed = waiting.claimed_by == device.id
        return Shown(waiting.id, waiting.payload or b"", signature, is_claimed)

    def closed(self, waiting: Waiting, device: Identity) -> State:
        """The state of what no longer waits."""
        if isinstance(waiting, SignIn):
            return self.admitting.find(waiting.id, device).decided_at(self.clock())
        return self.deciding.find(waiting.id, device).state_at(self.clock())

    def decide(self, answered: Answered, device: Identity) -> State:
        """Take the holder's decision; the state that it leads to."""
        return (self.admitting if answered.is_sign_in else self.deciding).decide(
            answered.operation_id,
            answered.decision,
            answered.number,
            answered.signature,
            device,
            answered.assertion,
        )


def decision(number: int) -> Decision:
    """The decision of a number; raises InvalidInput."""
    try:
        return Decision(number)
    except ValueError:
        raise InvalidInput("decision is neither APPROVE, DENY nor NOT_ME") from None

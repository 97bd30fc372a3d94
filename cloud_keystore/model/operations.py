"""Operations: uses of a private key that need a holder's decision. `state` changes only as the
table of transitions says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, IntEnum, auto, unique

from card_os.uses import KeyUse

DECISION_TIME = timedelta(minutes=2)  # for the holder to decide
QR_TIME = timedelta(seconds=60)  # for the code to be claimed
USE_TIME = timedelta(seconds=60)  # for an approval to be used; long enough to survive a restart
# After this, a use without a result has lost its process. Mostly that is noticed earlier.
STALLED_TIME = timedelta(seconds=30)
RESULT_TIME = timedelta(minutes=10)  # for which a result is kept, in case its answer was lost

# Applications repeat what failed: OpenSC repeats every signature, pkcs11-tool once more in parts,
# and PSS uses a new salt each time. After a refusal they are refused again without asking the
# phone.
QUIET_TIME = timedelta(seconds=5)

# Requests of a card at a workstation that came to nothing since its holder last approved one there:
# after so many the phone is not asked for a while, which doubles with each further one.
REFUSAL_WINDOW = timedelta(hours=24)
REFUSAL_LIMIT = 5
FIRST_BACK_OFF = timedelta(minutes=10)
LONGEST_BACK_OFF = timedelta(hours=12)


@unique
class State(IntEnum):
    """States of an operation; the numbers are those of `cloudcard.approval.v1.OperationState`."""

    PENDING = 1
    APPROVED = 2
    DENIED = 3
    EXPIRED = 4
    CANCELLED = 5
    SUCCEEDED = 6
    FAILED = 7


class Event(Enum):
    """What moves an operation to another state."""

    APPROVE = auto()
    DENY = auto()
    EXPIRE = auto()
    CANCEL = auto()
    SUCCEED = auto()
    FAIL = auto()


TRANSITIONS: Mapping[tuple[State, Event], State] = {
    (State.PENDING, Event.APPROVE): State.APPROVED,
    (State.PENDING, Event.DENY): State.DENIED,
    (State.PENDING, Event.EXPIRE): State.EXPIRED,
    (State.PENDING, Event.CANCEL): State.CANCELLED,
    (State.APPROVED, Event.EXPIRE): State.EXPIRED,
    (State.APPROVED, Event.CANCEL): State.CANCELLED,
    (State.APPROVED, Event.SUCCEED): State.SUCCEEDED,
    (State.APPROVED, Event.FAIL): State.FAILED,
}
FINAL = frozenset(State) - {source for source, _ in TRANSITIONS}


def sources(event: Event) -> frozenset[State]:
    """Return the states in which `event` can happen."""
    return frozenset(source for source, what in TRANSITIONS if what is event)


def target(event: Event) -> State:
    """Return the state that `event` leads to; it is the same from every source."""
    (state,) = {to for (_, what), to in TRANSITIONS.items() if what is event}
    return state


def back_off(refusals: int) -> timedelta:
    """How long after the last of so many refusals the phone is not asked."""
    over = refusals - REFUSAL_LIMIT
    if over < 0:
        return timedelta()
    return min(FIRST_BACK_OFF * (1 << min(over, 16)), LONGEST_BACK_OFF)


@unique
class OperationKind(IntEnum):
    """What an approval is for."""

    USES = 1  # of a key, once for each input
    SESSION = 2


@unique
class Channel(IntEnum):
    """Ways to the holder's device; the numbers are those of `cloudcard.approval.v1.Channel`."""

    PUSH = 1
    QR = 2


@unique
class Decision(IntEnum):
    """The holder's answer; the numbers are those of `cloudcard.authenticator.v1.Decision`."""

    APPROVE = 1
    DENY = 2
    NOT_ME = 3  # a refusal that also says that somebody else made the request


@dataclass(frozen=True, slots=True)
class Assertion:
    """The data that a passkey has signed (WebAuthn level 3, 6.1 and 5.8.1)."""

    authenticator_data: bytes
    client_data: bytes  # JSON; its challenge is SHA-256 of the statement
    credential_id: bytes = b""  # as the device sent it; checked with the decision, and not kept


@dataclass(frozen=True, slots=True)
class Approval:
    """The signature activation data: which device decided what, and the evidence for it."""

    device_id: str
    decision: Decision
    number: str
    device_signature: bytes  # a native key's over the statement; a passkey's over its assertion
    assertion: Assertion | None = None  # of a passkey


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation. `payload` holds the exact bytes that the device shows and signs."""

    id: str
    request_id: bytes
    workstation_id: str
    card_id: str
    key_id: str
    user_id: str
    key_use: KeyUse
    state: State
    payload: bytes = field(repr=False)
    number: str = field(repr=False)
    channels: frozenset[Channel]
    create_time: datetime
    expire_time: datetime  # of the present state: to decide if PENDING, to use the key if APPROVED
    qr_expire_time: datetime
    claimed_by: str | None = None  # device that scanned the code
    approval: Approval | None = None
    use_time: datetime | None = None  # set before the key is used, once
    sealed_result: bytes | None = field(default=None, repr=False)
    kind: OperationKind = OperationKind.USES
    policy: str = ""  # the name of the policy in force, as in the payload

    @property
    def approve_time(self) -> datetime:
        """When the holder approved; only of an approved operation."""
        return self.expire_time - USE_TIME

    def is_open(self, now: datetime) -> bool:
        """Whether the holder can still decide."""
        return self.state is State.PENDING and now < self.expire_time

    def state_at(self, now: datetime) -> State:
        """Return the state at `now`; an operation has expired even before a sweep records it."""
        waits = self.state in sources(Event.EXPIRE) and self.use_time is None
        return State.EXPIRED if waits and now >= self.expire_time else self.state


@dataclass(frozen=True, slots=True)
class Shown:
    """An operation as its workstation shows it."""

    id: str
    state: State
    number: str = field(repr=False)  # empty without PUSH
    qr_text: str = field(repr=False)  # empty without QR
    qr_expire_time: datetime
    create_time: datetime
    expire_time: datetime

    @classmethod
    def of(cls, operation: Operation, now: datetime, qr_text: str) -> Shown:
        """An operation at a moment."""
        return cls(
            id=operation.id,
            state=operation.state_at(now),
            number=operation.number if Channel.PUSH in operation.channels else "",
            qr_text=qr_text,
            qr_expire_time=operation.qr_expire_time,
            create_time=operation.create_time,
            expire_time=operation.expire_time,
        )

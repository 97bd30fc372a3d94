"""Sign-ins: a holder puts a card into a workstation's reader. They use no key."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum, unique

from cloud_keystore.model.operations import Approval, Channel
from cloud_keystore.model.operations import State as Decided

SIGN_IN_TIME = timedelta(hours=12)  # after which a card is taken out, as proofs of passcodes end
MOST_PENDING = 8  # at a workstation, as many as it has slots; a further one ends the oldest
# Requests by push that came to nothing: from one workstation, which is told, and to one person,
# of which nobody is told.
PUSH_WINDOW = timedelta(minutes=10)
MOST_FROM_WORKSTATION = 10
MOST_TO_PERSON = 3


@unique
class State(IntEnum):
    """States of a sign-in; the numbers are those of `cloudcard.workstation.v1.SignInState`."""

    PENDING = 1
    OPEN = 2
    ENDED = 3


@unique
class Why(StrEnum):
    """Why a sign-in has ended."""

    DENIED = "denied"
    LEFT = "left"  # at the workstation
    HOLDER = "holder"  # on the phone
    CARD = "card"  # it was suspended or revoked
    REPLACED = "replaced"  # by a newer one
    TIME = "time"
    REMOVED = "removed"  # the workstation or the device that approved


@dataclass(frozen=True, slots=True)
class SignIn:
    """A sign-in. Card, holder and payload are known when somebody is rung, or has scanned the
    code; of a person who does not exist they never are.
    """

    id: str
    request_id: bytes
    workstation_id: str
    channel: Channel
    number: str = field(repr=False)
    state: State
    create_time: datetime
    expire_time: datetime  # to decide if PENDING; the end if OPEN
    qr_expire_time: datetime
    card_id: str | None = None
    user_id: str | None = None
    payload: bytes | None = field(default=None, repr=False)
    claimed_by: str | None = None  # device that scanned the code
    approval: Approval | None = None  # without what proves it, which the journal has
    approve_time: datetime | None = None
    why: Why | None = None

    @property
    def key_id(self) -> None:
        """A sign-in uses no key."""

    def state_at(self, now: datetime) -> State:
        """The state at `now`; a sign-in has ended even before a sweep records it."""
        return State.ENDED if now >= self.expire_time else self.state

    def seen_at(self, now: datetime) -> State:
        """The state that the workstation is told. A person who was rung and denies is told apart
        from nobody by nothing.
        """
        if self.channel is Channel.PUSH and self.why is Why.DENIED and now < self.expire_time:
            return State.PENDING
        return self.state_at(now)

    def decided_at(self, now: datetime) -> Decided:
        """The state as an operation's, for the device that was asked."""
        if self.approval is not None:
            return Decided.DENIED if self.approve_time is None else Decided.APPROVED
        if self.why is not None and self.why is not Why.TIME:
            return Decided.CANCELLED
        return Decided.EXPIRED if now >= self.expire_time else Decided.PENDING

    def is_open(self, now: datetime) -> bool:
        """Whether the card is in the reader."""
        return self.state_at(now) is State.OPEN

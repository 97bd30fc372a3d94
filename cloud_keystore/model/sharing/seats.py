"""Seats: what a holder has at a shared device from the phone's yes until the sign-out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum, unique

from cloud_keystore.model.operations import Approval

IDLE_TIME = timedelta(minutes=5)  # after which a seat ends at which nobody does anything
MOST_PENDING = 2  # at a device; a further one ends the oldest


@unique
class SeatState(IntEnum):
    """States of a seat. A number that a database has held keeps its meaning."""

    PENDING = 1
    OPEN = 2
    ENDED = 3


@unique
class Why(StrEnum):
    """Why a seat has ended."""

    DENIED = "denied"
    LEFT = "left"  # at the device
    HOLDER = "holder"  # on the phone, or at the portal
    OPERATOR = "operator"
    REPLACED = "replaced"  # by a newer one at the same device
    TIME = "time"  # or nobody did anything
    REMOVED = "removed"  # the device, the phone that approved, or its holder


@dataclass(frozen=True, slots=True)
class Seat:
    """A seat. Phone, holder and payload are known when somebody has scanned the code; the identity
    of which the key is, when that phone has said yes.
    """

    id: str
    device_id: str  # the shared device
    csr: bytes = field(repr=False)  # for the key that approves at it, and for nobody else
    state: SeatState
    create_time: datetime
    expire_time: datetime  # to decide if PENDING; when it ends by idleness if OPEN
    code_time: datetime  # until when the code is good
    end_time: datetime | None = None  # if OPEN: the latest end, whatever is done
    user_id: str | None = None
    payload: bytes | None = field(default=None, repr=False)
    claimed_by: str | None = None  # phone that scanned the code
    approval: Approval | None = None  # without what proves it, which the journal has
    identity_id: str | None = None
    certificate: bytes | None = None  # of that identity, DER
    why: Why | None = None

    def state_at(self, now: datetime) -> SeatState:
        """The state at `now`; a seat has ended even before a sweep records it."""
        return SeatState.ENDED if now >= self.expire_time else self.state

    def is_open(self, now: datetime) -> bool:
        """Whether somebody is signed in."""
        return self.state_at(now) is SeatState.OPEN

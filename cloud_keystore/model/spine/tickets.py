"""Tickets of a session broker, and what comes of asking whose they are. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum, unique

from cloud_keystore.model.errors import InvalidInput

LONGEST_TICKET = 1024
LONGEST_WHY = 300
LEASE_TIME = timedelta(minutes=2)  # more than the questions of a portion take
CHECK_TIME = timedelta(minutes=10)  # after which nobody is asked for a ticket: it may have ended


@dataclass(frozen=True, slots=True)
class HeldRole:
    """A role of somebody in an organisation."""

    id: str
    organisation: str
    name: str
    code: str


@dataclass(frozen=True, slots=True)
class SpineIdentity:
    """Somebody as the directory behind a broker knows them: the number has twelve digits."""

    uid: str
    name: str
    is_training: bool = False
    roles: Sequence[HeldRole] = ()


@unique
class Verdict(StrEnum):
    """What came of asking whose a ticket is."""

    VALID = "valid"
    REFUSED = "refused"  # the broker does not vouch for it
    UNREACHABLE = "unreachable"  # the broker gives no answer in time
    UNCLEAR = "unclear"  # its answer says of nobody for certain
    CLOCK_OFF = "clock-off"  # its answer does not count now
    UNTRIED = "untried"  # it was not asked


@dataclass(frozen=True, slots=True)
class TicketAnswer:
    """What came of it. The texts say why a ticket does not count, and what to do; they hold nothing
    that the broker has written.
    """

    verdict: Verdict
    identity: SpineIdentity | None = None  # of one that is valid
    why: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class TicketErrand:
    """A ticket that a process without keys is to ask about."""

    check_id: str
    tries: int  # with this one
    ticket: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TicketCheck:
    """A ticket that a workstation has brought, with which a card's holder logged in."""

    id: str
    card_id: str
    workstation_id: str
    create_time: datetime
    sha256: bytes  # of the ticket
    sealed: bytes = field(repr=False)  # the ticket
    tries: int = 0
    next_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Logins:
    """How often a card was logged in with, as the broker said, and when last."""

    count: int
    last_time: datetime | None


NEVER = Logins(0, None)


def sealed_context(check_id: str) -> str:
    """What a sealed ticket belongs to."""
    return f"ticket {check_id}"


def is_renamed(name: str, registered: str | None) -> bool:
    """Whether somebody has given a person another name than the registered one since the broker
    said that (None: it never did).
    """
    return registered is not None and name != registered


def checked(text: str) -> str:
    """A ticket as it can be sent; raises InvalidInput, without it."""
    if not (0 < len(text) <= LONGEST_TICKET and text.isascii() and text.isprintable()):
        raise InvalidInput(
            f"ticket is not one of a log-in: it has 1 to {LONGEST_TICKET} letters, digits and signs"
        )
    return text

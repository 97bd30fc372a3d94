"""Tickets of a session broker, and what comes of asking whose they are. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum, unique

from cloud_keystore.model.errors import InvalidInput

LONGEST_TICKET = 1024


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


def ticket(text: str) -> str:
    """A ticket as it can be sent; raises InvalidInput, without it."""
    if not (0 < len(text) <= LONGEST_TICKET and text.isascii() and text.isprintable()):
        raise InvalidInput(
            f"ticket is not one of a log-in: it has 1 to {LONGEST_TICKET} letters, digits and signs"
        )
    return text

"""Budgets: how many entries of the journal one identity can cause, so that nobody fills the disk.

Uses of keys are not among them, because each is within what a holder has approved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cloud_keystore.model.actors import ActorKind
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.limits import BUDGETS, Rate

FULL = 0.9  # of a budget: the registration authority is told
EMPTY = 0.5  # of a budget that was full: it is told again the next time

# What somebody begins: refused when the budget is used up, and while the disk has little room.
BEGINNINGS = frozenset(
    {
        Kind.OPERATION_ASKED,
        Kind.UNLOCK_ASKED,
        Kind.CARD_ISSUED,
        Kind.CARD_ACTIVATED,
        Kind.CARD_RESUMED,
        Kind.CARD_WRITTEN,
        Kind.CARD_RESET,
        Kind.MANAGEMENT_KEY_SET,
        Kind.KEY_MADE,
        Kind.KEY_IMPORTED,
        Kind.KEY_MOVED,
        Kind.KEY_ATTESTED,
        Kind.SECURE_MESSAGING_AGREED,
        Kind.USER_ADDED,
        Kind.IDENTITY_INVITED,
        Kind.ORGANISATION_ADDED,
        Kind.POLICY_SET,
        Kind.JOURNAL_READ,
    }
)
# Uses within what was approved: they count for nobody, and are refused only for want of room.
USES = frozenset({Kind.OPERATION_USED, Kind.SESSION_OPENED, Kind.SESSION_USED})
# What ends something, or follows from what was done: it counts, and is never refused. A passcode
# or an answer is refused before it is compared.
CLOSINGS = frozenset(Kind) - BEGINNINGS - USES
# How uses end: it follows from them, and counts for nobody either.
ENDS_OF_USES = frozenset({Kind.OPERATION_FAILED, Kind.OPERATION_UNSETTLED, Kind.SESSION_ENDED})
STOPPED = (BEGINNINGS | USES) - {Kind.JOURNAL_READ}  # while the disk has little room


@dataclass(frozen=True, slots=True)
class Growth:
    """How far a database may grow: budgets by kind of actor, and whether its disk has room."""

    budgets: Mapping[ActorKind, Rate]
    has_room: Callable[[], bool]


def budgets(rates: Mapping[str, Rate]) -> Mapping[ActorKind, Rate]:
    """The budgets of a table of limits by kind of actor."""
    return MappingProxyType({ActorKind(kind): rates[name] for kind, name in BUDGETS.items()})


@dataclass(frozen=True, slots=True)
class Spent:
    """What is used up of a budget."""

    entries: float
    is_full: bool

    def later(self, seconds: float, rate: Rate) -> Spent:
        """The same after some time, in which entries are given back."""
        entries = max(0.0, self.entries - max(0.0, seconds) * rate.per_second)
        return Spent(entries, self.is_full and entries > EMPTY * rate.burst)

    def more(self, entries: int, rate: Rate) -> Spent:
        """The same after further entries."""
        spent = self.entries + entries
        return Spent(spent, self.is_full or spent >= FULL * rate.burst)

"""How many users are in each state, which is counted again when something has happened."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple, TypeAlias

from sqlalchemy import Connection

from cloud_keystore.model.journal import Kind
from cloud_keystore.storage import journal
from cloud_keystore.storage.listing import users

# A phone's certificate ends without an entry, and of two entries the later one can be seen first.
LONGEST = timedelta(seconds=15)
MOST = 64  # numbers that are remembered
# "This was not me" suspends a card.
REPORTED = (Kind.OPERATION_REPORTED, Kind.SIGN_IN_REPORTED, Kind.SEAT_REPORTED)
BEGIN_QUIET = ("operation.", "sign-in.", "seat.", "session.", "journal.", "visit.")
# What changes neither a user, nor a phone, nor a card; uses of keys are most of all entries.
QUIET = frozenset(
    (
        *(Kind.PASSCODE_RIGHT, Kind.PASSCODE_WRONG),
        *(each for each in Kind if each.value.startswith(BEGIN_QUIET) and each not in REPORTED),
    )
)
KINDS = tuple(each.value for each in Kind if each not in QUIET)
Within: TypeAlias = "Collection[str] | None"


class Counted(NamedTuple):
    """What was counted, when, and after which entry."""

    numbers: Mapping[str, int]
    time: datetime
    last: int


@dataclass(slots=True)
class Counts:
    """Counts the users of some organisations (None: of all), and remembers for a short time. Used
    from any thread.
    """

    count: Callable[[Connection, datetime, Within, str], Mapping[str, int]] = users.counts
    _known: dict[tuple[frozenset[str] | None, str], Counted] = field(default_factory=dict)

    def of(
        self, connection: Connection, now: datetime, within: Within, text: str = ""
    ) -> Mapping[str, int]:
        """How many there are in each state, of all or of those whom a text finds."""
        about = (None if within is None else frozenset(within), text)
        last, before = journal.last(connection), self._known.get(about)
        if before is not None and self._holds(connection, before, now, last):
            return before.numbers
        numbers = self.count(connection, now, within, text)
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[about] = Counted(numbers, now, last)
        return numbers

    def _holds(self, connection: Connection, before: Counted, now: datetime, last: int) -> bool:
        if not before.time <= now < before.time + LONGEST or last < before.last:
            return False
        return last == before.last or not journal.subjects(connection, before.last, last, KINDS)

"""What was computed of users, their phones and cards, until something happens to one of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, NamedTuple, TypeVar

from sqlalchemy import Connection

from cloud_keystore.model.journal import Kind
from cloud_keystore.storage import journal

# A phone's certificate ends without an entry, and of two entries the later one can be seen first.
LONGEST = timedelta(seconds=15)
MOST = 64  # values that are remembered
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
Value = TypeVar("Value")


class Known(NamedTuple, Generic[Value]):
    """What was computed, when, and after which entry."""

    value: Value
    time: datetime
    last: int


@dataclass(slots=True)
class Remembered(Generic[Value]):
    """Remembers for a short time what takes long to compute, by what it is about. Used from any
    thread.
    """

    _known: dict[Hashable, Known[Value]] = field(default_factory=dict)

    def of(
        self,
        connection: Connection,
        now: datetime,
        within: Collection[str] | None,
        about: Hashable,
        compute: Callable[[], Value],
    ) -> Value:
        """The value about something of some organisations (None: of all), which is computed if it
        is not known any more.
        """
        about = (None if within is None else frozenset(within), about)
        last, before = journal.last(connection), self._known.get(about)
        if before is not None and self._holds(connection, before, now, last):
            return before.value
        value = compute()
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[about] = Known(value, now, last)
        return value

    def _holds(
        self, connection: Connection, before: Known[Value], now: datetime, last: int
    ) -> bool:
        if not before.time <= now < before.time + LONGEST or last < before.last:
            return False
        return last == before.last or not journal.subjects(connection, before.last, last, KINDS)

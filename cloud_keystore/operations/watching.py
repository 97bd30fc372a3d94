"""Finds what has changed in any process, with one query for all callers that wait in this one.

Wake-ups arrive sooner, but can be lost between processes. Every change is in the journal, so its
new entries show which callers to wake, at a cost that does not depend on the number of callers.
"""

from __future__ import annotations

from collections.abc import Callable

from cloud_keystore.model.journal import Kind
from cloud_keystore.storage import journal, sign_ins
from cloud_keystore.storage.engine import Database

LOOK_SECONDS = 3.0
KINDS = (
    Kind.OPERATION_ASKED,
    Kind.OPERATION_CLAIMED,
    Kind.OPERATION_APPROVED,
    Kind.OPERATION_DENIED,
    Kind.OPERATION_REPORTED,
    Kind.OPERATION_EXPIRED,
    Kind.OPERATION_CANCELLED,
    Kind.OPERATION_FAILED,
    Kind.SIGN_IN_ASKED,
    Kind.SIGN_IN_CLAIMED,
    Kind.SIGN_IN_APPROVED,
    Kind.SIGN_IN_DENIED,
    Kind.SIGN_IN_REPORTED,
    Kind.SIGN_IN_ENDED,
    Kind.IDENTITY_ENROLLED,
    Kind.IDENTITY_REMOVED,
)
# What changes the card that a reader shows: its open sign-ins are woken.
OF_CARDS = (
    Kind.CARD_RENEWED,
    Kind.CARD_WRITTEN,
    Kind.CARD_RESET,
    Kind.KEY_MADE,
    Kind.KEY_IMPORTED,
    Kind.KEY_MOVED,
    Kind.KEY_DESTROYED,
    Kind.MANAGEMENT_KEY_SET,
)


class Watching:
    """Reads the new entries of the journal. To be used by one thread at a time."""

    def __init__(self, database: Database, monotonic: Callable[[], float]) -> None:
        self._database = database
        self._monotonic = monotonic
        self._next_look = 0.0
        # The last entry read. Earlier ones do not matter: a caller looks when it begins to wait.
        self._last: int | None = None

    def topics(self) -> set[str]:
        """Return the operations and users that have changed since the last look, or nothing if that
        was less than LOOK_SECONDS ago.
        """
        now = self._monotonic()
        if now < self._next_look:
            return set()
        with self._database.read() as connection:
            last = journal.last(connection)
            changed = (
                journal.subjects(connection, self._last, last, (*KINDS, *OF_CARDS))
                if self._last is not None and last > self._last
                else []
            )
            holders = {user_id for kind, _, user_id in changed if kind in OF_CARDS and user_id}
            shown = sign_ins.open_of(connection, holders) if holders else []
        self._last, self._next_look = last, now + LOOK_SECONDS
        return set(shown) | {
            topic
            for kind, operation_id, user_id in changed
            if kind not in OF_CARDS
            for topic in (None if kind == Kind.OPERATION_ASKED else operation_id, user_id)
            if topic
        }

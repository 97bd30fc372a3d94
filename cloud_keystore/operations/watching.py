"""What has changed at this or another process, for those here who wait: one query for all of them,
in place of one for each.

Wake-ups come sooner, but may be lost between processes. Every change is in the journal, so what is
new there tells whom to wake, at a cost that does not grow with the number of those who wait.
"""

from __future__ import annotations

from collections.abc import Callable

from cloud_keystore.model.journal import Kind
from cloud_keystore.storage import journal
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
    Kind.IDENTITY_REMOVED,
)


class Watching:
    """Remembers how far it has read. Used by one thread at a time."""

    def __init__(self, database: Database, monotonic: Callable[[], float]) -> None:
        self._database = database
        self._monotonic = monotonic
        self._next_look = 0.0
        self._last: int | None = None  # entry; whoever begins to wait later looks for himself

    def topics(self) -> set[str]:
        """The operations and users of whom something has changed since the last look; nothing while
        that is not long ago.
        """
        now = self._monotonic()
        if now < self._next_look:
            return set()
        with self._database.read() as connection:
            last = journal.last(connection)
            changed = (
                journal.subjects(connection, self._last, last, KINDS)
                if self._last is not None and last > self._last
                else []
            )
        self._last, self._next_look = last, now + LOOK_SECONDS
        return {
            topic
            for kind, operation_id, user_id in changed
            for topic in (None if kind == Kind.OPERATION_ASKED else operation_id, user_id)
            if topic
        }

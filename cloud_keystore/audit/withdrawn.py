"""The journal's entries for what ended with a card or a device."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from cloud_keystore.audit import journal
from cloud_keystore.model.journal import Event, Kind
from cloud_keystore.storage.withdrawing import Withdrawn


def append(
    connection: Connection,
    withdrawn: Withdrawn,
    now: datetime,
    *,
    card_id: str | None = None,
    user_id: str | None = None,
) -> None:
    """Add an entry for each operation and session that ended, as the keystore's own doing."""
    ended = [(Kind.OPERATION_CANCELLED, each) for each in withdrawn.operations]
    ended += [(Kind.SESSION_ENDED, each) for each in withdrawn.sessions]
    entries = [
        Event(kind, now, "keystore", card_id=card_id, user_id=user_id, operation_id=each)
        for kind, each in ended
    ]
    if entries:
        journal.append(connection, *entries)

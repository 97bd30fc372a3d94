"""What the identifiers in entries stand for: the names that people know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection

from cloud_keystore.model.journal import SUBJECTS, Entry
from cloud_keystore.storage import cards, people

ID_LENGTH = 36  # of a UUID as text


def names(connection: Connection, found: Iterable[Entry]) -> Mapping[str, str]:
    """Names of people and identities, serial numbers of cards, references of keys, by identifier.
    What no longer exists has none.
    """
    ids = {name for entry in found for name in _named(entry) if name}
    return {
        **people.names(connection, ids),
        **cards.serials(connection, ids),
        **cards.key_names(connection, ids),
    }


def _named(entry: Entry) -> Iterable[str]:
    """The identifiers that an entry names."""
    yield entry.actor.id
    for field in SUBJECTS:
        yield getattr(entry, field) or ""
    for value in entry.details.values():
        if isinstance(value, str) and len(value) == ID_LENGTH:
            yield value

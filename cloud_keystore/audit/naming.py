"""What the identifiers in entries stand for: the names that people know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection

from cloud_keystore.model.journal import Entry, identifiers
from cloud_keystore.storage import cards, people


def names(connection: Connection, found: Iterable[Entry]) -> Mapping[str, str]:
    """Names of people and identities, serial numbers of cards, references of keys, by identifier.
    What no longer exists has none.
    """
    ids = {each for entry in found for each in identifiers(entry)}
    return {
        **people.names(connection, ids),
        **cards.serials(connection, ids),
        **cards.key_names(connection, ids),
    }

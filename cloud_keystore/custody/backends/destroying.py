"""Destroys private keys, and proves it in the journal.

A software key is destroyed when its sealed bytes are erased. A key in a token is first removed from
its card, and destroyed in the token after the commit: after a crash in between, `sweep` destroys
it. The journal says that it is destroyed only when the backend has confirmed it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Protocol
from uuid import UUID

from sqlalchemy import Connection

from cloud_keystore.audit import entries, journal
from cloud_keystore.custody.backends.keys import Backend
from cloud_keystore.model.actors import KEYSTORE, Actor
from cloud_keystore.model.cards import PKCS11, SOFTWARE, HeldKey, Key, Sealed
from cloud_keystore.model.journal import Detail, Entry, Kind
from cloud_keystore.storage import cards
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.issuing import next_keys, planned_keys

ORPHAN_AGE = timedelta(hours=1)  # a younger key can belong to a card that is just being made


class Shelf(Backend, Protocol):
    """A backend that can list its keys."""

    def handles(self) -> list[bytes]:
        """Return the handles of all keys of this keystore: the bytes of the keys' UUIDs."""

    def destroy_handle(self, handle: bytes) -> None:
        """Destroy a key that has no row in the database."""


def destroy_keys(connection: Connection, card_id: str, now: datetime, actor: Actor) -> None:
    """Erase the private parts of all keys of a card, including keys that were removed from it."""
    doomed = cards.doomed(connection, card_id)
    cards.destroy_keys(connection, card_id, now)
    _tell(connection, doomed, now, actor)


def remove_key(
    connection: Connection, card_id: str, key_ref: int, now: datetime, actor: Actor
) -> bool:
    """Remove a key from its card and erase its private part; returns False if there is none."""
    doomed = cards.doomed(connection, card_id, key_ref)
    removed = cards.remove_key(connection, card_id, key_ref, now)
    _tell(connection, doomed, now, actor)
    return removed


def destroy_next(
    connection: Connection, key_ids: Sequence[str], now: datetime, actor: Actor
) -> None:
    """Erase the private parts of keys that were to take the places of others, and do not."""
    found = (cards.find_key(connection, each) for each in key_ids)
    doomed = [each for each in found if each is not None]
    next_keys.erase(connection, key_ids, now)
    _tell(connection, doomed, now, actor)


def sweep(database: Database, backend: Backend, now: datetime) -> int:
    """Destroy in the token the keys that were destroyed here; returns how many. To be called
    regularly.

    Raises KeyBackendUnavailable.
    """
    with database.read() as connection:
        left = cards.left_on_token(connection)
    for key in left:
        backend.destroy(key)
        with database.write() as connection:
            if cards.forget_handle(connection, key.id):
                journal.append(connection, destroyed(key, PKCS11, now, KEYSTORE))
    return len(left)


def sweep_orphans(database: Database, shelf: Shelf, now: datetime) -> int:
    """Destroy the keys in the token that have no row in the database; returns how many. Must not
    be used on a database that was restored from an old backup, which lacks the rows of newer keys.

    Raises KeyBackendUnavailable.
    """
    in_token = shelf.handles()
    with database.read() as connection:
        known = cards.handles(connection) | planned_keys.handles(connection)
    orphans = [each for each in in_token if each not in known and _is_old(each, now)]
    for handle in orphans:
        shelf.destroy_handle(handle)
        with database.write() as connection:
            journal.append(connection, _orphan(str(UUID(bytes=handle)), now))
    return len(orphans)


def sweep_planned(database: Database, shelf: Shelf, now: datetime) -> int:
    """Destroy the keys that were planned for a card and are on none; returns how many. To be called
    regularly.

    Raises KeyBackendUnavailable.
    """
    with database.read() as connection:
        due = planned_keys.due(connection, now)
    for key in due:
        shelf.destroy_handle(key.handle)
        with database.write() as connection:
            if planned_keys.forget(connection, key):
                journal.append(connection, _orphan(key.id, now))
    return len(due)


def destroyed(key: Key, backend: str, now: datetime, actor: Actor) -> Entry:
    """Make the entry that proves a destruction: which key it was, and in which backend."""
    said = {"backend": backend, "algorithm": key.algorithm.name}
    proof = {"public_key_sha256": sha256(key.public_key).digest()}
    return entries.about_key(Kind.KEY_DESTROYED, key, now, actor, said, proof)


def _tell(connection: Connection, doomed: list[HeldKey], now: datetime, actor: Actor) -> None:
    """Write the entries of the keys that are destroyed with their sealed bytes."""
    told = [
        destroyed(key, SOFTWARE, now, actor) for key in doomed if isinstance(key.private, Sealed)
    ]
    if told:
        journal.append(connection, *told)


def _orphan(key_id: str, now: datetime) -> Entry:
    """The entry that proves the destruction of a key that no card has."""
    said: dict[str, Detail] = {"backend": PKCS11, "orphan": True}
    return entries.about_orphan(Kind.KEY_DESTROYED, key_id, now, KEYSTORE, said)


def _is_old(handle: bytes, now: datetime) -> bool:
    """Whether a key was made long ago: its identifier is a UUIDv7."""
    if len(handle) != 16:
        return False
    milliseconds = UUID(bytes=handle).int >> 80
    return now.timestamp() * 1000 - milliseconds > ORPHAN_AGE.total_seconds() * 1000

"""Gives the journal's entries their places in the tree, under signed checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from cloud_keystore.audit import bundling, notes
from cloud_keystore.audit.tree import Frontier, leaf_hash
from cloud_keystore.model.errors import StorageDamaged
from cloud_keystore.storage import journal
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.journal import Head

MOST_AT_ONCE = 1024  # in one transaction, which keeps other writers waiting


@dataclass(frozen=True, slots=True)
class Log:
    """The journal's name, and the key that signs its checkpoints."""

    origin: str
    public_key: bytes  # Ed25519, raw
    sign: Callable[[bytes], bytes]


def take_in(database: Database, log: Log, now: datetime) -> int:
    """Take entries into the tree, under a new checkpoint; return how many, 0 if there are none.

    If several processes do so, each takes the entries that the others have left. Until a new entry
    is in the tree, only the database protects it.

    Raises StorageDamaged if entries are missing that an earlier checkpoint covers.
    """
    with database.read() as connection:
        if not journal.has_to_take_in(connection):
            return 0
    with database.write() as connection:
        last = journal.head(connection)
        tree = Frontier() if last is None else Frontier.decode(last.size, last.frontier)
        taken = journal.count_taken_in(connection)
        if taken != tree.size:
            raise StorageDamaged(
                f"the journal has {taken} entries where its last checkpoint tells of {tree.size}: "
                "somebody has changed the database; keep it as evidence and restore a backup"
            )
        rows = journal.to_take_in(connection, MOST_AT_ONCE)
        if not rows:
            return 0
        bundled = bundling.fill(connection, tree, rows)
        journal.take_in(connection, tree.size + bundled, rows[bundled:])
        tree = tree.extend(leaf_hash(row.entry) for row in rows)
        checkpoint = notes.Checkpoint(log.origin, tree.size, tree.root)
        note = notes.close(checkpoint, log.public_key, log.sign)
        journal.add_head(connection, Head(tree.size, note, tree.encode()), now)
    return len(rows)


def take_in_all(database: Database, log: Log, now: datetime) -> int:
    """Take the new entries into the tree; return how many. Those that come meanwhile can wait: who
    took them too would never end under load, and lock writers out all the time.
    """
    taken = some = take_in(database, log, now)
    while some == MOST_AT_ONCE:
        some = take_in(database, log, now)
        taken += some
    return taken

"""Puts entries that have their places in the tree into bundles, which are the tiles of the lowest
level of C2SP tlog-tiles: 256 entries each, from a multiple of that on.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from cloud_keystore.audit.tree import Frontier, leaf_hash, root_of
from cloud_keystore.model.errors import StorageDamaged
from cloud_keystore.storage import journal
from cloud_keystore.storage.bundles.contents import SIZE
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.journal import Row

MOST_AT_ONCE = 4 * SIZE  # in one transaction, which keeps other writers waiting


def fill(connection: Connection, tree: Frontier, new: Sequence[Row]) -> int:
    """Put those entries into bundles that fill them with others behind a tree, and return how many
    of the others went there. They need no places as rows.

    Raises StorageDamaged if rows are not what the tree has at their places, and RowNotAuthentic.
    """
    begun = journal.in_bundles(connection)
    behind = tree.size - begun
    # With a bundle or more of rows before the new ones, `catch_up` has to go on first.
    fills = behind < SIZE < behind + len(new)
    # At least one: if there is none at its place, bundles or rows were cut off.
    placed = journal.placed(connection, begun, SIZE if fills else 1) if behind else []
    if not fills:
        return 0
    tail = Frontier().extend(leaf_hash(row.entry) for row in placed)
    if tail.size != behind or tail.roots != tree.roots[len(tree.roots) - len(tail.roots) :]:
        raise StorageDamaged(
            "the journal's newest entries are not those of its last checkpoint: somebody has "
            "changed the database; keep it as evidence and restore a backup"
        )
    return _put(connection, [*placed, *new]) - len(placed)


def catch_up(database: Database) -> int:
    """Put entries of a journal from before there were bundles into some; return how many, 0 if
    there is nothing to do. Raises StorageDamaged and RowNotAuthentic.
    """
    with database.read() as connection:
        begun = journal.in_bundles(connection)
        if journal.count_taken_in(connection) <= begun + SIZE:
            return 0
    with database.write() as connection:
        begun = journal.in_bundles(connection)
        return _put(connection, journal.placed(connection, begun, MOST_AT_ONCE + 1))


def _put(connection: Connection, these: Sequence[Row]) -> int:
    """Put entries, from the next bundle's first on, into bundles; the last one stays a row."""
    full = (len(these) - 1) // SIZE * SIZE
    for first in range(0, full, SIZE):
        some = these[first : first + SIZE]
        journal.bundle(connection, some, root_of(leaf_hash(row.entry) for row in some))
    return full

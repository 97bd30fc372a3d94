"""Declares the tables whose rows have authentication codes."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Column, LargeBinary, MetaData, Table
from sqlalchemy.sql.schema import SchemaItem

from cloud_keystore.storage.authentic.codes import MAC, UNCOVERED

metadata = MetaData()  # of all tables


def authentic(name: str, *items: SchemaItem, uncovered: Sequence[str] = ()) -> Table:
    """A table whose rows have codes over all columns but those that are sealed, or do not count.
    Rows from before there were codes have none.
    """
    return Table(name, metadata, *items, Column(MAC, LargeBinary), info={UNCOVERED: uncovered})

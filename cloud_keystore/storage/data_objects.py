"""Rows of the data objects of cards."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict

from sqlalchemy import ColumnElement, Connection, RowMapping, select

from cloud_keystore.model.cards import StoredObject
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values


def add(connection: Connection, card_id: str, objects: Collection[StoredObject]) -> None:
    """Add the data objects of a new card."""
    if objects:
        rows.add(connection, t.card_object, *(_from_stored(card_id, each) for each in objects))


def of_card(connection: Connection, card_id: str) -> Mapping[int, StoredObject]:
    """A card's data objects by tag."""
    query = select(t.card_object).where(t.card_object.c.card_id == card_id)
    found = rows.read(connection, t.card_object, query)
    return {row["tag"]: _to_stored(row) for row in found if row["value"] or row["sealed_as"]}


def in_the_clear(connection: Connection, tags: Collection[int]) -> list[tuple[str, int]]:
    """Card and tag of the objects with some tags that are not sealed."""
    c = t.card_object.c
    query = select(c.card_id, c.tag).where(c.tag.in_(tags), c.value != b"")
    return [(row.card_id, row.tag) for row in connection.execute(query)]


def authentic(connection: Connection, card_id: str, tag: int) -> StoredObject | None:
    """A data object; None if there is none, or one that no keystore has written."""
    query = select(t.card_object).where(*_this(card_id, tag))
    found = rows.authentic(connection, t.card_object, query)
    return _to_stored(found[0]) if found else None


def put(connection: Connection, card_id: str, stored: StoredObject) -> None:
    """Replace a data object; without contents it is no longer there."""
    values = _from_stored(card_id, stored)
    if not rows.change(connection, t.card_object, _this(card_id, stored.tag), values):
        rows.add(connection, t.card_object, values)


def _this(card_id: str, tag: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return t.card_object.c.card_id == card_id, t.card_object.c.tag == tag


def _to_stored(row: RowMapping) -> StoredObject:
    return StoredObject(**{name: row[name] for name in StoredObject.__dataclass_fields__})


def _from_stored(card_id: str, stored: StoredObject) -> Values:
    return {"card_id": card_id, **asdict(stored)}

"""Prepared statements do what SQLAlchemy's own do, in both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import bindparam, select, update
from sqlalchemy.exc import IntegrityError

from cloud_keystore.storage import tables as t
from cloud_keystore.storage.databases.prepared import (
    Changing,
    ForEach,
    Given,
    adding,
    given_together,
)
from support.keystore_world import World

COLUMNS = ("time", "kind", "card_id", "entry", "leaf_index")
NOW = datetime(2026, 11, 29, 7, 0, 0, 1, tzinfo=UTC)
ADDING = adding(t.journal, COLUMNS)
j = t.journal.c
TOGETHER = given_together({"of": j.leaf_index.type, "at": j.time.type, "card": j.card_id.type})
MOVING = ForEach(
    Changing(
        update(t.journal)
        .where(j.leaf_index == bindparam("of"))
        .values(time=bindparam("at"), card_id=bindparam("card"))
    ),
    Changing(
        update(t.journal)
        .where(j.leaf_index == TOGETHER.c.of)
        .values(time=TOGETHER.c.at, card_id=TOGETHER.c.card)
    ),
)


def row(place: int, card_id: str | None = "%s ? :a") -> Given:
    return {
        "time": NOW + timedelta(microseconds=place),
        "kind": "å",
        "card_id": card_id,
        "entry": bytes(range(256)),
        "leaf_index": place,
    }


def found(world: World) -> list[Given]:
    query = select(*(t.journal.c[name] for name in COLUMNS))
    with world.database.read() as connection:
        placed = query.where(t.journal.c.leaf_index.is_not(None)).order_by(t.journal.c.leaf_index)
        return [{**each} for each in connection.execute(placed).mappings()]


@pytest.mark.parametrize("count", [1, 2, 70])
def test_rows_are_what_was_given(world: World, count: int) -> None:
    given = [row(place, None if place % 2 else "%s ? :a") for place in range(count)]
    with world.database.write() as connection:
        ADDING.run(connection, *given)
    assert found(world) == given


@pytest.mark.parametrize("count", [1, 2])
def test_a_row_that_exists_is_refused_with_all_others(world: World, count: int) -> None:
    given = [row(place) for place in range(count)]
    with world.database.write() as connection:
        ADDING.run(connection, *given)
    with pytest.raises(IntegrityError), world.database.write() as connection:
        ADDING.run(connection, *(row(place) for place in range(9, 9 - count, -1)), row(0))
    assert found(world) == given


def test_changes_are_counted(world: World) -> None:
    with world.database.write() as connection:
        ADDING.run(connection, row(0), row(1), row(2))
        changes = ({"of": place, "at": NOW, "card": None} for place in (0, 2, 7))
        assert MOVING.run(connection, *changes) == 2
        assert MOVING.run(connection, {"of": 8, "at": NOW, "card": "x"}) == 0
    assert [each["card_id"] for each in found(world)] == [None, "%s ? :a", None]
    assert [each["time"] for each in found(world)] == [NOW, row(1)["time"], NOW]

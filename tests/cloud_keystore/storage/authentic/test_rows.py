"""Rows that were read before are not computed again, and yet nothing else is believed for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, Integer, LargeBinary, MetaData, String, Table, update

from cloud_keystore.model.errors import RowNotAuthentic
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import MAC, UNCOVERED, Codes, Value
from cloud_keystore.storage.engine import Database


def sample(name: str) -> Table:
    return Table(
        name,
        MetaData(),
        Column("id", String, primary_key=True),
        Column("number", Integer, nullable=False),
        Column("sealed", LargeBinary),
        Column(MAC, LargeBinary),
        info={UNCOVERED: ["sealed"]},
    )


THIS, OTHER = sample("this"), sample("other")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A database with one row, which was read."""
    made = Database(f"sqlite:///{tmp_path / 'rows.db'}")
    made.authenticate(b"\x01" * 32)
    with made.write() as connection:
        for table in (THIS, OTHER):
            table.create(connection)
        rows.add(connection, THIS, {"id": "a", "number": 1})
    with made.read() as connection:
        assert found(connection) == {"id": "a", "number": 1, "sealed": None}
    yield made
    made.close()


def found(connection: Connection, table: Table = THIS) -> dict[str, Value]:
    row = rows.one(connection, table, id="a")
    return {} if row is None else {name: row[name] for name in ("id", "number", "sealed")}


@pytest.mark.parametrize("change", [{"number": 2}, {MAC: b"\x00" * 40}, {MAC: None}])
def test_what_somebody_changes_after_it_was_read_is_refused(
    database: Database, change: dict[str, Value]
) -> None:
    with database.write() as connection:
        connection.execute(update(THIS).values(change))
    with database.read() as connection, pytest.raises(RowNotAuthentic):
        found(connection)
    with database.write() as connection, pytest.raises(RowNotAuthentic):
        rows.change(connection, THIS, [], {"number": 3})


def test_a_row_that_was_read_is_not_believed_in_another_table(database: Database) -> None:
    with database.write() as connection:
        connection.exec_driver_sql("INSERT INTO other SELECT * FROM this")
    with database.read() as connection, pytest.raises(RowNotAuthentic):
        found(connection, OTHER)


def test_what_no_code_covers_is_read_each_time(database: Database) -> None:
    with database.write() as connection:
        connection.execute(update(THIS).values(sealed=b"new"))
    with database.read() as connection:
        assert found(connection)["sealed"] == b"new"


def test_a_row_that_stays_the_same_is_computed_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "MOST_RECENT", 1)  # what is kept is bounded
    checked: list[object] = []
    check = Codes.check

    def counted(codes: Codes, table: Table, row: dict[str, Value]) -> int:
        checked.append(row["number"])
        return check(codes, table, row)

    monkeypatch.setattr(Codes, "check", counted)
    with database.write() as connection:
        rows.change(connection, THIS, [THIS.c.id == "a"], {"number": 2})
    for _ in range(3):
        with database.read() as connection:
            assert found(connection)["number"] == 2
    assert checked == [2]

"""Codes of rows: the same row has the same code, and no other row has it."""

from __future__ import annotations

import hmac
from datetime import UTC, datetime

import hypothesis.strategies as st
import pytest
from hypothesis import given
from sqlalchemy import Boolean, Column, Integer, LargeBinary, MetaData, String, Table, false, text

from cloud_keystore.model.errors import RowNotAuthentic
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic.codes import (
    MAC,
    UNCOVERED,
    Codes,
    NoRowKey,
    Values,
    changes_of,
)
from cloud_keystore.storage.authentic.declaring import metadata
from cloud_keystore.storage.authentic.upgrading import authentic_tables
from cloud_keystore.storage.databases.instants import Instant


def sample(name: str = "sample", *more: Column[int]) -> Table:
    """A table with a column of each kind."""
    return Table(
        name,
        MetaData(),
        Column("id", String, primary_key=True),
        Column("number", Integer, nullable=False, server_default=text("3")),
        Column("flag", Boolean, nullable=False, server_default=false()),
        Column("name", String, nullable=False, server_default=""),
        Column("value", LargeBinary),
        Column("time", Instant),
        Column("sealed", LargeBinary),
        *more,
        Column(MAC, LargeBinary),
        info={UNCOVERED: ["sealed"]},
    )


TABLE = sample()
ROWS = st.fixed_dictionaries(
    {
        "id": st.text(max_size=4),
        "number": st.integers(0, 300),
        "flag": st.booleans(),
        "name": st.text(max_size=4),
        "value": st.none() | st.binary(max_size=4),
        "time": st.none() | st.datetimes(datetime(1970, 1, 1), timezones=st.just(UTC)),
    }
)


def codes(key: bytes = b"\x01" * 32) -> Codes:
    made = Codes()
    made.use(key)
    return made


@given(ROWS, ROWS, st.integers(0, 1 << 40), st.integers(0, 3))
def test_a_row_has_its_code_and_no_other_row_has_it(
    row: Values, other: Values, changes: int, more: int
) -> None:
    made = codes().make(TABLE, row, changes)
    assert codes().check(TABLE, {**row, MAC: made}) == changes == changes_of(made)
    same = (row, 0) == (other, more)
    assert (codes().make(TABLE, other, changes + more) == made) is same


def test_the_code_of_a_row_stays() -> None:
    """What was written by earlier versions must be read for ever."""
    row: Values = {
        "id": "a",
        "number": 4,
        "flag": True,
        "name": "Ada",
        "value": b"\x00",
        "time": datetime(2026, 11, 23, tzinfo=UTC),
    }
    microseconds = b"1795392000000000"
    covered = [
        b"sample\0" + (2).to_bytes(8, "big"),
        b"flag\0" + b"\0\0\0\2" + b"i1",
        b"id\0" + b"\0\0\0\2" + b"sa",
        b"name\0" + b"\0\0\0\4" + b"sAda",
        b"number\0" + b"\0\0\0\2" + b"i4",
        b"time\0" + b"\0\0\0\x11" + b"i" + microseconds,
        b"value\0" + b"\0\0\0\2" + b"b\0",
    ]
    expected = hmac.digest(b"\x01" * 32, b"".join(covered), "sha256")
    assert codes().make(TABLE, row, 2) == (2).to_bytes(8, "big") + expected


def test_a_column_that_is_added_later_leaves_old_codes_right() -> None:
    more = (Column("more", Integer, server_default=text("7")), Column("even", Integer))
    later = sample("sample", *more)
    row: Values = {"id": "a", "number": 4, "flag": True, "name": "", "value": None, "time": None}
    made = codes().make(TABLE, row, 0)
    assert codes().check(later, {**row, "more": 7, "even": None, MAC: made}) == 0
    with pytest.raises(RowNotAuthentic):
        codes().check(later, {**row, "more": 8, "even": None, MAC: made})


def test_what_is_sealed_changes_without_a_new_code() -> None:
    made = codes().make(TABLE, {"id": "a", "sealed": b"\x01"}, 0)
    assert made == codes().make(TABLE, {"id": "a", "sealed": b"\x02"}, 0)


def test_another_key_or_table_makes_another_code() -> None:
    row: Values = {"id": "a"}
    made = codes().make(TABLE, row, 0)
    other = sample("other")
    for forged in (codes(b"\x02" * 32).make(TABLE, row, 0), codes().make(other, row, 0)):
        assert forged != made
        with pytest.raises(RowNotAuthentic, match="sample a: a wrong code"):
            codes().check(TABLE, {**row, MAC: forged})


@pytest.mark.parametrize("code", [None, b"", bytes(8), bytes(40), "text"])
def test_what_is_no_code(code: bytes | str | None) -> None:
    with pytest.raises(RowNotAuthentic):
        codes().check(TABLE, {"id": "a", MAC: code})


def test_a_value_that_no_keystore_writes() -> None:
    made = codes().make(TABLE, {"id": "a"}, 0)
    with pytest.raises(RowNotAuthentic):
        codes().check(TABLE, {"id": "a", "number": 1.5, MAC: made})  # type: ignore[dict-item]


def test_without_a_key_nothing_is_believed() -> None:
    with pytest.raises(NoRowKey, match="name the sealing key"):
        Codes().make(TABLE, {"id": "a"}, 0)
    assert "01" not in repr(codes())


def test_what_no_code_covers() -> None:
    """Columns outside of the codes are sealed, or do not count. Each new one is looked at here."""
    found = {table.name: sorted(table.info[UNCOVERED]) for table in authentic_tables()}
    assert {name: columns for name, columns in found.items() if columns} == {
        "authority": ["sealed_private"],
        "key": ["sealed_private"],
        "spare_key": ["sealed_private"],
        "card_object": ["sealed_value"],
        "est_server": ["sealed"],
        "spine_check": ["sealed"],
        "oidc_return": ["sealed"],
        "management_key": ["sealed"],
        "management_challenge": ["id"],
        "operation": ["room", "sealed_result", "trace_id"],
        "journal": sorted(t.IN_ENTRIES),
        "webhook": ["sealed_old", "sealed_secret"],
        "bell": ["sealed"],
    }


def test_which_tables_have_no_codes() -> None:
    """Their rows give nobody anything: each new table is looked at here."""
    assert {table.name for table in metadata.sorted_tables} - {
        table.name for table in authentic_tables()
    } == {
        "alert",  # for people to look at
        "budget",  # to give entries back lets somebody write more of them, and nothing else
        "bundle_index",  # what it leaves out, searches do not find; everything else has it
        "checkpoint",  # signed
        "guess",  # to delete one is as good as to change it
        "key_holder",  # holds a rotation up, and nothing else
        "organisation",  # names
        "sealing_key",  # checked by what is sealed under it
        "secret",  # sealed
        "session_use",  # results are sealed; a use that is taken is counted by its session
    }

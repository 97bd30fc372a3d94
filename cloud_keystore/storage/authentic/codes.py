"""Authentication codes of rows. Whoever can write the database, but does not have the root secret,
makes no row that the keystore believes.

A code is the number of times that the row was changed (8 bytes, big-endian), and HMAC-SHA256 under
a key that is derived from the root secret, over

    name of the table, 00 | number of changes
    | for each column, by name: its name, 00 | length of the rest (4) | kind | value

Columns that are NULL or hold their default are left out, so that the codes of old rows stay right
when a column is added. Columns that a table calls uncovered are left out too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hmac import compare_digest, digest

from sqlalchemy import Boolean, Column, Integer, Table

from cloud_keystore.model.errors import KeystoreError, RowNotAuthentic
from cloud_keystore.storage.databases.instants import EPOCH, MICROSECOND

COUNTER_BYTES = 8
MAC = "mac"  # the column that holds a row's code
UNCOVERED = "uncovered"  # the name under which a table keeps the columns that codes leave out

Value = str | int | bytes | datetime | None
Values = Mapping[str, Value]


class NoRowKey(KeystoreError):
    """The root secret was not opened, so that no row can be read or written."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What of a table's rows is covered by their codes."""

    table: bytes
    columns: tuple[tuple[str, bytes, Value], ...]  # name, its spelling in the code, and default

    @classmethod
    def of(cls, table: Table) -> Layout:
        """The columns that are covered, in the order of their names."""
        covered = [
            (column.name, column.name.encode() + b"\0", _default(column))
            for column in sorted(table.columns, key=lambda column: column.name)
            if column.name != MAC and column.name not in table.info[UNCOVERED]
        ]
        return cls(table.name.encode() + b"\0", tuple(covered))


class Codes:
    """Makes and checks the codes of rows, once it was given its key."""

    def __init__(self) -> None:
        self._key: bytes | None = None

    def __repr__(self) -> str:
        return "Codes()"

    def use(self, key: bytes) -> None:
        """Take the key, which is derived from the root secret."""
        self._key = key

    def make(self, table: Table, values: Values, changes: int) -> bytes:
        """The code of a row; columns that `values` lacks hold their defaults. Raises NoRowKey."""
        if self._key is None:
            raise NoRowKey("name the sealing key: without it, no record can be read or written")
        layout = _layout(table)
        counter = changes.to_bytes(COUNTER_BYTES, "big")
        parts = [layout.table, counter]
        for name, spelled, default in layout.columns:
            value = values.get(name, default)
            if value is not None and value != default:
                said = _bytes(value)
                parts += (spelled, len(said).to_bytes(4, "big"), said)
        return counter + digest(self._key, b"".join(parts), "sha256")

    def check(self, table: Table, row: Values) -> int:
        """How often a row was changed; raises RowNotAuthentic if its code is missing or wrong."""
        code = row[MAC]
        if isinstance(code, bytes) and len(code) > COUNTER_BYTES:
            changes = changes_of(code)
            with suppress(TypeError):  # a value that no keystore writes
                if compare_digest(code, self.make(table, row, changes)):
                    return changes
        raise not_authentic(named(table, row), "no code" if code is None else "a wrong code")


def changes_of(code: bytes) -> int:
    """How often the row with a code was changed."""
    return int.from_bytes(code[:COUNTER_BYTES], "big")


def not_authentic(name: str, why: str) -> RowNotAuthentic:
    """What to raise about a row that no keystore wrote."""
    return RowNotAuthentic(
        f"{name}: {why}: somebody has changed the database; keep it as evidence, and restore a "
        "backup"
    )


def named(table: Table, row: Values) -> str:
    """What a row is called in messages: its table and primary key."""
    return spelled((table.name, *(row[column.name] for column in table.primary_key)))


def spelled(name: Sequence[Value]) -> str:
    """The same, of a table's name and a primary key."""
    return " ".join(each.hex() if isinstance(each, bytes) else str(each) for each in name)


@cache
def _layout(table: Table) -> Layout:
    return Layout.of(table)


def _default(column: Column[Value]) -> Value:
    """What the database puts into a column that is left out."""
    default = column.server_default
    if default is None:
        return None
    text = str(getattr(default, "arg", ""))
    if isinstance(column.type, Boolean):
        return text == "true"
    return int(text) if isinstance(column.type, Integer) else text


def _bytes(value: Value) -> bytes:
    """A value's kind and the value. Numbers are decimal; times count microseconds."""
    if isinstance(value, bytes):
        return b"b" + value
    if isinstance(value, str):
        return b"s" + value.encode()
    if isinstance(value, datetime):
        value = (value - EPOCH) // MICROSECOND
    if isinstance(value, int):
        return b"i%d" % value
    raise TypeError("a row holds something else than text, bytes, a number or a time")

"""Reads and writes rows with their authentication codes, in the transactions of `Database`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias, TypeVar, cast

import structlog
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Executable,
    RowMapping,
    Table,
    delete,
)

from cloud_keystore.model.errors import RecordDamaged
from cloud_keystore.storage.authentic.codes import (
    MAC,
    UNCOVERED,
    Codes,
    Value,
    Values,
    changes_of,
    named,
    not_authentic,
    spelled,
)
from cloud_keystore.storage.authentic.newest import GONE, Name, Newest
from cloud_keystore.storage.authentic.statements import (
    adding_to,
    any_one,
    changing,
    every,
    holding,
    key_of,
    locked,
)
from cloud_keystore.storage.databases.prepared import (
    Raw,
    Reading,
)

TURN = "turn"  # the name under which a connection keeps what its transaction has seen
NOTHING: Mapping[str, Value | list[str]] = MappingProxyType({})
MOST_BELIEVED = 1 << 14  # rows that a process keeps
MOST_RECENT = 1 << 11  # rows whose codes need not be computed again while they stay the same
MOST_KEPT = 1 << 12  # things that were made of rows
MOST_SWEPT = 2000  # rows in one transaction, for which other writers wait
PUT_BACK = "an earlier version was put back"

Given: TypeAlias = "Mapping[str, Value | list[str]]"
Changes: TypeAlias = "Values | Callable[[RowMapping], Values]"

T = TypeVar("T")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Kept:
    """What was made of something that was read, and on which rows it rests."""

    raw: Raw
    made: object
    checked: tuple[tuple[Name, int], ...]  # with the changes of each


@dataclass(slots=True)
class Turn:
    """One transaction: which codes it checks, when it began, and which rows it has seen."""

    codes: Codes
    newest: Newest
    believed: dict[bytes, RowMapping]
    recent: dict[tuple[str, bytes], RowMapping]
    kept: dict[str, Kept]
    began: int
    checked: list[tuple[Name, int]] | None = None  # with the changes of each; None: not noted
    seen: dict[Name, int] = field(default_factory=dict)


class Rows:
    """What a process knows of a database's rows."""

    def __init__(self) -> None:
        self.codes = Codes()
        self._newest = Newest()
        self._believed: dict[bytes, RowMapping] = {}  # by code
        self._recent: dict[tuple[str, bytes], RowMapping] = {}  # by table and code
        self._kept: dict[str, Kept] = {}  # by what it is about

    @contextmanager
    def turn(self, connection: Connection) -> Iterator[None]:
        """Let a transaction, which the block begins and ends, use authenticated rows. What it has
        seen counts only if the block ends without an exception.
        """
        this = Turn(
            self.codes, self._newest, self._believed, self._recent, self._kept, self._newest.now
        )
        connection.info[TURN] = this
        yield
        self._newest.learn(this.seen)


def add(connection: Connection, table: Table, *rows: Values) -> None:
    """Add rows, each with its code. Raises IntegrityError for one that exists."""
    coded = [{**row, MAC: code(connection, table, row)} for row in rows]
    adding_to(table, tuple(coded[0])).run(connection, *coded)


def find(
    connection: Connection, table: Table, *conditions: ColumnElement[bool]
) -> RowMapping | None:
    """The row that matches, or any of several; None if there is none. Raises RowNotAuthentic."""
    found = read(connection, table, any_one(table).where(*conditions))
    return found[0] if found else None


def one(connection: Connection, table: Table, **holds: Value) -> RowMapping | None:
    """The row whose columns of these names hold these values, or any of several; None if there is
    none. Raises RowNotAuthentic.
    """
    found = fetch(connection, holding(table, tuple(holds)), holds)
    if not found:
        return None
    this = _turn(connection)
    row = _checked_now(this, table, found[0])
    if len(this.recent) >= MOST_RECENT:
        this.recent.clear()
    this.recent[table.name, row[MAC]] = row
    return row


def read(
    connection: Connection, table: Table, query: Executable, given: Given = NOTHING
) -> list[RowMapping]:
    """The rows of a query for all columns of a table. Raises RowNotAuthentic if one of them was not
    written by a keystore, or was put back.
    """
    return [checked(connection, table, row) for row in fetch(connection, query, given)]


def authentic(connection: Connection, table: Table, query: Executable) -> list[RowMapping]:
    """The rows of a query for all columns of a table, without those that are not authentic: nobody
    can use them, and they must not keep others waiting.
    """
    found: list[RowMapping] = []
    result = connection.execute(query).mappings()
    while True:
        try:
            # One by one: what does not belong into a column shows here.
            with _of_its_kind():
                row = result.fetchone()
            if row is None:
                return found
            found.append(checked(connection, table, row))
        except RecordDamaged as refused:
            log.critical("a record is passed over", record=str(refused))


def fetch(
    connection: Connection, query: Executable, given: Given = NOTHING
) -> Sequence[RowMapping]:
    """The rows of a query, before their codes are checked. Raises RowNotAuthentic for a value that
    does not belong into its column, which SQLite takes.
    """
    with _of_its_kind():
        return connection.execute(query, {**given}).mappings().all()


def typed(connection: Connection, reading: Reading, raw: Raw) -> RowMapping:
    """A row of a prepared query, before its code is checked; raises as `fetch` does."""
    with _of_its_kind():
        return reading.row(connection, raw)


@contextmanager
def _of_its_kind() -> Iterator[None]:
    try:
        yield
    except (TypeError, ValueError) as error:
        why = f"a value of another kind ({type(error).__name__})"
        raise not_authentic("a record", why) from None


def checked(connection: Connection, table: Table, row: RowMapping) -> RowMapping:
    """The same row, after its code was checked; raises RowNotAuthentic."""
    check(connection, table, {**row})
    return row


def _checked_now(this: Turn, table: Table, row: RowMapping) -> RowMapping:
    """The row after its code was checked, or the one that this process has checked lately, if all
    columns are the same. Raises RowNotAuthentic.
    """
    before = this.recent.get((table.name, row[MAC]))
    if before is None or tuple(before.values()) != tuple(row.values()):
        before = row
        this.codes.check(table, {**row})
    _check_newest(this, table, before, changes_of(before[MAC]))
    return before


def check(connection: Connection, table: Table, row: Values) -> None:
    """Check the code of a row; raises RowNotAuthentic."""
    this = _turn(connection)
    _check_newest(this, table, row, this.codes.check(table, row))


def code(connection: Connection, table: Table, row: Values) -> bytes:
    """The code of a row that was not changed since it was added."""
    return _turn(connection).codes.make(table, row, 0)


def known(connection: Connection, table: Table, code: bytes | None, key: Values) -> RowMapping:
    """The row with a primary key, of which only the code was read: what that stands for is read
    once. Raises RowNotAuthentic, also if the code is that of another row.
    """
    this = _turn(connection)
    row = None if code is None else this.believed.get(code)
    if row is None:
        row = one(connection, table, **key)
        if row is None or row[MAC] != code:
            raise not_authentic(f"{table.name} {', '.join(map(str, key.values()))}", "another code")
        if len(this.believed) >= MOST_BELIEVED:
            this.believed.clear()
        this.believed[row[MAC]] = row
    elif any(row[name] != value for name, value in key.items()):
        raise not_authentic(named(table, {**row, **key}), "the code of another record")
    _check_newest(this, table, row, changes_of(row[MAC]))
    return row


def made(connection: Connection, about: str, raw: Raw, make: Callable[[], T]) -> T:
    """What `make` makes of what was read about something. While the same is read, it is not made
    again; that no row on which it rests was put back is checked each time. Raises what `make` does,
    and RowNotAuthentic.
    """
    this = _turn(connection)
    before = this.kept.get(about)
    if before is not None and before.raw == raw:
        for name, changes in before.checked:
            _check_name(this, name, changes)
        return cast(T, before.made)
    noted: list[tuple[Name, int]] = []
    this.checked = noted
    try:
        found = make()
    finally:
        this.checked = None
    keep(connection, about, Kept(raw, found, tuple(noted)))
    return found


def kept(connection: Connection, about: str) -> Kept | None:
    """What `made` has made last."""
    return _turn(connection).kept.get(about)


def keep(connection: Connection, about: str, this: Kept) -> None:
    """Let `made` find something: what this transaction has read, or what it leaves."""
    everything = _turn(connection).kept
    if len(everything) >= MOST_KEPT:
        everything.clear()
    everything[about] = this


def change(
    connection: Connection, table: Table, where: Sequence[ColumnElement[bool]], changes: Changes
) -> list[RowMapping]:
    """Change the rows that match, and return them as they were. Other writers wait meanwhile, and
    then see whether the rows still match. Raises RowNotAuthentic.
    """
    return change_found(connection, table, locked(table, *where), NOTHING, changes)


def change_found(
    connection: Connection, table: Table, query: Executable, given: Given, changes: Changes
) -> list[RowMapping]:
    """Change the rows of a query that `locked` has made, as `change` does."""
    this = _turn(connection)
    found = [_checked_now(this, table, row) for row in fetch(connection, query, given)]
    for row in found:
        rewrite(connection, table, row, changes(row) if callable(changes) else changes)
    return found


def sweep(
    connection: Connection,
    table: Table,
    where: Sequence[ColumnElement[bool]],
    order: Sequence[Column[Value]],
    changes: Values,
    most: int = MOST_SWEPT,
) -> list[RowMapping]:
    """Change at most so many of the rows that match, but pass over those that are not authentic.
    The order is that of the index that finds them.
    """
    query = every(table).where(*where).order_by(*order).limit(most).with_for_update()
    found = authentic(connection, table, query)
    for row in found:
        rewrite(connection, table, row, changes)
    return found


def rewrite(connection: Connection, table: Table, row: RowMapping, changes: Values) -> None:
    """Change a row that this transaction has checked and locked."""
    rewrite_all(connection, table, [(row, changes)])


def rewrite_all(
    connection: Connection, table: Table, changed: Sequence[tuple[RowMapping, Values]]
) -> list[bytes]:
    """Change the same columns of rows that this transaction has checked and locked; returns the
    codes that they have then.
    """
    this, codes, given = _turn(connection), list[bytes](), list[Values]()
    for row, changes in changed:
        values = {**row, **changes}
        count = changes_of(values[MAC]) + 1
        codes.append(this.codes.make(table, values, count))
        names = {f"of_{name}": row[name] for name in key_of(table)}
        to = {f"to_{name}": value for name, value in changes.items()}
        given.append({**names, **to, f"to_{MAC}": codes[-1]})
        if (name := _name(table, values)) is not None:
            this.seen[name] = count
    changing(table, tuple(changed[0][1])).run(connection, *given)
    return codes


def drop(connection: Connection, table: Table, *conditions: ColumnElement[bool]) -> None:
    """Delete the rows that match, whose primary keys are never used again."""
    statement = delete(table).where(*conditions).returning(*table.primary_key)
    for row in connection.execute(statement).mappings():
        if (name := _name(table, {**row})) is not None:
            _turn(connection).seen[name] = GONE


def _check_newest(this: Turn, table: Table, row: Values | RowMapping, changes: int) -> None:
    name = _name(table, row)
    if name is not None:
        _check_name(this, name, changes)


def _check_name(this: Turn, name: Name, changes: int) -> None:
    if this.newest.is_older(name, changes, this.began):
        raise not_authentic(spelled(name), PUT_BACK)
    if changes:
        this.seen[name] = changes
    if this.checked is not None:
        this.checked.append((name, changes))


def _turn(connection: Connection) -> Turn:
    found = connection.info[TURN]
    if not isinstance(found, Turn):
        raise TypeError("this is no transaction of a database")
    return found


def _name(table: Table, row: Values | RowMapping) -> Name | None:
    """What a row is called for ever; None for one with a number, which another row gets later."""
    key = key_of(table)
    if key[0] in table.info[UNCOVERED]:
        return None
    return (table.name, *[row[name] for name in key])

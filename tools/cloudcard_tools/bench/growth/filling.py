"""Makes a keystore as large as years make it. Rows are copies of those that the keystore itself
has made, each with identifiers, a sealed key and a code of its own.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count, islice
from typing import TypeAlias

import psycopg
from sqlalchemy import Connection, Table, func, select

from cloud_keystore.audit import entries, journal, sequencing
from cloud_keystore.custody.backends.keys import key_context
from cloud_keystore.model.actors import Actor, ActorKind
from cloud_keystore.model.clock import new_id
from cloud_keystore.model.journal import Entry, Kind
from cloud_keystore.model.people import UUID12_DIGITS
from cloud_keystore.model.sessions import Session
from cloud_keystore.storage import sessions
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import MAC, Value, Values
from cloud_keystore.storage.databases.instants import EPOCH, MICROSECOND
from cloudcard_tools.bench.growth.keystore import Place, Ward, of_kind

CARDS_OF_WORKSTATION = 10
PORTION = 2000  # cards in one transaction
LEAST_UUID12 = 10 ** (UUID12_DIGITS - 1)
Row: TypeAlias = dict[str, Value]
# What no two rows of a table share, besides the identifiers
OWN_BYTES = {"certificate_sha256": 32, "guid": 16, "request_id": 16}
TABLES = (t.user, t.identity, t.card, t.key, t.operation, t.session, t.session_use)


@dataclass(frozen=True, slots=True)
class Model:
    """The rows of one card with its session, a use of it and their holder and workstation."""

    session: Session
    rows: Mapping[Table, Values]
    private: bytes  # of the card's key, PKCS #8

    @classmethod
    def of(cls, ward: Ward, session_id: str) -> Model:
        """The rows of a session that has been used."""
        with ward.parts.database.read() as connection:
            session = of_kind(Session, sessions.find(connection, session_id))
            conditions = (
                t.user.c.id == session.user_id,
                t.identity.c.id == session.workstation_id,
                t.card.c.id == session.card_id,
                t.key.c.id == session.key_id,
                t.operation.c.id == session.id,
                t.session.c.id == session.id,
                t.session_use.c.session_id == session.id,
            )
            found = {
                table: {
                    **connection.execute(select(table).where(condition).limit(1)).mappings().one()
                }
                for table, condition in zip(TABLES, conditions, strict=True)
            }
        found[t.session_use]["sealed_result"] = None  # as the sweeps leave it
        sealed = of_kind(bytes, found[t.key]["sealed_private"])
        return cls(session, found, ward.parts.seal.open(sealed, key_context(session.key_id)))


def fill(ward: Ward, model: Model, cards: int, done: Callable[[int], None]) -> list[Place]:
    """Add so many cards, each with its holder, an open session and a use, and take the entries of
    the uses into the journal's tree. `done` is called with the number of cards that were added.
    Returns the sessions, the oldest first.
    """
    places: list[Place] = []
    database, log = ward.parts.database, ward.parts.log
    # Of a million random ones two would be the same.
    with database.read() as connection:
        known = connection.execute(select(func.count()).select_from(t.user)).scalar_one()
    uuids = count(LEAST_UUID12 + known)
    for start in range(0, cards, PORTION):
        now = ward.clock()
        portion = islice(uuids, min(PORTION, cards - start))
        copies = [_copy(ward, model, now, str(uuid12)) for uuid12 in portion]
        at = [copy[t.identity] for copy in copies[::CARDS_OF_WORKSTATION]]
        for number, copy in enumerate(copies):
            workstation = at[number // CARDS_OF_WORKSTATION]
            for table in (t.operation, t.session):
                copy[table]["workstation_id"] = workstation["id"]
            places.append(
                Place(str(copy[t.session]["id"]), of_kind(bytes, workstation["certificate_sha256"]))
            )
        with database.write(long=True) as connection:
            for table in TABLES:
                made = at if table is t.identity else [copy[table] for copy in copies]
                insert(connection, table, made)
            journal.append(connection, *(_used(model, copy, now) for copy in copies))
        sequencing.take_in_all(database, log, now)
        done(len(copies))
    return places


def _copy(ward: Ward, model: Model, now: datetime, uuid12: str) -> dict[Table, Row]:
    """The rows of one more card."""
    new = {
        row[column.name]: new_id(now, os.urandom)
        for table, row in model.rows.items()
        for column in table.primary_key
    }
    copy = {
        table: {
            name: new.get(value, value) if isinstance(value, str) else value
            for name, value in row.items()
        }
        for table, row in model.rows.items()
    }
    for row in copy.values():
        row.update((name, os.urandom(OWN_BYTES[name])) for name in row.keys() & OWN_BYTES.keys())
    copy[t.card]["serial"] = os.urandom(8).hex()
    copy[t.user]["uuid12"] = uuid12
    key = copy[t.key]
    key["sealed_private"] = ward.parts.seal.close(model.private, key_context(str(key["id"])))
    return copy


def insert(connection: Connection, table: Table, made: Sequence[Row]) -> None:
    """Insert rows, past SQLAlchemy, which takes longer than the database for a million of them."""
    if MAC in table.columns:
        for row in made:
            row[MAC] = rows.code(connection, table, row)
    names = ", ".join(f'"{name}"' for name in made[0])
    values = ([_raw(value) for value in row.values()] for row in made)
    driver = connection.connection.driver_connection
    if isinstance(driver, psycopg.Connection):
        with driver.cursor() as cursor:
            copying = f'COPY "{table.name}" ({names}) FROM STDIN'
            with cursor.copy(copying.encode()) as copy:
                for each in values:
                    copy.write_row(each)
        return
    places = ", ".join("?" * len(made[0]))
    adding = f'INSERT INTO "{table.name}" ({names}) VALUES ({places})'  # noqa: S608 (our own names)
    of_kind(sqlite3.Connection, driver).executemany(adding, values)


def _used(model: Model, copy: Mapping[Table, Values], now: datetime) -> Entry:
    """The entry of a use, as the keystore makes it."""
    use, row = copy[t.session_use], copy[t.session]
    session = replace(
        model.session,
        id=str(row["id"]),
        card_id=str(row["card_id"]),
        key_id=str(row["key_id"]),
        user_id=str(row["user_id"]),
        workstation_id=str(row["workstation_id"]),
    )
    return entries.about_use(
        Kind.SESSION_USED,
        str(use["id"]),
        session,
        now,
        Actor(ActorKind.WORKSTATION, session.workstation_id),
        {"inputs": 1, "policy": session.policy},
        {"input_sha256": of_kind(bytes, use["input_sha256"])},
        trace_id=os.urandom(16).hex(),
    )


def _raw(value: Value) -> Value:
    """A value as the database holds it."""
    return (value - EPOCH) // MICROSECOND if isinstance(value, datetime) else value

"""Rows of revocation lists of external authorities, and of where they are fetched."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Integer,
    LargeBinary,
    RowMapping,
    String,
    and_,
    or_,
    select,
)

from cloud_keystore.model.errors import RecordDamaged
from cloud_keystore.model.pki.lists import ExternalList, ListErrand
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.failures import record
from cloud_keystore.storage.databases.instants import Instant

external_list = authentic(
    "external_list",
    Column("authority_id", ForeignKey("external_authority.id"), primary_key=True),
    Column("url", String, nullable=False),
    Column("stops", Boolean, nullable=False),
    Column("number", String, nullable=False),
    Column("this_time", Instant),
    Column("next_time", Instant),
    Column("listed", Integer, nullable=False),
    Column("applied", String, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("fetch_time", Instant),
    Column("why", String, nullable=False),
    Column("fix", String, nullable=False),
    Column("warn_time", Instant),
)
# Apart from these, which each process reads every second
external_list_document = authentic(
    "external_list_document",
    Column("authority_id", ForeignKey("external_list.authority_id"), primary_key=True),
    Column("number", String, nullable=False),
    Column("document", LargeBinary, nullable=False),  # DER
)
e, d = external_list.c, external_list_document.c
FRESH: Values = {"tries": 0, "fetch_time": None, "why": "", "fix": ""}


def find(connection: Connection, authority_id: str) -> ExternalList | None:
    """The list of an authority; None if none was brought, nor a place of it named."""
    row = rows.one(connection, external_list, authority_id=authority_id)
    return None if row is None else _to_list(row)


def list_all(connection: Connection) -> list[ExternalList]:
    """All lists, by authority."""
    query = select(external_list).order_by(e.authority_id)
    return [_to_list(row) for row in rows.read(connection, external_list, query)]


def put(connection: Connection, held: ExternalList) -> None:
    """Keep what is held of a list in place of what was before."""
    values = asdict(held)
    of = [e.authority_id == values.pop("authority_id")]
    if not rows.change(connection, external_list, of, values):
        rows.add(connection, external_list, asdict(held))


def keep(connection: Connection, held: ExternalList, document: bytes) -> None:
    """Keep a list, DER, in place of the one before."""
    put(connection, held)
    of = held.authority_id
    fresh: Values = {"number": held.number, "document": document}
    if not rows.change(connection, external_list_document, [d.authority_id == of], fresh):
        rows.add(connection, external_list_document, {"authority_id": of, **fresh})


def document(connection: Connection, held: ExternalList) -> bytes:
    """The list as it came, DER; empty if none did. Raises RecordDamaged if an earlier one was put
    back.
    """
    if not held.number:
        return b""
    row = rows.one(connection, external_list_document, authority_id=held.authority_id)
    if row is None or row["number"] != held.number:
        raise RecordDamaged(
            f"the revocation list of the external authority {held.authority_id} is another than it "
            "was: restore the database from a backup"
        )
    found: bytes = row["document"]
    return found


def remove(connection: Connection, authority_id: str) -> None:
    """Remove what is held of an authority's list."""
    rows.drop(connection, external_list_document, d.authority_id == authority_id)
    rows.drop(connection, external_list, e.authority_id == authority_id)


def is_due(connection: Connection, now: datetime) -> bool:
    """Whether `lease` would find anything."""
    query = select(e.authority_id).where(_due(now)).limit(1)
    return connection.execute(query).first() is not None


def lease(connection: Connection, now: datetime, until: timedelta, most: int) -> list[ListErrand]:
    """What is to be fetched now, at most so much; it is the caller's for some time."""
    query = select(external_list).where(_due(now)).order_by(e.fetch_time).limit(most)
    taken: list[ListErrand] = []
    for row in rows.authentic(connection, external_list, query.with_for_update()):
        tries = row["tries"] + 1
        leased: Values = {"tries": tries, "fetch_time": now + until}
        rows.rewrite(connection, external_list, row, leased)
        taken.append(ListErrand(row["authority_id"], tries, row["url"]))
    return taken


def _due(now: datetime) -> ColumnElement[bool]:
    return and_(e.url != "", or_(e.fetch_time.is_(None), e.fetch_time <= now))


@record("external revocation list")
def _to_list(row: RowMapping) -> ExternalList:
    return ExternalList(**{name: row[name] for name in ExternalList.__dataclass_fields__})

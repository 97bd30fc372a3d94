"""Rows of tickets whose holders are to be asked for."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Integer,
    LargeBinary,
    RowMapping,
    String,
    or_,
    select,
)

from cloud_keystore.model.spine.tickets import TicketCheck
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.instants import Instant

spine_check = authentic(
    "spine_check",
    Column("id", String, primary_key=True),
    # A card has one at a time.
    Column("card_id", ForeignKey("card.id"), nullable=False, unique=True),
    Column("workstation_id", String, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("sha256", LargeBinary, nullable=False),  # of the ticket
    Column("sealed", LargeBinary, nullable=False),  # the ticket
    Column("tries", Integer, nullable=False),
    Column("next_time", Instant),
    uncovered=("sealed",),
)
c = spine_check.c


def add(connection: Connection, check: TicketCheck) -> None:
    rows.add(
        connection,
        spine_check,
        {name: getattr(check, name) for name in TicketCheck.__dataclass_fields__},
    )


def find(connection: Connection, check_id: str) -> TicketCheck | None:
    row = rows.one(connection, spine_check, id=check_id)
    return None if row is None else _to_check(row)


def of_card(connection: Connection, card_id: str) -> TicketCheck | None:
    """The one of a card that is not over."""
    row = rows.one(connection, spine_check, card_id=card_id)
    return None if row is None else _to_check(row)


def is_due(connection: Connection, now: datetime) -> bool:
    """Whether `lease` would find anything."""
    return connection.execute(select(c.id).where(_due(now)).limit(1)).first() is not None


def lease(connection: Connection, now: datetime, until: timedelta, most: int) -> list[TicketCheck]:
    """What is to be asked now, at most so much; it is the caller's for some time. What somebody
    else had, whose time has ended, is among them.
    """
    query = select(spine_check).where(_due(now)).order_by(c.id).limit(most)
    taken: list[TicketCheck] = []
    for row in rows.authentic(connection, spine_check, query.with_for_update()):
        tries, next_time = row["tries"] + 1, now + until
        rows.rewrite(connection, spine_check, row, {"tries": tries, "next_time": next_time})
        taken.append(replace(_to_check(row), tries=tries, next_time=next_time))
    return taken


def not_tried(connection: Connection, check_id: str, tries: int) -> None:
    """Take back the last of so many tries, which was none."""
    own = [c.id == check_id, c.tries == tries]
    rows.change(connection, spine_check, own, {"tries": tries - 1, "next_time": None})


def remove(connection: Connection, check_id: str) -> None:
    rows.drop(connection, spine_check, c.id == check_id)


def _due(now: datetime) -> ColumnElement[bool]:
    return or_(c.next_time.is_(None), c.next_time <= now)


def _to_check(row: RowMapping) -> TicketCheck:
    return TicketCheck(**{name: row[name] for name in TicketCheck.__dataclass_fields__})

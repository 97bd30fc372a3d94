"""Rows of guesses: passcodes that were wrong, counted for the workstation where they were given."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    Table,
    delete,
    func,
    insert,
    select,
)

from cloud_keystore.model.passcodes import GUESS_TIME, MOST_GUESSES
from cloud_keystore.storage.authentic.declaring import metadata
from cloud_keystore.storage.databases.instants import Instant

guess = Table(
    "guess",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("workstation_id", ForeignKey("identity.id"), nullable=False),
    Column("create_time", Instant, nullable=False, index=True),
    Index("guess_by_workstation", "workstation_id", "create_time"),
)
g = guess.c


def begin(connection: Connection, workstation_id: str, now: datetime) -> int:
    """Count a passcode that is about to be compared as wrong; returns the row's number."""
    added = connection.execute(
        insert(guess).values(workstation_id=workstation_id, create_time=now).returning(g.id)
    )
    return int(added.scalar_one())


def forgive(connection: Connection, guess_id: int) -> None:
    """Do not count a passcode, because it was right."""
    connection.execute(delete(guess).where(g.id == guess_id))


def are_used_up(connection: Connection, workstation_id: str, now: datetime) -> bool:
    """Whether as many passcodes were wrong at a workstation lately as are allowed."""
    query = select(func.count()).where(
        g.workstation_id == workstation_id, g.create_time > now - GUESS_TIME
    )
    return connection.execute(query).scalar_one() >= MOST_GUESSES


def drop_old(connection: Connection, now: datetime) -> None:
    """Delete guesses that no longer count."""
    connection.execute(delete(guess).where(g.create_time <= now - GUESS_TIME))

"""Rows of portal passwords, and of what was guessed wrong."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    Integer,
    RowMapping,
    String,
)

from cloud_keystore.model.portal.passwords import Guesses
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.instants import Instant

portal_password = authentic(
    "portal_password",
    Column("user_id", ForeignKey("user.id"), primary_key=True),
    Column("hash", String, nullable=False),
    Column("set_time", Instant, nullable=False),
)
portal_guess = authentic(
    "portal_guess",
    Column("id", String, primary_key=True),
    Column("who", String, nullable=False),  # a user, or a digest of a name that nobody has
    Column("what", String, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("fail_time", Instant),
    Index("portal_guess_by_who", "who", "what", unique=True),
)
g = portal_guess.c


def find(connection: Connection, user_id: str) -> str | None:
    """The hash of a user's password; None if there is none."""
    row = rows.one(connection, portal_password, user_id=user_id)
    return None if row is None else str(row["hash"])


def put(connection: Connection, user_id: str, hashed: str, now: datetime) -> None:
    """Give a user a password, in place of the one before."""
    values: Values = {"hash": hashed, "set_time": now}
    this = [portal_password.c.user_id == user_id]
    if not rows.change(connection, portal_password, this, values):
        rows.add(connection, portal_password, {"user_id": user_id, **values})


def drop(connection: Connection, user_id: str) -> None:
    """Take a password away for ever from a user who has left."""
    rows.drop(connection, portal_password, portal_password.c.user_id == user_id)


def guessed(connection: Connection, who: str, what: str) -> Guesses:
    """What was guessed wrong for somebody."""
    row = rows.one(connection, portal_guess, who=who, what=what)
    return Guesses() if row is None else Guesses(row["failures"], row["fail_time"])


def count(connection: Connection, guess_id: str, who: str, what: str, now: datetime) -> int:
    """Count a guess as wrong before it is compared; returns how many there are. The identifier is
    that of a new row.
    """

    def one_more(row: RowMapping) -> Values:
        return {"failures": row["failures"] + 1, "fail_time": now}

    before = rows.change(connection, portal_guess, _of(who, what), one_more)
    if before:
        return int(before[0]["failures"]) + 1
    first: Values = {"id": guess_id, "who": who, "what": what, "failures": 1, "fail_time": now}
    rows.add(connection, portal_guess, first)
    return 1


def forgive(connection: Connection, who: str, what: str) -> None:
    """Forget what was guessed wrong, because it was right now."""
    rows.change(connection, portal_guess, _of(who, what), {"failures": 0, "fail_time": None})


def _of(who: str, what: str) -> list[ColumnElement[bool]]:
    return [g.who == who, g.what == what]

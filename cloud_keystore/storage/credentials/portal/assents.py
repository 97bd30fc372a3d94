"""Rows of what holders' phones are asked about the portal."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Column, Connection, ForeignKey, Index, RowMapping, String, func, select

from cloud_keystore.model.portal.assents import Assent, AssentState, Subject
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.instants import Instant

assent = authentic(
    "assent",
    Column("id", String, primary_key=True),
    Column("user_id", ForeignKey("user.id"), nullable=False),
    Column("subject", String, nullable=False),
    Column("about", String, nullable=False),
    Column("number", String, nullable=False),
    Column("state", String, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("device_id", ForeignKey("identity.id")),
    Index("assent_of_user", "user_id", "create_time"),
)
c = assent.c
_KNOWN = Assent.__dataclass_fields__


def add(connection: Connection, made: Assent) -> None:
    """Add one, in the place of those that wait about the same subject."""
    waiting = [
        c.user_id == made.user_id,
        c.subject == made.subject,
        c.state.in_((AssentState.WAITING, AssentState.AGREED)),
    ]
    rows.change(connection, assent, waiting, {"state": AssentState.OVER})
    rows.add(connection, assent, asdict(made))


def find(connection: Connection, assent_id: str) -> Assent | None:
    row = rows.one(connection, assent, id=assent_id)
    return None if row is None else _assent(row)


def since(connection: Connection, user_id: str, time: datetime) -> list[Assent]:
    """Those to a holder since a time, the first first."""
    own = (c.user_id == user_id, c.create_time > time)
    query = select(assent).where(*own).order_by(c.create_time, c.id)
    return [_assent(row) for row in rows.read(connection, assent, query)]


def count(connection: Connection, user_id: str, time: datetime) -> int:
    """How many there were to a holder since a time that nobody has agreed to."""
    own = (
        c.user_id == user_id,
        c.create_time > time,
        c.state.not_in((AssentState.AGREED, AssentState.USED)),
    )
    query = select(func.count()).select_from(assent).where(*own)
    return int(connection.execute(query).scalar_one())


def move(
    connection: Connection,
    made: Assent,
    state: AssentState,
    device_id: str | None = None,
) -> bool:
    """Put one into another state; False if it is in another one already."""
    this = [c.id == made.id, c.state == made.state]
    changes = {"state": state, "device_id": device_id or made.device_id}
    return bool(rows.change(connection, assent, this, changes))


def _assent(row: RowMapping) -> Assent:
    known = {name: row[name] for name in _KNOWN}
    known |= {"subject": Subject(row["subject"]), "state": AssentState(row["state"])}
    return Assent(**known)

"""Rows of what holders' log-ins at the portal need besides the password."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, Connection, ForeignKey, String

from cloud_keystore.model.portal.factors import Factor
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.instants import Instant

portal_factor = authentic(
    "portal_factor",
    Column("user_id", ForeignKey("user.id"), primary_key=True),
    Column("factor", String, nullable=False),
    Column("set_time", Instant, nullable=False),
)


def find(connection: Connection, user_id: str) -> Factor:
    """What somebody has chosen; the mailed code, if nothing."""
    row = rows.one(connection, portal_factor, user_id=user_id)
    return Factor.EMAIL if row is None else Factor(row["factor"])


def put(connection: Connection, user_id: str, factor: Factor, now: datetime) -> None:
    """Give somebody another one."""
    values: Values = {"factor": factor, "set_time": now}
    own = [portal_factor.c.user_id == user_id]
    if not rows.change(connection, portal_factor, own, values):
        rows.add(connection, portal_factor, {"user_id": user_id, **values})


def drop(connection: Connection, user_id: str) -> None:
    """Forget what somebody has chosen who has left."""
    rows.drop(connection, portal_factor, portal_factor.c.user_id == user_id)

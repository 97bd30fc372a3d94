"""Rows of feedback."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Column, Connection, ForeignKey, Index, String, func, select

from cloud_keystore.model.surveys.answers import Feedback
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.instants import Instant

feedback = authentic(
    "feedback",
    Column("id", String, primary_key=True),
    Column("operator_id", ForeignKey("identity.id"), nullable=False),
    Column("text", String, nullable=False),
    Column("create_time", Instant, nullable=False),
    Index("feedback_by_operator", "operator_id", "create_time"),
)
f = feedback.c


def add(connection: Connection, given: Feedback) -> None:
    rows.add(connection, feedback, asdict(given))


def newest(connection: Connection, most: int) -> list[Feedback]:
    """The newest feedback, so much at most, oldest first. Records that are not authentic are passed
    over.
    """
    query = select(feedback).order_by(f.id.desc()).limit(most)
    found = list(rows.authentic(connection, feedback, query))
    known = Feedback.__dataclass_fields__
    return [Feedback(**{name: row[name] for name in known}) for row in reversed(found)]


def count_of(connection: Connection, operator_id: str, since: datetime) -> int:
    """How much an operator has given since a time."""
    query = select(func.count()).where(f.operator_id == operator_id, f.create_time > since)
    return connection.execute(query).scalar_one()

"""Rows of holders' answers, and how often a card was used lately."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Column, Connection, ForeignKey, Index, Integer, String, func, select

from card_os.piv.names import KeyRef
from cloud_keystore.model.clock import earliest_id
from cloud_keystore.model.operations import State
from cloud_keystore.model.surveys.answers import Answer
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.instants import Instant

survey_answer = authentic(
    "survey_answer",
    Column("id", String, primary_key=True),
    Column("user_id", ForeignKey("user.id"), nullable=False),
    Column("card_id", ForeignKey("card.id"), nullable=False),
    Column("score", Integer),
    Column("comment", String, nullable=False),
    Column("create_time", Instant, nullable=False),
    Index("survey_answer_by_user", "user_id", "create_time"),
)
a = survey_answer.c


def add(connection: Connection, answer: Answer) -> None:
    rows.add(connection, survey_answer, asdict(answer))


def has_answered(connection: Connection, user_id: str, since: datetime) -> bool:
    """Whether a holder has answered, or put it off, since a time."""
    lately = (a.user_id == user_id, a.create_time > since)
    return rows.find(connection, survey_answer, *lately) is not None


def between(connection: Connection, begin: datetime, end: datetime) -> list[Answer]:
    """The answers from one time to another, oldest first. Records that are not authentic are passed
    over.
    """
    # Identifiers are in the order of time.
    within = (a.id >= earliest_id(begin), a.id < earliest_id(end))
    query = select(survey_answer).where(*within).order_by(a.id)
    known = Answer.__dataclass_fields__
    found = rows.authentic(connection, survey_answer, query)
    return [Answer(**{name: row[name] for name in known}) for row in found]


def authentications(connection: Connection, card_id: str, most: int) -> int:
    """How many times the authentication key of a card was used under an approval, of the uses that
    are kept; counts up to `most`.
    """
    o, k = t.operation.c, t.key.c
    on_card = (k.card_id == card_id, k.key_ref == KeyRef.AUTHENTICATION, k.remove_time.is_(None))
    key_id = select(k.id).where(*on_card).scalar_subquery()
    used = (
        select(o.id)
        .where(o.card_id == card_id, o.state == State.SUCCEEDED, o.key_id == key_id)
        .limit(most)
    )
    return connection.execute(select(func.count()).select_from(used.subquery())).scalar_one()

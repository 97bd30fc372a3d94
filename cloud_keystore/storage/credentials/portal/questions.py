"""Rows of security questions, with the hashes of their answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Column, Connection, ForeignKey, Integer, String, select

from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.authentic.declaring import authentic

security_question = authentic(
    "security_question",
    Column("id", String, primary_key=True),
    Column("user_id", ForeignKey("user.id"), nullable=False, index=True),
    Column("place", Integer, nullable=False),
    Column("text", String, nullable=False),
    Column("hash", String, nullable=False),
)
q = security_question.c


@dataclass(frozen=True, slots=True)
class Kept:
    """A question as it is kept."""

    id: str
    text: str
    hash: str = field(repr=False)


def of(connection: Connection, user_id: str) -> list[Kept]:
    """A user's questions, in their order."""
    query = select(security_question).where(q.user_id == user_id).order_by(q.place)
    found = rows.read(connection, security_question, query)
    return [Kept(row["id"], row["text"], row["hash"]) for row in found]


def replace(connection: Connection, user_id: str, questions: Sequence[Kept]) -> None:
    """Give a user other questions."""
    rows.drop(connection, security_question, q.user_id == user_id)
    made: list[Values] = [
        {
            "id": each.id,
            "user_id": user_id,
            "place": place,
            "text": each.text,
            "hash": each.hash,
        }
        for place, each in enumerate(questions)
    ]
    if made:
        rows.add(connection, security_question, *made)

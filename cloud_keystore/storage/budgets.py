"""Rows of budgets: what each identity has used up of its share of the journal."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from cloud_keystore.model.budgets import Spent
from cloud_keystore.model.limits import Rate
from cloud_keystore.storage import tables as t

b = t.budget.c
NOTHING = Spent(0.0, is_full=False)


def spent(connection: Connection, identity_id: str, rate: Rate, now: datetime) -> Spent:
    """What an identity has used up by now. The row is locked until the transaction ends."""
    query = select(t.budget).where(b.identity_id == identity_id).with_for_update()
    row = connection.execute(query).first()
    if row is None:
        return NOTHING
    known = Spent(row.entries, row.is_full)
    return known.later((now - row.time).total_seconds(), rate)


def put(connection: Connection, identity_id: str, spent: Spent, now: datetime) -> None:
    """Write down what an identity has used up."""
    values = {"entries": spent.entries, "is_full": spent.is_full, "time": now}
    if not spent.is_full:
        values["is_told"] = False
    changing = update(t.budget).where(b.identity_id == identity_id).values(values)
    if connection.execute(changing).rowcount:
        return
    try:
        with connection.begin_nested():
            adding = {"identity_id": identity_id, "is_told": False, **values}
            connection.execute(insert(t.budget).values(adding))
    except IntegrityError:  # another process has just added it
        connection.execute(changing)


def full(connection: Connection) -> list[str]:
    """The identities whose budgets are nearly used up."""
    return list(connection.execute(select(b.identity_id).where(b.is_full)).scalars())


def untold(connection: Connection) -> list[str]:
    """Those of them of which nobody has been told."""
    query = select(b.identity_id).where(b.is_full, ~b.is_told)
    return list(connection.execute(query).scalars())


def tell(connection: Connection, identity_id: str) -> bool:
    """Write down that people are told of a budget; False if they were told meanwhile."""
    telling = update(t.budget).where(b.identity_id == identity_id, b.is_full, ~b.is_told)
    return connection.execute(telling.values(is_told=True)).rowcount == 1

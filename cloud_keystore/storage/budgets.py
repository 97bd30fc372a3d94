"""Rows of budgets: what each identity has used up of its share of the journal.

A row holds the time at which everything will have been given back, as long as nothing is added.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from cloud_keystore.model.actors import ActorKind
from cloud_keystore.model.limits import Rate
from cloud_keystore.storage import tables as t

b = t.budget.c
GROWTH = "growth"  # of a connection's `info`
FULL = 0.9  # of a budget: the registration authority is told
EMPTY = 0.5  # of a budget that was full: it is told again the next time
# The statements are made once: making them for each entry takes longer than the database does.
_SPENT = select(t.budget).where(b.identity_id == bindparam("of")).with_for_update()
_PUT_FULL = (
    update(t.budget)
    .where(b.identity_id == bindparam("of"))
    .values(empty_time=bindparam("time"), is_full=bindparam("full"))
)
_PUT = _PUT_FULL.values(is_told=False)


@dataclass(frozen=True, slots=True)
class Growth:
    """How far a database may grow: budgets by kind of actor, and whether its disk has room."""

    budgets: Mapping[ActorKind, Rate]
    has_room: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Spent:
    """What is used up of a budget."""

    entries: float
    is_full: bool = False  # nearly


def growth_of(connection: Connection) -> Growth | None:
    """How far the database of a transaction may grow; None if nothing bounds it."""
    growth: Growth | None = connection.info.get(GROWTH)
    return growth


def spent(connection: Connection, identity_id: str, rate: Rate, now: datetime) -> Spent:
    """What an identity has used up by now. The row is locked until the transaction ends."""
    row = connection.execute(_SPENT, {"of": identity_id}).first()
    if row is None:
        return Spent(0.0)
    entries = max(0.0, (row.empty_time - now).total_seconds() * rate.per_second)
    return Spent(entries, row.is_full and entries > EMPTY * rate.burst)


def put(
    connection: Connection, identity_id: str, spent: Spent, number: int, rate: Rate, now: datetime
) -> None:
    """Write down that an identity has used up so many entries more."""
    entries = spent.entries + number
    is_full = spent.is_full or entries >= FULL * rate.burst
    empty_time = now + timedelta(seconds=entries / rate.per_second)
    values = {"empty_time": empty_time, "is_full": is_full}
    changing = _PUT_FULL if is_full else _PUT
    changed = {"of": identity_id, "time": empty_time, "full": is_full}
    if connection.execute(changing, changed).rowcount:
        return
    try:
        with connection.begin_nested():
            adding = {"identity_id": identity_id, "is_told": False, **values}
            connection.execute(insert(t.budget).values(adding))
    except IntegrityError:  # another process has just added it
        connection.execute(changing, changed)


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

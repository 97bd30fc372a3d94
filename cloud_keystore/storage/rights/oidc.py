"""Rows of what an OpenID provider says of itself, and of codes with which browsers come back."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import datetime, timedelta

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Index,
    Integer,
    LargeBinary,
    RowMapping,
    Select,
    String,
    and_,
    func,
    or_,
    select,
)

from cloud_keystore.model.rights.oidc import ProviderFacts, Returned
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.indexes import number
from cloud_keystore.storage.databases.instants import Instant

oidc_provider = authentic(
    "oidc_provider",
    Column("issuer", String, primary_key=True),
    Column("authorization_endpoint", String, nullable=False),
    Column("keys", String, nullable=False),  # a JSON Web Key Set
    Column("names_itself", Boolean, nullable=False),
)
oidc_return = authentic(
    "oidc_return",
    Column("id", String, primary_key=True),
    Column("create_time", Instant, nullable=False),
    Column("return_time", Instant, nullable=False),
    Column("drawn", LargeBinary, nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # the code
    Column("tries", Integer, nullable=False),
    Column("next_time", Instant),
    Column("end_time", Instant),
    Column("subject", String),
    Column("why", String),
    Index("oidc_return_due", "end_time", "next_time"),
    Index("oidc_return_old", "create_time"),
    uncovered=("sealed",),
)
p, c = oidc_provider.c, oidc_return.c
_MOST_REMOVED = 25  # in one transaction, for which other writers wait


def learn(connection: Connection, facts: ProviderFacts) -> None:
    """Keep what a provider says of itself now."""
    before, said = provider(connection, facts.issuer), asdict(facts)
    if before is None:
        rows.add(connection, oidc_provider, said)
    elif before != facts:
        rows.change(connection, oidc_provider, [p.issuer == facts.issuer], said)


def provider(connection: Connection, issuer: str) -> ProviderFacts | None:
    """What a provider has said of itself; None before it was asked."""
    row = rows.one(connection, oidc_provider, issuer=issuer)
    if row is None:
        return None
    return ProviderFacts(**{name: row[name] for name in ProviderFacts.__dataclass_fields__})


def add(connection: Connection, returned: Returned) -> None:
    """Raises IntegrityError if it has come back before."""
    rows.add(connection, oidc_return, asdict(returned))


def find(connection: Connection, own: str) -> Returned | None:
    row = rows.one(connection, oidc_return, id=own)
    return None if row is None else _to_returned(row)


def count(connection: Connection) -> int:
    """How many are not over."""
    waiting = select(func.count()).select_from(oidc_return).where(c.end_time.is_(None))
    return connection.execute(waiting).scalar_one()


def is_due(connection: Connection, now: datetime) -> bool:
    """Whether `lease` would find anything."""
    return connection.execute(select(c.id).where(_due(now)).limit(1)).first() is not None


def lease(connection: Connection, now: datetime, until: timedelta, most: int) -> list[Returned]:
    """Codes to exchange now, at most so many, which are the caller's for some time."""
    query = select(oidc_return).where(_due(now)).order_by(c.id).limit(most).with_for_update()
    taken = list[Returned]()
    for row in rows.authentic(connection, oidc_return, query):
        changed = {"tries": row["tries"] + 1, "next_time": now + until}
        rows.rewrite(connection, oidc_return, row, changed)
        taken.append(replace(_to_returned(row), tries=row["tries"] + 1, next_time=now + until))
    return taken


def end(
    connection: Connection, returned: Returned, now: datetime, subject: str | None, why: str | None
) -> None:
    """Note who has come back, or why nobody knows."""
    own = [c.id == returned.id, c.tries == returned.tries]
    said = {"end_time": now, "subject": subject, "why": why, "next_time": None}
    rows.change(connection, oidc_return, own, said)


def has_old(connection: Connection, before: datetime) -> bool:
    """Whether `remove_old` would find anything."""
    return connection.execute(_old(before, 1)).first() is not None


def remove_old(connection: Connection, before: datetime) -> None:
    """Forget some of those whose states are older."""
    rows.drop(connection, oidc_return, c.id.in_(_old(before, _MOST_REMOVED)))


def _old(before: datetime, most: int) -> Select[tuple[str]]:
    old = select(c.id).where(c.create_time < before)
    return old.order_by(c.create_time).limit(number(most))


def _due(now: datetime) -> ColumnElement[bool]:
    return and_(c.end_time.is_(None), or_(c.next_time.is_(None), c.next_time <= now))


def _to_returned(row: RowMapping) -> Returned:
    return Returned(**{name: row[name] for name in Returned.__dataclass_fields__})

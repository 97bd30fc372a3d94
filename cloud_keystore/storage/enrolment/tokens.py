"""Rows of enrolment tokens, of which only the hashes are kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, select

from cloud_keystore.model.people import Identity, IdentityState, Role
from cloud_keystore.storage import people
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.databases.portions import portions


class Terms(NamedTuple):
    """When an enrolment token expires, and when it was used."""

    expire_time: datetime
    use_time: datetime | None


def add(connection: Connection, hashes: Mapping[str, bytes], expire_time: datetime) -> None:
    """Add the hashes (SHA-256) of tokens, by identity."""
    added: list[Values] = [
        {"secret_sha256": secret_sha256, "identity_id": each, "expire_time": expire_time}
        for each, secret_sha256 in hashes.items()
    ]
    rows.add(connection, t.token, *added)


def terms(connection: Connection, ids: Iterable[str]) -> Mapping[str, Terms]:
    """When the enrolment tokens of some identities expire, and when they were used, by identity."""
    return {
        row["identity_id"]: Terms(row["expire_time"], row["use_time"])
        for some in portions(ids)
        for row in rows.read(
            connection, t.token, select(t.token).where(t.token.c.identity_id.in_(some))
        )
    }


def is_invited(connection: Connection, role: Role, now: datetime) -> bool:
    """Whether there is an enrolment token for a role that can still be used."""
    invited = t.token.join(t.identity, t.token.c.identity_id == t.identity.c.id)
    query = (
        select(t.token.c.identity_id)
        .select_from(invited)
        .where(
            t.identity.c.role == role,
            t.identity.c.state == IdentityState.INVITED,
            t.token.c.use_time.is_(None),
            t.token.c.expire_time > now,
        )
    )
    return connection.execute(query.limit(1)).first() is not None


def invited_by(connection: Connection, secret_sha256: bytes, now: datetime) -> Identity | None:
    """The identity that a token is for, or None if it is unknown, used or expired."""
    token = rows.find(connection, t.token, *_unused(secret_sha256, now))
    return None if token is None else people.find_identity(connection, token["identity_id"])


def of_secret(connection: Connection, secret_sha256: bytes) -> tuple[Identity, Terms] | None:
    """The identity that a token is or was for, and the token's terms; None if it is unknown."""
    token = rows.one(connection, t.token, secret_sha256=secret_sha256)
    invited = None if token is None else people.find_identity(connection, token["identity_id"])
    if token is None or invited is None:
        return None
    return invited, Terms(token["expire_time"], token["use_time"])


def spend(connection: Connection, secret_sha256: bytes, now: datetime) -> str | None:
    """Mark a token used and return its identity, or None if it is unknown, used or expired."""
    spent = rows.change(connection, t.token, _unused(secret_sha256, now), {"use_time": now})
    return str(spent[0]["identity_id"]) if spent else None


def void_all(connection: Connection, now: datetime) -> int:
    """Let all tokens expire that were not used; return how many."""
    unused = [t.token.c.use_time.is_(None), t.token.c.expire_time > now]
    return len(rows.change(connection, t.token, unused, {"expire_time": now}))


@dataclass(frozen=True, slots=True)
class Used:
    """The identity that a token became, and when."""

    identity_id: str
    use_time: datetime


def used(connection: Connection, secret_sha256: bytes, now: datetime) -> Used | None:
    """A token that was used and has not expired; None if there is no such token."""
    row = rows.find(
        connection,
        t.token,
        t.token.c.secret_sha256 == secret_sha256,
        t.token.c.use_time.is_not(None),
        t.token.c.expire_time > now,
    )
    return None if row is None else Used(row["identity_id"], row["use_time"])


def _unused(secret_sha256: bytes, now: datetime) -> list[ColumnElement[bool]]:
    k = t.token.c
    return [k.secret_sha256 == secret_sha256, k.use_time.is_(None), k.expire_time > now]

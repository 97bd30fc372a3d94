"""Rows of identities by the certificates that they had, and will have."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, select

from cloud_keystore.model.people import Identity, IdentityState
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.people import are_active, to_identity


def find_renewed(connection: Connection, certificate_sha256: bytes) -> Identity | None:
    """The identity that has this certificate as its next one."""
    row = rows.one(connection, t.identity, next_certificate_sha256=certificate_sha256)
    return None if row is None else to_identity(row)


def find_by_former(
    connection: Connection, certificate_sha256: bytes, now: datetime
) -> Identity | None:
    """The identity that is still known by this former certificate."""
    former = t.identity.c.former_certificate_sha256 == certificate_sha256
    known = t.identity.c.former_end_time > now
    row = rows.find(connection, t.identity, former, known)
    return None if row is None else to_identity(row)


def add_next(
    connection: Connection,
    identity: Identity,
    certificate_sha256: bytes,
    public_key: bytes,
    expire_time: datetime,
) -> bool:
    """Give an active identity its next certificate and key, in place of those that were not used;
    False if it is not the same any more.
    """
    i = t.identity.c
    same = [
        i.id == identity.id,
        i.state == IdentityState.ACTIVE,
        i.certificate_sha256 == identity.certificate_sha256,
    ]
    following: Values = {
        "next_certificate_sha256": certificate_sha256,
        "next_public_key": public_key,
        "next_expire_time": expire_time,
    }
    return bool(rows.change(connection, t.identity, same, following))


def take_next(
    connection: Connection, renewed: Identity, now: datetime, latest_end: datetime
) -> bool:
    """Make the next certificate of an active identity its certificate; False if somebody has done
    so, or it was removed or has ended. The one before is known until its own end, at most until
    `latest_end`.
    """
    if renewed.expire_time is None:
        return False
    i = t.identity.c
    same = [
        i.id == renewed.id,
        *are_active(now),
        i.next_certificate_sha256 == renewed.next_certificate_sha256,
    ]
    taken: Values = {
        "certificate_sha256": renewed.next_certificate_sha256,
        "public_key": renewed.next_public_key,
        "expire_time": renewed.next_expire_time,
        "next_certificate_sha256": None,
        "next_public_key": None,
        "next_expire_time": None,
        "former_certificate_sha256": renewed.certificate_sha256,
        "former_end_time": min(renewed.expire_time, latest_end),
        "warn_time": None,
    }
    return bool(rows.change(connection, t.identity, same, taken))


def removed_among(connection: Connection, certificates: Collection[bytes]) -> set[bytes]:
    """Those of some certificates (SHA-256) whose identities were removed: present, next and former
    ones.
    """
    i = t.identity.c
    # Each has a query of its own, because databases bound the number of parameters.
    queries = (
        select(column).where(i.state == IdentityState.REMOVED, column.in_(certificates))
        for column in (
            i.certificate_sha256,
            i.next_certificate_sha256,
            i.former_certificate_sha256,
        )
    )
    return {each for query in queries for each in connection.execute(query).scalars()}

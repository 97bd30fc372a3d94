"""Rows of users, identities and enrolment tokens."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, RowMapping, func, insert, or_, select, update

from cloud_keystore.model.cards import Card
from cloud_keystore.model.errors import CardNotFound, UserNotFound
from cloud_keystore.model.people import Identity, IdentityState, Role, User
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.databases.failures import record


def add_user(connection: Connection, user: User) -> None:
    connection.execute(
        insert(t.user).values(
            id=user.id,
            display_name=user.display_name,
            email=user.email,
            create_time=user.create_time,
            upn=user.upn,
            sid=user.sid,
        )
    )


def like(connection: Connection, user: User) -> list[User]:
    """Users who have the same account or name, written in whatever case of Latin letters."""
    u = t.user.c
    same = [
        or_(column == value, func.lower(column) == value.lower())
        for column, value in ((u.upn, user.upn), (u.display_name, user.display_name))
        if value
    ]
    query = select(t.user).where(or_(*same)).order_by(u.id)
    return [User(**row) for row in connection.execute(query).mappings()]


def find_user(connection: Connection, user_id: str) -> User | None:
    row = connection.execute(select(t.user).where(t.user.c.id == user_id)).mappings().first()
    return None if row is None else User(**row)


def user(connection: Connection, user_id: str) -> User:
    """The user with an identifier; raises UserNotFound if there is none."""
    found = find_user(connection, user_id)
    if found is None:
        raise UserNotFound(f"there is no user {user_id}")
    return found


def holder(connection: Connection, card: Card) -> User:
    """The holder of a card; raises CardNotFound for a card without one."""
    found = find_user(connection, card.user_id)
    if found is None:
        raise CardNotFound(f"card {card.serial} has no holder")
    return found


def list_users(connection: Connection) -> list[User]:
    """All users, oldest first."""
    return [
        User(**row) for row in connection.execute(select(t.user).order_by(t.user.c.id)).mappings()
    ]


def names(connection: Connection, ids: Collection[str]) -> Mapping[str, str]:
    """Names of those users and identities that have one of some identifiers."""
    queries = (
        select(table.c.id, table.c.display_name).where(table.c.id.in_(ids))
        for table in (t.user, t.identity)
    )
    return {row.id: row.display_name for query in queries for row in connection.execute(query)}


def count_devices(connection: Connection) -> Mapping[str, int]:
    """Number of active devices by user; users without one are left out."""
    query = (
        select(t.identity.c.user_id, func.count().label("devices"))
        .where(t.identity.c.role == Role.DEVICE, t.identity.c.state == IdentityState.ACTIVE)
        .group_by(t.identity.c.user_id)
    )
    return {row.user_id: row.devices for row in connection.execute(query)}


def add_identity(connection: Connection, identity: Identity) -> None:
    connection.execute(
        insert(t.identity).values(
            id=identity.id,
            role=identity.role,
            state=identity.state,
            display_name=identity.display_name,
            site=identity.site,
            user_id=identity.user_id,
            certificate_sha256=identity.certificate_sha256,
            public_key=identity.public_key,
            create_time=identity.create_time,
        )
    )


def find_identity(connection: Connection, identity_id: str) -> Identity | None:
    return _identity(connection, t.identity.c.id == identity_id)


def find_identity_by_certificate(
    connection: Connection, certificate_sha256: bytes
) -> Identity | None:
    return _identity(connection, t.identity.c.certificate_sha256 == certificate_sha256)


def is_active(connection: Connection, identity_id: str) -> bool:
    """Whether an identity is active in this transaction; it can be removed after it has called."""
    state = select(t.identity.c.state).where(t.identity.c.id == identity_id)
    return connection.execute(state).scalar() == IdentityState.ACTIVE


def count_active(connection: Connection, role: Role) -> int:
    """How many identities of a role are active."""
    query = select(func.count()).where(
        t.identity.c.role == role, t.identity.c.state == IdentityState.ACTIVE
    )
    return connection.execute(query).scalar_one()


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


def list_identities(connection: Connection, role: Role) -> list[Identity]:
    """All identities of a role, oldest first."""
    query = select(t.identity).where(t.identity.c.role == role).order_by(t.identity.c.id)
    return [_to_identity(row) for row in connection.execute(query).mappings()]


def activate_identity(
    connection: Connection,
    identity_id: str,
    certificate_sha256: bytes,
    public_key: bytes,
    display_name: str,
) -> None:
    """Give an invited identity its certificate and key."""
    connection.execute(
        update(t.identity)
        .where(t.identity.c.id == identity_id, t.identity.c.state == IdentityState.INVITED)
        .values(
            state=IdentityState.ACTIVE,
            certificate_sha256=certificate_sha256,
            public_key=public_key,
            display_name=display_name,
        )
    )


def list_devices(connection: Connection, user_id: str) -> list[Identity]:
    """A user's devices, oldest first, removed ones included."""
    i = t.identity.c
    query = select(t.identity).where(i.role == Role.DEVICE, i.user_id == user_id).order_by(i.id)
    return [_to_identity(row) for row in connection.execute(query).mappings()]


def removed_among(connection: Connection, certificates: Collection[bytes]) -> set[bytes]:
    """Those of some certificates (SHA-256) whose identities were removed."""
    query = select(t.identity.c.certificate_sha256).where(
        t.identity.c.state == IdentityState.REMOVED,
        t.identity.c.certificate_sha256.in_(certificates),
    )
    return {each for each in connection.execute(query).scalars() if each is not None}


def remove_identity(connection: Connection, identity_id: str) -> bool:
    """Take an identity out of use for ever; False if it was removed before."""
    removed = connection.execute(
        update(t.identity)
        .where(t.identity.c.id == identity_id, t.identity.c.state != IdentityState.REMOVED)
        .values(state=IdentityState.REMOVED)
    )
    return removed.rowcount == 1


def add_token(
    connection: Connection, secret_sha256: bytes, identity_id: str, expire_time: datetime
) -> None:
    connection.execute(
        insert(t.token).values(
            secret_sha256=secret_sha256, identity_id=identity_id, expire_time=expire_time
        )
    )


def tokens(
    connection: Connection, ids: Collection[str]
) -> Mapping[str, tuple[datetime, datetime | None]]:
    """When the enrolment tokens of some identities expire, and when they were used, by identity."""
    k = t.token.c
    query = select(k.identity_id, k.expire_time, k.use_time).where(k.identity_id.in_(ids))
    return {row.identity_id: (row.expire_time, row.use_time) for row in connection.execute(query)}


def invited_by(connection: Connection, secret_sha256: bytes, now: datetime) -> Identity | None:
    """The identity that a token is for, or None if it is unknown, used or expired."""
    query = select(t.token.c.identity_id).where(
        t.token.c.secret_sha256 == secret_sha256,
        t.token.c.use_time.is_(None),
        t.token.c.expire_time > now,
    )
    identity_id = connection.execute(query).scalar()
    return None if identity_id is None else find_identity(connection, identity_id)


def spend_token(connection: Connection, secret_sha256: bytes, now: datetime) -> str | None:
    """Mark a token used and return its identity, or None if it is unknown, used or expired."""
    spent = connection.execute(
        update(t.token)
        .where(
            t.token.c.secret_sha256 == secret_sha256,
            t.token.c.use_time.is_(None),
            t.token.c.expire_time > now,
        )
        .values(use_time=now)
        .returning(t.token.c.identity_id)
    )
    identity_id: str | None = spent.scalar()
    return identity_id


@dataclass(frozen=True, slots=True)
class UsedToken:
    """The identity that a token became, and when."""

    identity_id: str
    use_time: datetime


def used_token(connection: Connection, secret_sha256: bytes, now: datetime) -> UsedToken | None:
    """A token that was used and has not expired; None if there is no such token."""
    query = select(t.token.c.identity_id, t.token.c.use_time).where(
        t.token.c.secret_sha256 == secret_sha256,
        t.token.c.use_time.is_not(None),
        t.token.c.expire_time > now,
    )
    row = connection.execute(query).first()
    return None if row is None else UsedToken(row.identity_id, row.use_time)


def _identity(connection: Connection, condition: ColumnElement[bool]) -> Identity | None:
    row = connection.execute(select(t.identity).where(condition)).mappings().first()
    return None if row is None else _to_identity(row)


@record("identity")
def _to_identity(row: RowMapping) -> Identity:
    return Identity(**{**row, "role": Role(row["role"]), "state": IdentityState(row["state"])})

"""Rows of users, identities and enrolment tokens."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    and_,
    func,
    insert,
    or_,
    select,
    update,
)

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


def count_devices(connection: Connection, now: datetime) -> Mapping[str, int]:
    """Number of active devices by user; users without one are left out."""
    query = (
        select(t.identity.c.user_id, func.count().label("devices"))
        .where(t.identity.c.role == Role.DEVICE, *_active(now))
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
            expire_time=identity.expire_time,
        )
    )


def find_identity(connection: Connection, identity_id: str) -> Identity | None:
    return _identity(connection, t.identity.c.id == identity_id)


def find_identity_by_certificate(
    connection: Connection, certificate_sha256: bytes
) -> Identity | None:
    return _identity(connection, t.identity.c.certificate_sha256 == certificate_sha256)


def find_renewed(connection: Connection, certificate_sha256: bytes) -> Identity | None:
    """The identity that has this certificate as its next one."""
    return _identity(connection, t.identity.c.next_certificate_sha256 == certificate_sha256)


def find_by_former(
    connection: Connection, certificate_sha256: bytes, now: datetime
) -> Identity | None:
    """The identity that is still known by this former certificate."""
    former = t.identity.c.former_certificate_sha256 == certificate_sha256
    return _identity(connection, and_(former, t.identity.c.former_end_time > now))


def is_active(connection: Connection, identity_id: str, now: datetime) -> bool:
    """Whether an identity is active in this transaction; it can be removed after it has called."""
    found = find_identity(connection, identity_id)
    return found is not None and found.is_active(now)


def count_active(connection: Connection, role: Role, now: datetime) -> int:
    """How many identities of a role are active."""
    query = select(func.count()).where(t.identity.c.role == role, *_active(now))
    return connection.execute(query).scalar_one()


def ending(connection: Connection, now: datetime, before: datetime) -> list[Identity]:
    """Identities that are active and end before a time, the first to end first."""
    i = t.identity.c
    query = select(t.identity).where(*_active(now), i.expire_time < before)
    rows = connection.execute(query.order_by(i.expire_time, i.id)).mappings()
    return [_to_identity(row) for row in rows]


def warned(connection: Connection, identity_id: str, now: datetime) -> bool:
    """Write down that people were warned of an identity's end; False if they were before."""
    i = t.identity.c
    first = connection.execute(
        update(t.identity).where(i.id == identity_id, i.warn_time.is_(None)).values(warn_time=now)
    )
    return first.rowcount == 1


def _active(now: datetime) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return t.identity.c.state == IdentityState.ACTIVE, t.identity.c.expire_time > now


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
    expire_time: datetime,
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
            expire_time=expire_time,
        )
    )


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
    given = connection.execute(
        update(t.identity)
        .where(
            i.id == identity.id,
            i.state == IdentityState.ACTIVE,
            i.certificate_sha256 == identity.certificate_sha256,
        )
        .values(
            next_certificate_sha256=certificate_sha256,
            next_public_key=public_key,
            next_expire_time=expire_time,
        )
    )
    return given.rowcount == 1


def take_next(connection: Connection, renewed: Identity, former_end_time: datetime) -> bool:
    """Make the next certificate of an active identity its certificate; False if somebody has done
    so, or it was removed.
    """
    i = t.identity.c
    taken = connection.execute(
        update(t.identity)
        .where(
            i.id == renewed.id,
            i.state == IdentityState.ACTIVE,
            i.next_certificate_sha256 == renewed.next_certificate_sha256,
        )
        .values(
            certificate_sha256=renewed.next_certificate_sha256,
            public_key=renewed.next_public_key,
            expire_time=renewed.next_expire_time,
            next_certificate_sha256=None,
            next_public_key=None,
            next_expire_time=None,
            former_certificate_sha256=renewed.certificate_sha256,
            former_end_time=former_end_time,
            warn_time=None,
        )
    )
    return taken.rowcount == 1


def list_devices(connection: Connection, user_id: str) -> list[Identity]:
    """A user's devices, oldest first, removed ones included."""
    i = t.identity.c
    query = select(t.identity).where(i.role == Role.DEVICE, i.user_id == user_id).order_by(i.id)
    return [_to_identity(row) for row in connection.execute(query).mappings()]


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

"""Rows of users, identities and enrolment tokens."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, RowMapping, func, or_, select

from cloud_keystore.model.cards import Card
from cloud_keystore.model.errors import CardNotFound, UserNotFound
from cloud_keystore.model.people import Identity, IdentityState, Role, User
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.databases.failures import record
from cloud_keystore.storage.databases.indexes import number


def add_user(connection: Connection, user: User) -> None:
    rows.add(connection, t.user, asdict(user))


def like(connection: Connection, user: User) -> list[User]:
    """Users who have the same account or name, written in whatever case of Latin letters."""
    u = t.user.c
    same = [
        or_(column == value, func.lower(column) == value.lower())
        for column, value in ((u.upn, user.upn), (u.display_name, user.display_name))
        if value
    ]
    query = select(t.user).where(or_(*same)).order_by(u.id)
    return [_to_user(row) for row in rows.read(connection, t.user, query)]


def named(connection: Connection, text: str) -> User | None:
    """The only user with this account name or e-mail address, in whatever case of Latin letters;
    None if there is none, or several.
    """
    u = t.user.c
    same = (func.lower(column) == text.lower() for column in (u.upn, u.email))
    found = rows.read(connection, t.user, select(t.user).where(or_(*same)).limit(2))
    return _to_user(found[0]) if len(found) == 1 else None


def find_user(connection: Connection, user_id: str) -> User | None:
    row = rows.one(connection, t.user, id=user_id)
    return None if row is None else _to_user(row)


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
    query = select(t.user).order_by(t.user.c.id)
    return [_to_user(row) for row in rows.read(connection, t.user, query)]


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
    rows.add(connection, t.identity, asdict(identity))


def find_identity(connection: Connection, identity_id: str) -> Identity | None:
    return _identity(rows.one(connection, t.identity, id=identity_id))


def find_identity_by_certificate(
    connection: Connection, certificate_sha256: bytes
) -> Identity | None:
    return _identity(rows.one(connection, t.identity, certificate_sha256=certificate_sha256))


def find_renewed(connection: Connection, certificate_sha256: bytes) -> Identity | None:
    """The identity that has this certificate as its next one."""
    return _identity(rows.one(connection, t.identity, next_certificate_sha256=certificate_sha256))


def find_by_former(
    connection: Connection, certificate_sha256: bytes, now: datetime
) -> Identity | None:
    """The identity that is still known by this former certificate."""
    former = t.identity.c.former_certificate_sha256 == certificate_sha256
    known = t.identity.c.former_end_time > now
    return _identity(rows.find(connection, t.identity, former, known))


def is_active(connection: Connection, identity_id: str, now: datetime) -> bool:
    """Whether an identity is active in this transaction; it can be removed after it has called."""
    found = find_identity(connection, identity_id)
    return found is not None and found.is_active(now)


def count_active(connection: Connection, role: Role, now: datetime) -> int:
    """How many identities of a role are active."""
    query = select(func.count()).where(t.identity.c.role == role, *_active(now))
    return connection.execute(query).scalar_one()


def ending(
    connection: Connection, now: datetime, before: datetime, most: int, *, unwarned: bool = False
) -> list[Identity]:
    """Identities that are active and end before a time, at most so many, the first to end first:
    of all, or of those of which nobody was warned. Records that are not authentic are passed over.
    """
    i = t.identity.c
    query = select(t.identity).where(*_active(now), i.expire_time < before)
    if unwarned:
        query = query.where(i.warn_time.is_(None))
    query = query.order_by(i.expire_time).limit(number(most))
    found = rows.authentic(connection, t.identity, query)
    return [_to_identity(row) for row in found]


def warned(connection: Connection, identity_id: str, now: datetime) -> bool:
    """Write down that people were warned of an identity's end; False if they were before."""
    i = t.identity.c
    unwarned = [i.id == identity_id, i.warn_time.is_(None)]
    return bool(rows.change(connection, t.identity, unwarned, {"warn_time": now}))


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
    return [_to_identity(row) for row in rows.read(connection, t.identity, query)]


def activate_identity(
    connection: Connection,
    identity_id: str,
    certificate_sha256: bytes,
    public_key: bytes,
    display_name: str,
    expire_time: datetime,
) -> None:
    """Give an invited identity its certificate and key."""
    invited = [t.identity.c.id == identity_id, t.identity.c.state == IdentityState.INVITED]
    active: Values = {
        "state": IdentityState.ACTIVE,
        "certificate_sha256": certificate_sha256,
        "public_key": public_key,
        "display_name": display_name,
        "expire_time": expire_time,
    }
    rows.change(connection, t.identity, invited, active)


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
        *_active(now),
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


def list_devices(connection: Connection, user_id: str) -> list[Identity]:
    """A user's devices, oldest first, removed ones included."""
    i = t.identity.c
    query = select(t.identity).where(i.role == Role.DEVICE, i.user_id == user_id).order_by(i.id)
    return [_to_identity(row) for row in rows.read(connection, t.identity, query)]


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


def remove_identity(connection: Connection, identity_id: str) -> bool:
    """Take an identity out of use for ever; False if it was removed before."""
    there = [t.identity.c.id == identity_id, t.identity.c.state != IdentityState.REMOVED]
    return bool(rows.change(connection, t.identity, there, {"state": IdentityState.REMOVED}))


def add_token(
    connection: Connection, secret_sha256: bytes, identity_id: str, expire_time: datetime
) -> None:
    token: Values = {
        "secret_sha256": secret_sha256,
        "identity_id": identity_id,
        "expire_time": expire_time,
    }
    rows.add(connection, t.token, token)


def tokens(
    connection: Connection, ids: Collection[str]
) -> Mapping[str, tuple[datetime, datetime | None]]:
    """When the enrolment tokens of some identities expire, and when they were used, by identity."""
    query = select(t.token).where(t.token.c.identity_id.in_(ids))
    found = rows.read(connection, t.token, query)
    return {row["identity_id"]: (row["expire_time"], row["use_time"]) for row in found}


def invited_by(connection: Connection, secret_sha256: bytes, now: datetime) -> Identity | None:
    """The identity that a token is for, or None if it is unknown, used or expired."""
    token = rows.find(connection, t.token, *_unused(secret_sha256, now))
    return None if token is None else find_identity(connection, token["identity_id"])


def spend_token(connection: Connection, secret_sha256: bytes, now: datetime) -> str | None:
    """Mark a token used and return its identity, or None if it is unknown, used or expired."""
    spent = rows.change(connection, t.token, _unused(secret_sha256, now), {"use_time": now})
    return str(spent[0]["identity_id"]) if spent else None


def void_tokens(connection: Connection, now: datetime) -> int:
    """Let all tokens expire that were not used; return how many."""
    unused = [t.token.c.use_time.is_(None), t.token.c.expire_time > now]
    return len(rows.change(connection, t.token, unused, {"expire_time": now}))


@dataclass(frozen=True, slots=True)
class UsedToken:
    """The identity that a token became, and when."""

    identity_id: str
    use_time: datetime


def used_token(connection: Connection, secret_sha256: bytes, now: datetime) -> UsedToken | None:
    """A token that was used and has not expired; None if there is no such token."""
    row = rows.find(
        connection,
        t.token,
        t.token.c.secret_sha256 == secret_sha256,
        t.token.c.use_time.is_not(None),
        t.token.c.expire_time > now,
    )
    return None if row is None else UsedToken(row["identity_id"], row["use_time"])


def _unused(secret_sha256: bytes, now: datetime) -> list[ColumnElement[bool]]:
    k = t.token.c
    return [k.secret_sha256 == secret_sha256, k.use_time.is_(None), k.expire_time > now]


def _identity(row: RowMapping | None) -> Identity | None:
    return None if row is None else _to_identity(row)


def _to_user(row: RowMapping) -> User:
    return User(**{name: row[name] for name in User.__dataclass_fields__})


@record("identity")
def _to_identity(row: RowMapping) -> Identity:
    known = {name: row[name] for name in Identity.__dataclass_fields__}
    known |= {"role": Role(row["role"]), "state": IdentityState(row["state"])}
    return Identity(**known)

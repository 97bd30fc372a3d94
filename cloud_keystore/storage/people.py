"""Rows of users and identities."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    and_,
    func,
    not_,
    or_,
    select,
    true,
)

from cloud_keystore.model.cards import IN_USE, Card
from cloud_keystore.model.errors import CardNotFound, UserClosed, UserNotFound
from cloud_keystore.model.fields import emails
from cloud_keystore.model.fields.pages import Page
from cloud_keystore.model.finding import folded, unaccented
from cloud_keystore.model.people import Identity, IdentityState, Role, User, UserState
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.contacts import memberships
from cloud_keystore.storage.databases.failures import record
from cloud_keystore.storage.databases.indexes import has_role, is_closed, number
from cloud_keystore.storage.databases.portions import paged, portions

LONGEST_KEY = 64  # of a name by which people are sorted: as much of it as an index takes
_PRESENT = t.user.c.state == UserState.ACTIVE


def add_users(connection: Connection, *users: User) -> None:
    rows.add(connection, t.user, *map(_values, users))


def like(connection: Connection, *users: User) -> list[User]:
    """Users who have not left and have the account or address of one of some users, or the name of
    one, in whatever case of Latin letters, where neither has an address.
    """
    u, same = t.user.c, list[ColumnElement[bool]]()
    if upns := {folded(each.upn) for each in users if each.upn}:
        same.append(u.upn_key.in_(upns))
    if addresses := {emails.key(each.email) for each in users if each.email}:
        same.append(u.email_key.in_(addresses))
    if names := {each.display_name for each in users if not each.email}:
        lower = func.lower(u.display_name).in_({name.lower() for name in names})
        same.append((u.email_key == "") & or_(u.display_name.in_(names), lower))
    if not same:
        return []
    query = select(t.user).where(_PRESENT, or_(*same)).order_by(u.id)
    return [_to_user(row) for row in rows.read(connection, t.user, query)]


def named(connection: Connection, text: str) -> User | None:
    """The only user who has not left with this account name or e-mail address, in whatever case;
    None if there is none, or several.
    """
    u = t.user.c
    same = or_(u.upn_key == folded(text), u.email_key == emails.key(text))
    query = select(t.user).where(_PRESENT, same).limit(2)
    found = rows.read(connection, t.user, query)
    return _to_user(found[0]) if len(found) == 1 else None


def with_account(connection: Connection, upn: str) -> User | None:
    """Who has not left and has a user principal name, in whatever case; None if nobody has."""
    query = select(t.user).where(_PRESENT, t.user.c.upn_key == folded(upn)).limit(1)
    found = rows.read(connection, t.user, query)
    return _to_user(found[0]) if found else None


def find_user(connection: Connection, user_id: str) -> User | None:
    row = rows.one(connection, t.user, id=user_id)
    return None if row is None else _to_user(row)


def user(connection: Connection, user_id: str) -> User:
    """The user with an identifier; raises UserNotFound if there is none."""
    found = find_user(connection, user_id)
    if found is None:
        raise missing_user(user_id)
    return found


def missing_user(user_id: str) -> UserNotFound:
    """What to raise about a user who is not there, or whom somebody may not see."""
    return UserNotFound(f"there is no user {user_id}")


def present(connection: Connection, user_id: str) -> User:
    """A user who has not left; raises UserNotFound and UserClosed."""
    found = user(connection, user_id)
    if found.state is not UserState.ACTIVE:
        raise UserClosed(f"{found.display_name} has left: add the person anew")
    return found


def holder(connection: Connection, card: Card) -> User:
    """The holder of a card; raises CardNotFound for a card without one."""
    found = find_user(connection, card.user_id)
    if found is None:
        raise CardNotFound(f"card {card.serial} has no holder")
    return found


def belongs(within: Collection[str] | None) -> ColumnElement[bool]:
    """The condition that a user belongs to one of some organisations; None: to any."""
    if within is None:
        return true()
    u = t.user.c
    return or_(u.organisation_id.in_(within), u.id.in_(memberships.members(within)))


def of_organisations(
    connection: Connection, ids: Iterable[str], organisations: Collection[str]
) -> set[str]:
    """Those of some users who belong to one of some organisations."""
    u = t.user.c
    return {
        each
        for some in portions(ids)
        for each in connection.execute(
            select(u.id).where(u.id.in_(some), belongs(organisations))
        ).scalars()
    }


def with_ids(connection: Connection, ids: Iterable[str]) -> list[User]:
    """Users who have one of some identifiers, oldest first."""
    return [
        _to_user(row)
        for some in portions(sorted(ids))
        for row in rows.read(
            connection, t.user, select(t.user).where(t.user.c.id.in_(some)).order_by(t.user.c.id)
        )
    ]


def unfinished(
    connection: Connection, now: datetime, page: Page | None, within: Collection[str] | None
) -> Sequence[str]:
    """Identifiers of users who have not left, and have no active device or no card in use, oldest
    first: all or those of some organisations, or a page of them.
    """
    u = t.user.c
    query = select(u.id).where(not_(has_left()), not_(has_all(now)), belongs(within))
    return connection.execute(paged(query, u.id, page)).scalars().all()


def has_all(now: datetime) -> ColumnElement[bool]:
    """The condition that a user has an active device, and a card in use."""
    u, i, c = t.user.c, t.identity.c, t.card.c
    device = select(i.user_id).where(i.user_id == u.id, i.role == Role.DEVICE, *are_active(now))
    card = select(c.user_id).where(c.user_id == u.id, c.state.in_(IN_USE))
    return and_(device.exists(), card.exists())


def has_left() -> ColumnElement[bool]:
    """The condition that a user was closed, for queries that read no row otherwise."""
    closed = t.user.alias("closed").c
    return t.user.c.id.in_(select(closed.id).where(is_closed(closed.state)))


def change_user(connection: Connection, changed: User) -> bool:
    """Give a user another name, address or state; False for one who has left."""
    present = [t.user.c.id == changed.id, _PRESENT]
    return bool(rows.change(connection, t.user, present, _values(changed)))


def taken(connection: Connection, uuid12s: Collection[str]) -> set[str]:
    """Those of some 12-digit UUIDs that somebody has."""
    query = select(t.user.c.uuid12).where(t.user.c.uuid12.in_(uuid12s))
    return set(connection.execute(query).scalars())


def complete_users(
    connection: Connection, new: Callable[[], str], after: str, most: int
) -> tuple[int, str | None]:
    """Give users from before, after an identifier, what they lack, at most so many: a 12-digit
    UUID, and the forms in which they are found and compared. Returns how many had no UUID, and the
    last one that was looked at, None if there was none. Records that are not authentic are passed
    over.
    """
    u = t.user.c
    lacking = or_(u.uuid12.is_(None), u.email_key.is_(None), u.name_key.is_(None))
    waiting = select(u.id).where(lacking, u.id > after).order_by(u.id).limit(most)
    ids = connection.execute(waiting).scalars().all()
    query = select(t.user).where(u.id.in_(ids)).order_by(u.id).with_for_update()
    found = rows.authentic(connection, t.user, query)
    for row in found:
        known = _to_user(row)
        whole = replace(known, uuid12=known.uuid12 or new())
        values: Values = {"uuid12": whole.uuid12, **_forms(whole)}
        rows.rewrite(connection, t.user, row, values)
    return sum(row["uuid12"] is None for row in found), ids[-1] if ids else None


def names(connection: Connection, ids: Collection[str]) -> Mapping[str, str]:
    """Names of those users and identities that have one of some identifiers."""
    queries = (
        select(table.c.id, table.c.display_name).where(table.c.id.in_(some))
        for table in (t.user, t.identity)
        for some in portions(ids)
    )
    return {row.id: row.display_name for query in queries for row in connection.execute(query)}


def count_devices(connection: Connection, now: datetime) -> Mapping[str, int]:
    """Number of active devices by user; users without one are left out."""
    query = (
        select(t.identity.c.user_id, func.count().label("devices"))
        .where(t.identity.c.role == Role.DEVICE, *are_active(now))
        .group_by(t.identity.c.user_id)
    )
    return {row.user_id: row.devices for row in connection.execute(query)}


def add_identities(connection: Connection, *identities: Identity) -> None:
    rows.add(connection, t.identity, *map(_fields_of, identities))


def find_identity(connection: Connection, identity_id: str) -> Identity | None:
    return _identity(rows.one(connection, t.identity, id=identity_id))


def find_identity_by_certificate(
    connection: Connection, certificate_sha256: bytes
) -> Identity | None:
    return _identity(rows.one(connection, t.identity, certificate_sha256=certificate_sha256))


def is_active(connection: Connection, identity_id: str, now: datetime) -> bool:
    """Whether an identity is active in this transaction; it can be removed after it has called."""
    found = find_identity(connection, identity_id)
    return found is not None and found.is_active(now)


def ending(
    connection: Connection, now: datetime, before: datetime, most: int, *, unwarned: bool = False
) -> list[Identity]:
    """Identities that are active and end before a time, at most so many, the first to end first:
    of all, or of those of which nobody was warned. Records that are not authentic are passed over.
    """
    i = t.identity.c
    # Seats end by themselves each day.
    lasting = i.role != Role.SEAT
    query = select(t.identity).where(*are_active(now), i.expire_time < before, lasting)
    if unwarned:
        query = query.where(i.warn_time.is_(None))
    query = query.order_by(i.expire_time).limit(number(most))
    found = rows.authentic(connection, t.identity, query)
    return [to_identity(row) for row in found]


def warned(connection: Connection, identity_id: str, now: datetime) -> bool:
    """Write down that people were warned of an identity's end; False if they were before."""
    i = t.identity.c
    unwarned = [i.id == identity_id, i.warn_time.is_(None)]
    return bool(rows.change(connection, t.identity, unwarned, {"warn_time": now}))


def are_active(now: datetime) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return t.identity.c.state == IdentityState.ACTIVE, t.identity.c.expire_time > now


def list_identities(connection: Connection, role: Role) -> list[Identity]:
    """All identities of a role, oldest first."""
    query = select(t.identity).where(has_role(t.identity.c.role, role)).order_by(t.identity.c.id)
    return [to_identity(row) for row in rows.read(connection, t.identity, query)]


def identity_names(connection: Connection, role: Role) -> list[tuple[str, str]]:
    """Identifier and name of all identities of a role, before their codes are checked."""
    i = t.identity.c
    query = select(i.id, i.display_name).where(has_role(i.role, role))
    return [(row.id, row.display_name) for row in connection.execute(query)]


def with_identity_ids(connection: Connection, ids: Iterable[str]) -> list[Identity]:
    """Identities that have one of some identifiers, oldest first."""
    i = t.identity.c
    return [
        to_identity(row)
        for some in portions(sorted(ids))
        for row in rows.read(
            connection, t.identity, select(t.identity).where(i.id.in_(some)).order_by(i.id)
        )
    ]


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


def list_devices(connection: Connection, user_id: str) -> list[Identity]:
    """A user's devices, oldest first, removed ones included."""
    i = t.identity.c
    query = select(t.identity).where(i.role == Role.DEVICE, i.user_id == user_id).order_by(i.id)
    return [to_identity(row) for row in rows.read(connection, t.identity, query)]


def devices_of(connection: Connection, user_ids: Iterable[str]) -> list[Identity]:
    """The devices of some users, each user's oldest first, removed ones included."""
    i = t.identity.c
    of_devices = select(t.identity).where(i.role == Role.DEVICE).order_by(i.id)
    return [
        to_identity(row)
        for some in portions(user_ids)
        for row in rows.read(connection, t.identity, of_devices.where(i.user_id.in_(some)))
    ]


def remove_identity(connection: Connection, identity_id: str) -> bool:
    """Take an identity out of use for ever; False if it was removed before."""
    there = [t.identity.c.id == identity_id, t.identity.c.state != IdentityState.REMOVED]
    return bool(rows.change(connection, t.identity, there, {"state": IdentityState.REMOVED}))


def _identity(row: RowMapping | None) -> Identity | None:
    return None if row is None else to_identity(row)


@record("user")
def _to_user(row: RowMapping) -> User:
    known = {name: row[name] for name in User.__dataclass_fields__}
    return User(**known | {"state": UserState(row["state"])})


def _values(user: User) -> Values:
    return {**_fields_of(user), **_forms(user)}


def _fields_of(each: User | Identity) -> Values:
    # `asdict` copies each value, which takes longer than the database does.
    return {name: getattr(each, name) for name in each.__dataclass_fields__}


def _forms(user: User) -> Values:
    """The text in which `search` looks, a line for each name, and what `like` compares."""
    called = (f"{user.display_name} ({user.uuid12})", user.email, user.upn)
    return {
        "search": "\n".join(map(unaccented, called)),
        "email_key": emails.key(user.email),
        "upn_key": folded(user.upn),
        "name_key": unaccented(user.display_name)[:LONGEST_KEY],
    }


@record("identity")
def to_identity(row: RowMapping) -> Identity:
    known = {name: row[name] for name in Identity.__dataclass_fields__}
    known |= {"role": Role(row["role"]), "state": IdentityState(row["state"])}
    return Identity(**known)

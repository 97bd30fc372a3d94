"""Users in the order of any column, and those of them whom a list is to show."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from types import MappingProxyType

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    case,
    false,
    func,
    not_,
    or_,
    select,
    union_all,
)

from cloud_keystore.model.fields.pages import Order, Page
from cloud_keystore.model.finding import unaccented
from cloud_keystore.model.people import Role, UserState
from cloud_keystore.storage import people
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.contacts import accounts
from cloud_keystore.storage.databases.indexes import is_closed
from cloud_keystore.storage.listing.order import Key, ordered
from cloud_keystore.storage.listing.serials import numbered
from cloud_keystore.storage.organisations import organisation

PENDING, ENROLLED = "pending", "enrolled"  # the state of who has not left
u, i, c = t.user.c, t.identity.c, t.card.c


def _organisation(_: datetime) -> Key:
    name = select(organisation.c.name).where(organisation.c.id == u.organisation_id)
    return func.coalesce(name.scalar_subquery(), u.organisation_id)


def _phones(now: datetime) -> Key:
    devices = select(func.count()).where(
        i.user_id == u.id, i.role == Role.DEVICE, *people.are_active(now)
    )
    return devices.scalar_subquery()


def _cards(_: datetime) -> Key:
    first = select(func.min(c.serial)).where(c.user_id == u.id)
    return func.coalesce(first.scalar_subquery(), "")


def state(now: datetime) -> ColumnElement[str]:
    """The state of a user as lists show it."""
    return case(
        (people.has_left(), UserState.CLOSED.value),
        (people.has_all(now), ENROLLED),
        else_=PENDING,
    )


def _in_state(state: str, now: datetime) -> ColumnElement[bool]:
    """The condition that a user is in a state."""
    if state == UserState.CLOSED:
        return is_closed(u.state)
    has_all = people.has_all(now)
    return and_(not_(people.has_left()), has_all if state == ENROLLED else not_(has_all))


# What a list can be sorted by. The columns that are not the user's own are computed for all of
# whom the list could show.
KEYS: Mapping[str, Callable[[datetime], Key]] = MappingProxyType(
    {
        "id": lambda _: u.id,
        "created": lambda _: u.id,
        "name": lambda _: u.name_key,
        "uuid12": lambda _: u.uuid12,
        "email": lambda _: u.email_key,
        "upn": lambda _: u.upn_key,
        "sid": lambda _: u.sid,
        "phone": lambda _: u.phone,
        "profile": lambda _: u.profile,
        "organisation": _organisation,
        "state": state,
        "devices": _phones,
        "cards": _cards,
    }
)

# The keys that have an index, which is not to be followed, a row at a time, for the few whom a
# text finds.
UNINDEXED: Mapping[str, Key] = MappingProxyType(
    {
        "id": func.coalesce(u.id, ""),
        "created": func.coalesce(u.id, ""),
        "name": func.coalesce(u.name_key, ""),
        "uuid12": func.coalesce(u.uuid12, ""),
        "email": func.coalesce(u.email_key, ""),
        "upn": func.coalesce(u.upn_key, ""),
    }
)


def _finds(text: str) -> ColumnElement[bool]:
    """The condition that a text is any part of what a user is called, begins the serial number of
    one of the user's cards, or is a Windows account of the user.
    """
    if not unaccented(text):
        return false()
    serials = select(c.user_id).where(numbered(text))
    return u.id.in_(union_all(*people.called(text), serials, accounts.holders_of(text)))


def counts(
    connection: Connection, now: datetime, within: Collection[str] | None, text: str = ""
) -> dict[str, int]:
    """How many users of some organisations (None: of all) are in each state, of all or of those
    whom a text finds.
    """
    closed, enrolled = people.has_left(), people.has_all(now)
    query = select(func.count()).select_from(t.user).where(people.belongs(within))
    if text:
        # Once, because looking for it takes longest.
        of_each = (case((closed, 1), else_=0), case((closed, 0), (enrolled, 1), else_=0))
        query = query.add_columns(*map(func.sum, of_each)).where(_finds(text))
        counted = [number or 0 for number in connection.execute(query).one()]
    else:
        # One by one: PostgreSQL joins what is a condition, and looks up each row of what is a case.
        counted = [
            connection.execute(each).scalar_one()
            for each in (query, query.where(closed), query.where(not_(closed), enrolled))
        ]
    total, left, done = counted
    found = {UserState.CLOSED.value: left, ENROLLED: done, PENDING: total - left - done}
    return {name: number for name, number in found.items() if number}


def ids(
    connection: Connection,
    page: Page | None,
    order: Order,
    now: datetime,
    within: Collection[str] | None,
    *,
    text: str = "",
    states: Collection[str] = (),
    profile: str = "",
) -> list[str]:
    """Identifiers of users of some organisations (None: of all), in an order, or a page of them:
    all, or those whom a text finds, who have one of some states, or a profile. Raises InvalidInput.
    """
    query = whole = select(u.id).where(people.belongs(within))
    if text:
        query = query.where(_finds(text))
    if states:
        query = query.where(or_(*(_in_state(each, now) for each in states)))
    if profile:
        query = query.where(u.profile == profile)
    if order.column == "state":
        return _by_state(connection, query, whole, order, now, page)
    key = KEYS[order.column](now)
    if text:
        key = UNINDEXED.get(order.column, key)
    return ordered(connection, query, key, u.id, order, page, whole)


def _by_state(
    connection: Connection,
    query: Select[str],
    whole: Select[str],
    order: Order,
    now: datetime,
    page: Page | None,
) -> list[str]:
    """What `ordered` gives for the key of states: one state after the other, so that nobody's is
    computed for whom the page has no room.
    """
    names = sorted((UserState.CLOSED.value, ENROLLED, PENDING), reverse=order.descending)
    after = "" if page is None else page.after
    if after:
        at = whole.with_only_columns(state(now)).where(u.id == after)
        begins = connection.execute(at).scalar()
        if begins is not None:
            names = names[names.index(begins) :]
    found: list[str] = []
    for each in names:
        rest = None if page is None else Page(page.size - len(found), after)
        if rest is not None and not rest.size:
            break
        of_state = query.where(_in_state(each, now))
        # Those who have left are few, and in an index of their own.
        key = UNINDEXED["id"] if each == UserState.CLOSED else u.id
        found += ordered(connection, of_state, key, u.id, order, rest, whole)
        after = ""
    return found

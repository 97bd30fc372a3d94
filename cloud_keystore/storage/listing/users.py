"""Users in the order of any column, and those of them whom a list is to show."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

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
    union,
    union_all,
)

from cloud_keystore.model.fields.pages import Order, Page
from cloud_keystore.model.finding import unaccented
from cloud_keystore.model.people import Role, UserState
from cloud_keystore.storage import people
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.contacts import accounts
from cloud_keystore.storage.databases.indexes import is_closed, is_long, is_short
from cloud_keystore.storage.listing.order import Key, ordered
from cloud_keystore.storage.listing.serials import numbered
from cloud_keystore.storage.organisations import organisation

OF_IDS = frozenset("0123456789abcdef-")
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


class Part(NamedTuple):
    """Part of a list in the order of a column: the lowest value there, who is in it, and their
    order.
    """

    begins: str | int
    holds: ColumnElement[bool]
    key: Key


def _states(now: datetime) -> tuple[Part, ...]:
    """Those who have left are few, and in an index of their own."""
    keys: Mapping[str, Key] = {
        UserState.CLOSED.value: func.coalesce(u.id, ""),
        ENROLLED: u.id,
        PENDING: u.id,
    }
    return tuple(Part(each, _in_state(each, now), keys[each]) for each in sorted(keys))


def _by_phones(now: datetime) -> tuple[Part, ...]:
    """Most people have one phone, or none."""
    active = [i.role == Role.DEVICE, *people.are_active(now)]
    several = select(i.user_id).where(*active).group_by(i.user_id).having(func.count() > 1)
    has_one = select(i.user_id).where(i.user_id == u.id, *active).exists()
    return (
        Part(0, not_(has_one), u.id),
        Part(1, _phones(now) == 1, u.id),
        Part(2, u.id.in_(several), _phones(now)),
    )


def _by_cards(_: datetime) -> tuple[Part, ...]:
    """Those who have cards are found by the serial numbers, of which each has a lowest one."""
    held, lower = t.card.alias("held").c, t.card.alias("lower").c
    has_one = select(held.user_id).where(held.user_id == u.id).exists()
    before = select(lower.user_id).where(lower.user_id == c.user_id, lower.serial < c.serial)
    return (
        Part("", not_(has_one), u.id),
        Part(" ", and_(c.user_id == u.id, not_(before.exists())), c.serial),
    )


# The parts of a list, of which the first has the lowest values. Nothing is computed for whom a page
# has no room.
PARTS: Mapping[str, Callable[[datetime], tuple[Part, ...]]] = MappingProxyType(
    {"state": _states, "devices": _by_phones, "cards": _by_cards}
)


# What a list can be sorted by. The columns that are not the user's own are computed for all of
# whom the list could show, unless they have parts below.
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


def search(connection: Connection, text: str) -> set[str]:
    """Identifiers of users that begin so, or of whom a text is any part of a name, UUID, address or
    account.
    """
    if not unaccented(text):
        return set()
    return set(connection.execute(union(*_called(text))).scalars())


def _called(text: str) -> tuple[Select[str], ...]:
    """The queries for identifiers of users, not those around them: of those that begin so, and of
    users of whom a text is any part of a name. Each finds all that it reads in an index.
    """
    of, beginning = t.user.alias("called").c, text.lower()
    part = of.search.contains(unaccented(text), autoescape=True)
    found = [select(of.id).where(each, part) for each in (is_short(of.search), is_long(of.search))]
    if not set(beginning) <= OF_IDS:
        return tuple(found)
    # The index leads to these, however a database sorts hyphens, which are before "g" or nothing.
    near = of.id.between(beginning, f"{beginning}g")
    return (*found, select(of.id).where(near, of.id.startswith(beginning, autoescape=True)))


def _finds(text: str) -> ColumnElement[bool]:
    """The condition that a text is any part of what a user is called, begins the serial number of
    one of the user's cards, or is a Windows account of the user.
    """
    if not unaccented(text):
        return false()
    serials = select(c.user_id).where(numbered(text))
    return u.id.in_(union_all(*_called(text), serials, accounts.holders_of(text)))


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
    if order.column in PARTS:
        return _in_parts(connection, query, order, now, page, whole)
    key = KEYS[order.column](now)
    if text:
        key = UNINDEXED.get(order.column, key)
    return ordered(connection, query, key, u.id, order, page, whole)


def _in_parts(
    connection: Connection,
    query: Select[str],
    order: Order,
    now: datetime,
    page: Page | None,
    whole: Select[str],
) -> list[str]:
    """What `ordered` gives for the key of a column, in one part after the other."""
    parts = PARTS[order.column](now)
    after = "" if page is None else page.after
    if after:
        key = KEYS[order.column](now)
        reached = whole.with_only_columns(*(key >= each.begins for each in parts))
        begun = sum(connection.execute(reached.where(u.id == after)).first() or ())
        if begun:
            parts = parts[:begun] if order.descending else parts[begun - 1 :]
    found: list[str] = []
    for each in reversed(parts) if order.descending else parts:
        left = None if page is None else Page(page.size - len(found), after)
        if left is not None and not left.size:
            break
        own, of_part = query.where(each.holds), whole.where(each.holds)
        found += ordered(connection, own, each.key, u.id, order, left, of_part)
        after = ""
    return found

"""Users in the order of any column, and those of them whom a list is to show."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from types import MappingProxyType

from sqlalchemy import ColumnElement, Connection, and_, case, false, func, or_, select

from cloud_keystore.model.cards import IN_USE
from cloud_keystore.model.fields.pages import Order, Page
from cloud_keystore.model.finding import unaccented
from cloud_keystore.model.people import Role, UserState
from cloud_keystore.storage import people
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.contacts import accounts
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
    device = select(i.id).where(i.user_id == u.id, i.role == Role.DEVICE, *people.are_active(now))
    card = select(c.id).where(c.user_id == u.id, c.state.in_(IN_USE))
    return case(
        (u.state == UserState.CLOSED, UserState.CLOSED.value),
        (and_(device.exists(), card.exists()), ENROLLED),
        else_=PENDING,
    )


# What a list can be sorted by. The columns that are not the user's own are computed for all of
# whom the list could show.
KEYS: Mapping[str, Callable[[datetime], Key]] = MappingProxyType(
    {
        "id": lambda _: u.id,
        "created": lambda _: u.id,
        "name": lambda _: u.name_key,
        "uuid12": lambda _: func.coalesce(u.uuid12, ""),
        "email": lambda _: func.coalesce(u.email_key, ""),
        "upn": lambda _: func.coalesce(u.upn_key, ""),
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
    }
)


def _finds(text: str) -> ColumnElement[bool]:
    """The condition that a text is any part of what a user is called, begins the serial number of
    one of the user's cards, or is a Windows account of the user.
    """
    if not unaccented(text):
        return false()
    serials = select(c.user_id).where(numbered(text))
    return or_(people.called(text), u.id.in_(serials), u.id.in_(accounts.holders_of(text)))


def counts(
    connection: Connection, now: datetime, within: Collection[str] | None, text: str = ""
) -> dict[str, int]:
    """How many users of some organisations (None: of all) are in each state, of all or of those
    whom a text finds.
    """
    query = select(state(now).label("state")).where(people.belongs(within))
    if text:
        query = query.where(_finds(text))
    # PostgreSQL takes an expression with values in it for another one where it stands again.
    states = query.subquery()
    counted = select(states.c.state, func.count()).group_by(states.c.state)
    return {row[0]: row[1] for row in connection.execute(counted)}


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
        query = query.where(state(now).in_(states))
    if profile:
        query = query.where(u.profile == profile)
    key = KEYS[order.column](now)
    if text:
        key = UNINDEXED.get(order.column, key)
    return ordered(connection, query, key, u.id, order, page, whole)

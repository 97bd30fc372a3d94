"""Cards in the order of any column, and those of them that a list is to show."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sqlalchemy import ColumnElement, Connection, Table, and_, func, select

from card_os.piv.names import KeyRef
from cloud_keystore.model.fields.pages import Order, Page
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.storage import people
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.issuing import custom_profiles
from cloud_keystore.storage.listing.order import Key, ordered
from cloud_keystore.storage.listing.serials import numbered
from cloud_keystore.storage.organisations import organisation

c, p = t.card.c, t.passcode.c
NO_PASSCODE = -1  # in the order of tries


# What a list can be sorted by. A key of another table is joined, not asked for card by card.
KEYS: Mapping[str, Key] = MappingProxyType(
    {
        "serial": c.serial,
        "holder": t.user.c.name_key,
        "state": c.state,
        "passcode": func.coalesce(p.tries_left, NO_PASSCODE),
        "profile": c.profile,
        "organisation": func.coalesce(organisation.c.name, c.organisation_id),
        "issued": c.create_time,
        "expires": c.expire_time,
    }
)
HOLDERS = (t.user, t.user.c.id == c.user_id)  # each card has one
OTHERS: Mapping[str, tuple[Table, ColumnElement[bool]]] = MappingProxyType(
    {
        "passcode": (t.passcode, and_(p.card_id == c.id, p.key_ref == KeyRef.PIN)),
        "organisation": (organisation, organisation.c.id == c.organisation_id),
    }
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which cards a list shows: those whose holders are of some organisations (None: of any), that
    have one of some states or a profile (a built-in one or a variant of it), whose serial numbers
    begin so, or that were issued for some organisations. What is empty excludes none.
    """

    within: Collection[str] | None
    states: Collection[str] = ()
    profile: str = ""
    prefix: str = ""
    organisations: Collection[str] | None = None

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        """The conditions of a query for them, and for their holders unless they are of any."""
        if self.within is not None:
            yield people.belongs(self.within)
        if self.states:
            yield c.state.in_(self.states)
        if self.profile in PROFILES:
            yield c.profile == self.profile
        elif self.profile:
            yield c.id.in_(custom_profiles.cards_of(self.profile))
        if self.prefix:
            yield numbered(self.prefix)
        if self.organisations is not None:
            yield c.organisation_id.in_(self.organisations)


def serials(connection: Connection, page: Page | None, order: Order, chosen: Chosen) -> list[str]:
    """Serial numbers of cards, in an order, or a page of them. Raises InvalidInput."""
    query = select(c.serial).where(*chosen.conditions())
    if order.column == "holder" or chosen.within is not None:
        query = query.join(*HOLDERS)
    if order.column in OTHERS:
        query = query.outerjoin(*OTHERS[order.column])
    return ordered(connection, query, KEYS[order.column], c.serial, order, page)


def counts(connection: Connection, chosen: Chosen) -> list[tuple[str, str, str, int]]:
    """How many cards there are, by organisation, profile and state."""
    scope = (c.organisation_id, c.profile, c.state)
    query = select(*scope, func.count()).where(*chosen.conditions())
    if chosen.within is not None:
        query = query.join(*HOLDERS)
    found = connection.execute(query.group_by(*scope).order_by(*scope))
    return [(place, profile, state, number) for place, profile, state, number in found]

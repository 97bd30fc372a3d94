"""Cards in the order of any column, and those of them that a list is to show."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sqlalchemy import ColumnElement, Connection, func, select

from card_os.piv.names import KeyRef
from cloud_keystore.model.fields.pages import Order, Page
from cloud_keystore.storage import people
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.listing.order import Key, ordered
from cloud_keystore.storage.listing.serials import numbered
from cloud_keystore.storage.organisations import organisation

c, p = t.card.c, t.passcode.c
NO_PASSCODE = -1  # in the order of tries


def _holder() -> Key:
    return select(t.user.c.name_key).where(t.user.c.id == c.user_id).scalar_subquery()


def _organisation() -> Key:
    name = select(organisation.c.name).where(organisation.c.id == c.organisation_id)
    return func.coalesce(name.scalar_subquery(), c.organisation_id)


def _tries() -> Key:
    tries = select(p.tries_left).where(p.card_id == c.id, p.key_ref == KeyRef.PIN)
    return func.coalesce(tries.scalar_subquery(), NO_PASSCODE)


KEYS: Mapping[str, Key] = MappingProxyType(
    {
        "serial": c.serial,
        "holder": _holder(),
        "state": c.state,
        "passcode": _tries(),
        "profile": c.profile,
        "organisation": _organisation(),
        "issued": c.create_time,
        "expires": c.expire_time,
    }
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which cards a list shows: those whose holders are of some organisations (None: of any), that
    have one of some states or a profile, whose serial numbers begin so, or that were issued for
    some organisations. What is empty excludes none.
    """

    within: Collection[str] | None
    states: Collection[str] = ()
    profile: str = ""
    prefix: str = ""
    organisations: Collection[str] | None = None

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        """The conditions of a query for them."""
        if self.within is not None:
            holders = select(t.user.c.id).where(people.belongs(self.within))
            yield c.user_id.in_(holders)
        if self.states:
            yield c.state.in_(self.states)
        if self.profile:
            yield c.profile == self.profile
        if self.prefix:
            yield numbered(self.prefix)
        if self.organisations is not None:
            yield c.organisation_id.in_(self.organisations)


def serials(connection: Connection, page: Page | None, order: Order, chosen: Chosen) -> list[str]:
    """Serial numbers of cards, in an order, or a page of them. Raises InvalidInput."""
    query = select(c.serial).where(*chosen.conditions())
    return ordered(connection, query, KEYS[order.column], c.serial, order, page)


def counts(connection: Connection, chosen: Chosen) -> list[tuple[str, str, str, int]]:
    """How many cards there are, by organisation, profile and state."""
    scope = (c.organisation_id, c.profile, c.state)
    query = select(*scope, func.count()).where(*chosen.conditions())
    found = connection.execute(query.group_by(*scope).order_by(*scope))
    return [(place, profile, state, number) for place, profile, state, number in found]

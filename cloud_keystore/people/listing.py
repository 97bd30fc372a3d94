"""Users as lists show them, and who is found by a text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from cloud_keystore.audit.acting import Acting
from cloud_keystore.model.cards import IN_USE, Card
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields.pages import USER_COLUMNS, Page, order
from cloud_keystore.model.fields.texts import text_field
from cloud_keystore.model.finding import LONGEST_TEXT, as_written
from cloud_keystore.model.people import User, UserState
from cloud_keystore.storage import cards, people
from cloud_keystore.storage.listing import users
from cloud_keystore.storage.listing.remembered import Remembered
from cloud_keystore.storage.listing.users import ENROLLED, PENDING

STATES = frozenset({PENDING, ENROLLED, UserState.CLOSED})


@dataclass(frozen=True, slots=True)
class UserListing:
    """A user as lists show it, with the number of active devices and the cards."""

    user: User
    device_count: int
    card_serials: tuple[str, ...]
    enrolled: bool  # has a device, and a card in use


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which users a list shows, and in which order; what is empty excludes nobody."""

    text: str = ""  # any part of what they are called
    sort: str = ""  # a column, after a minus if the last comes first
    states: tuple[str, ...] = ()
    profile: str = ""
    organisation_id: str = ""  # theirs, or one above it


EVERYBODY = Wanted()


def listed(
    by: Acting,
    page: Page | None,
    wanted: Wanted,
    now: datetime,
    pages: Remembered[Sequence[str]],
) -> list[UserListing]:
    """Users whom the actor sees: all who are wanted, in their order, or a page of them. Raises
    InvalidInput, OrganisationNotFound.
    """
    connection, sorted_by = by.connection, order(wanted.sort, USER_COLUMNS, "created")
    text = as_written(text_field("text", wanted.text, LONGEST_TEXT, required=False))
    if unknown := set(wanted.states) - STATES:
        raise InvalidInput(
            f"state is {min(unknown)[:32]!r}: give one of {', '.join(sorted(STATES))}"
        )
    seen, below = by.seen_organisations(), by.below(wanted.organisation_id)
    within = seen if below is None else [each for each in below if seen is None or each in seen]

    def find() -> Sequence[str]:
        return users.ids(
            connection,
            page,
            sorted_by,
            now,
            within,
            text=text,
            states=wanted.states,
            profile=wanted.profile,
        )

    about = (page, sorted_by, text, wanted.states, wanted.profile)
    ids = find() if page is None else pages.of(connection, now, within, about, find)
    known = {user.id: user for user in people.with_ids(connection, ids)}
    sorted_users = [known[each] for each in ids]
    if page is not None:
        return of(connection, sorted_users, now)
    devices = people.count_devices(connection, now)
    return listings(sorted_users, devices, cards.list_all(connection))


def of(connection: Connection, users: Sequence[User], now: datetime) -> list[UserListing]:
    """Some users with their devices and cards."""
    ids = [user.id for user in users]
    phones = people.devices_of(connection, ids)
    devices = Counter(each.user_id or "" for each in phones if each.is_active(now))
    return listings(users, devices, cards.of_holders(connection, ids))


def listings(
    users: Sequence[User], devices: Mapping[str, int], of_users: Sequence[Card]
) -> list[UserListing]:
    """Users with the numbers of their active devices and with these cards."""
    held: dict[str, list[Card]] = {}
    for card in of_users:
        held.setdefault(card.user_id, []).append(card)
    return [_listing(user, devices.get(user.id, 0), held.get(user.id, [])) for user in users]


def _listing(user: User, devices: int, held: Sequence[Card]) -> UserListing:
    in_use = any(card.state in IN_USE for card in held)
    return UserListing(
        user, devices, tuple(card.serial for card in held), enrolled=bool(devices) and in_use
    )

"""One user with everything that a helpdesk asks about: cards, phones, and what happened last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from cloud_keystore.audit import acting, entries, journal, naming, words
from cloud_keystore.cards.life import CardListing, listing_of
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.fields.accounts import Account
from cloud_keystore.model.fields.software import Contact
from cloud_keystore.model.journal import Kind, decode
from cloud_keystore.model.people import Identity, Progress, Stage, User
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.people.contacts.memberships import MembershipListing, listings
from cloud_keystore.people.devices import DeviceListing, listing_of_device
from cloud_keystore.people.progress import progress_of
from cloud_keystore.storage import cards, people
from cloud_keystore.storage import journal as rows
from cloud_keystore.storage.contacts import accounts
from cloud_keystore.storage.credentials import app_pins
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.enrolment import software, tokens
from cloud_keystore.storage.journal import Query

MOST_EVENTS = 20


@dataclass(frozen=True, slots=True)
class Told:
    """An entry of the journal in words."""

    time: datetime
    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class Whole:
    """A user with cards, devices and the last entries of the journal, the newest first: all, or
    those of whoever looks.
    """

    user: User
    progress: Progress
    cards: tuple[CardListing, ...]
    devices: tuple[DeviceListing, ...]
    invitations: Mapping[str, datetime]  # when those of devices expire that are not enrolled yet
    events: tuple[Told, ...]
    accounts: tuple[Account, ...] = ()
    contacts: Mapping[str, Contact] = field(default_factory=dict)  # what devices said last
    memberships: tuple[MembershipListing, ...] = ()
    pin_tries: Mapping[str, int] = field(default_factory=dict)  # of devices that ask for a PIN


@dataclass(frozen=True, slots=True)
class Showing:
    """Shows users to operators. The journal tells who has looked at whom."""

    database: Database
    clock: Clock

    def show(self, user_id: str, operator: Identity) -> Whole:
        """One user; raises UserNotFound, NotAllowed."""
        now, actor = self.clock(), operator.actor
        # The user is a detail, so that this is not among what happened to the user.
        read = {"call": "show", "user": user_id}
        looked = entries.about_keystore(Kind.JOURNAL_READ, now, actor, read)
        with acting.changing(self.database, actor, now, shared=True) as by:
            by.user(user_id, Right.VIEW)
            journal.append(by.connection, looked)
        with acting.looking(self.database, actor, now) as by:
            connection, user = by.connection, by.user(user_id, Right.VIEW)
            held = cards.list_all(connection, user.id)
            devices = people.list_devices(connection, user.id)
            terms = tokens.terms(connection, [each.id for each in devices])
            progress = progress_of(user, devices, terms, held, now)
            last = rows.search(connection, Query(user_id=user.id), None, MOST_EVENTS)
            told = [decode(row.entry) for row in last]
            if not by.held.has(Right.JOURNAL, user.organisation_id):
                told = [each for each in told if each.actor == actor]
            names = naming.names(connection, told)
            return Whole(
                user,
                since_removed(connection, user, progress),
                tuple(listing_of(connection, card) for card in held),
                tuple(listing_of_device(connection, each) for each in devices),
                {each: found.expire_time for each, found in terms.items() if not found.use_time},
                tuple(Told(each.time, each.kind, words.sentence(each, names)) for each in told),
                tuple(accounts.of(connection, user.id)),
                software.of(connection, [each.id for each in devices]),
                listings(by, user),
                app_pins.tries_left(connection, [each.id for each in devices]),
            )


def since_removed(connection: Connection, user: User, progress: Progress) -> Progress:
    """The progress of a user, who is without a phone since the last one was removed, and closed
    since the journal says so.
    """
    kinds = {
        Stage.NO_PHONE: Kind.IDENTITY_REMOVED,
        Stage.INVITATION_EXPIRED: Kind.IDENTITY_REMOVED,
        Stage.CLOSED: Kind.USER_CLOSED,
    }
    if progress.stage not in kinds:
        return progress
    query = Query(user_id=user.id, kinds=(kinds[progress.stage],))
    times = [row.time for row in rows.search(connection, query, None, 1)]
    return Progress(progress.stage, max([progress.since, *times]), card=progress.card)

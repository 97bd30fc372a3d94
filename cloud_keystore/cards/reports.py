"""What the registration authority has to look after: who has not finished enrolling, and what ends
soon.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice

from cloud_keystore.audit import acting
from cloud_keystore.cards.expiring import Expiring, Place, expiring
from cloud_keystore.cards.showing import since_removed
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.cards import Card, CardState
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields.pages import Page
from cloud_keystore.model.fields.texts import text_field
from cloud_keystore.model.finding import LONGEST_TEXT, as_written
from cloud_keystore.model.limits import MOST_DAYS
from cloud_keystore.model.people import Identity, Progress, User
from cloud_keystore.model.profiles import DEFAULT_PROFILE
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.people.progress import progress_of
from cloud_keystore.storage import cards, people
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.enrolment import tokens
from cloud_keystore.storage.issuing import orders
from cloud_keystore.storage.listing import users as listing
from cloud_keystore.storage.listing.remembered import Remembered
from cloud_keystore.storage.outbox import notifications as outbox


@dataclass(frozen=True, slots=True)
class Pending:
    """A user who has not finished enrolling."""

    user: User
    progress: Progress
    card_profile: str  # of the card that is pending or in use, or of the one that will be issued
    cause: str = ""  # why issuing the card has failed
    remind_time: datetime | None = None  # of the last reminder of the invitation
    undelivered: int = 0  # e-mails that have failed


@dataclass(frozen=True, slots=True)
class Reports:
    """Makes the reports."""

    database: Database
    clock: Clock
    counts: Remembered[Mapping[str, int]] = field(default_factory=Remembered)
    pages: Remembered[Sequence[str]] = field(default_factory=Remembered)

    def pending(self, page: Page | None = None, *, actor: Actor) -> list[Pending]:
        """Users whom the actor sees, who have not left and have no active device or no card in use,
        those who wait for longest first; or a page of them, oldest first.
        """
        now = self.clock()
        with acting.looking(self.database, actor, now) as by:
            by.need_somewhere(Right.VIEW)
            connection, found, seen = by.connection, [], by.seen_organisations()
            ids = self.pages.of(
                connection, now, seen, page, lambda: people.unfinished(connection, now, page, seen)
            )
            users = people.with_ids(connection, ids)
            devices: dict[str, list[Identity]] = {each: [] for each in ids}
            for device in people.devices_of(connection, ids):
                devices[device.user_id or ""].append(device)
            held: dict[str, list[Card]] = {each: [] for each in ids}
            for card in cards.of_holders(connection, ids):
                held[card.user_id].append(card)
            terms = tokens.terms(
                connection, [each.id for some in devices.values() for each in some]
            )
            causes = orders.causes(connection, _failed(held.values()))
            reminded, undelivered = (
                outbox.reminded(connection, ids),
                outbox.undelivered(connection, ids),
            )
            for user in users:
                progress = progress_of(user, devices[user.id], terms, held[user.id], now)
                progress = since_removed(connection, user, progress)
                found.append(
                    Pending(
                        user,
                        progress,
                        _profile(user, progress, held[user.id]),
                        causes.get(progress.card, ""),
                        reminded.get(user.id),
                        undelivered.get(user.id, 0),
                    )
                )
        return found if page else sorted(found, key=lambda each: each.progress.since)

    def states(self, text: str = "", *, actor: Actor) -> Mapping[str, int]:
        """How many users whom the actor sees are in each state, as lists show it: of all, or of
        those whom a text finds. Raises InvalidInput, NotAllowed.
        """
        wanted = as_written(text_field("text", text, LONGEST_TEXT, required=False))
        now = self.clock()
        with acting.looking(self.database, actor, now) as by:
            by.need_somewhere(Right.VIEW)
            connection, seen = by.connection, by.seen_organisations()
            return self.counts.of(
                connection, now, seen, wanted, lambda: listing.counts(connection, now, seen, wanted)
            )

    def expiring(
        self,
        days: int,
        page: Page | None = None,
        sort: str = "",
        text: str = "",
        *,
        actor: Actor,
    ) -> list[Expiring]:
        """What ends within some days or has ended, of what the actor sees, the first to end first;
        or a page of it: of one sort, or with a text in its name, its card's number or its holder's
        name, if they are given. Raises InvalidInput.
        """
        wanted = as_written(text_field("text", text, LONGEST_TEXT, required=False)).casefold()
        if not 0 <= days <= MOST_DAYS:
            raise InvalidInput(f"days is {days}: give 0 to {MOST_DAYS}")
        after = Place.parse(page.after) if page is not None and page.after else None
        now = self.clock()
        with acting.looking(self.database, actor, now) as by:
            by.need_somewhere(Right.VIEW)
            found = (
                each
                for each in expiring(by, now + timedelta(days=days), after, sort)
                if _has(each, wanted)
            )
            return list(found if page is None else islice(found, page.size))


def _has(found: Expiring, wanted: str) -> bool:
    said = (found.name, found.card_serial, found.holder)
    return not wanted or any(wanted in each.casefold() for each in said)


def _failed(held: Iterable[Sequence[Card]]) -> dict[str, str]:
    """The serial numbers of the cards that have failed, by identifier."""
    return {
        card.id: card.serial for some in held for card in some if card.state is CardState.FAILED
    }


def _profile(user: User, progress: Progress, held: Sequence[Card]) -> str:
    """The profile of the card that a user has come to, or of the one that will be issued."""
    has = next((card.profile for card in held if card.serial == progress.card), None)
    return has or user.profile or DEFAULT_PROFILE

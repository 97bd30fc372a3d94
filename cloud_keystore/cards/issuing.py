"""Issuing a card: it is ordered, its keys and certificates are made, and then it is complete.

The order is committed before anything is made, and so are the names of keys in a token. Whoever
goes on with it after a crash makes the rest, and what was begun before is destroyed: there is one
card in the end, or none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeAlias

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from card_os.piv.sizes import TRIES
from cloud_keystore.audit import acting, entries, journal
from cloud_keystore.audit.acting import Acting
from cloud_keystore.cards import contents, making
from cloud_keystore.cards.custom import choosing
from cloud_keystore.cards.external.certifying import requests
from cloud_keystore.cards.life import CardListing, listing_of, move_card
from cloud_keystore.cards.making import Certifying, Order
from cloud_keystore.cards.spares import Fresh, Plan, Spares
from cloud_keystore.cards.succession import replaced
from cloud_keystore.custody.credentials.data_objects import DataObjects
from cloud_keystore.custody.credentials.management_keys import put_key
from cloud_keystore.custody.credentials.passcodes import Passcodes
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.model.actors import KEYSTORE, Actor
from cloud_keystore.model.cards import UNISSUED, Card, CardEvent, CardState, HeldKey
from cloud_keystore.model.certificates import NOWHERE, Published
from cloud_keystore.model.clock import Clock, Random
from cloud_keystore.model.errors import (
    IllegalCardChange,
    InvalidInput,
    KeyBackendUnavailable,
    KeystoreError,
    StorageUnavailable,
)
from cloud_keystore.model.fields.request_ids import check_request_id
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.management_keys import factory_key
from cloud_keystore.model.outbox.notifications import Template
from cloud_keystore.model.people import User
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.notify.wakeups import Wake
from cloud_keystore.people.contacts import accounts
from cloud_keystore.people.policies import card_profiles
from cloud_keystore.pki.issuers import Authorities
from cloud_keystore.pki.revocation import recording
from cloud_keystore.storage import cards, passcodes, people
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.issuing import csrs, custom_profiles, external, orders
from cloud_keystore.storage.issuing.orders import CardOrder
from cloud_keystore.storage.outbox import notifications as outbox

SERIAL_DRAWS = 3
LEASE_TIME = timedelta(minutes=15)  # in which a slow token makes the keys of a card
MOST_TURNS = 5  # after which the keystore does not go on by itself
MOST_AT_ONCE = 5  # cards with which one process goes on in a second
TURNS_OVER = "the keystore ended several times while it made the card"
FAILED = "the keystore failed; its log says why"

log = structlog.get_logger()

There: TypeAlias = Callable[[Connection], Card | None]


@dataclass(frozen=True, slots=True)
class Begun:
    """A card that this process makes now."""

    card: Card
    user: User
    order: CardOrder
    plan: Plan


@dataclass(frozen=True, slots=True)
class Issuing:
    """Makes cards."""

    database: Database
    seal: Seal
    clock: Clock
    random: Random
    spares: Spares
    authorities: Authorities
    passcodes: Passcodes
    data_objects: DataObjects
    wake: Wake
    published: Published = NOWHERE

    def issue(
        self,
        request_id: bytes,
        user_id: str,
        profile_name: str,
        organisation_id: str = "",
        *,
        actor: Actor,
    ) -> CardListing:
        """Issue a card. Without an organisation, it is issued for that of its holder; else the
        actor needs the right in both. Where no profile is named, it is the user's own.

        A repeated call with the same request id goes on if the one before has failed or its process
        has ended, and returns the same card. Raises UserNotFound, UserClosed, OrganisationNotFound,
        NotAllowed, RequestIdReused, InvalidInput, and what making keys raises: the card has failed
        then, and can be resumed.
        """
        check_request_id(request_id)
        with acting.looking(self.database, actor, self.clock()) as by:
            user, organisation_id = _allowed(by, user_id, organisation_id)
            name = profile_name or user.profile
            profile, custom = card_profiles.chosen(by.connection, name, organisation_id)
        order = Order(request_id, user_id, profile, organisation_id, custom=custom)

        def there(connection: Connection) -> Card | None:
            made = cards.find_by_request(connection, request_id)
            if made is not None:
                choosing.check_same(connection, made, order)
            return made

        return self.make(order, there, actor)

    def make(self, order: Order, there: There, actor: Actor) -> CardListing:
        """Make a card as ordered, or go on with the one that is `there` already. Raises
        UserNotFound, UserClosed, OrganisationNotFound, NotAllowed, and what `there` and making keys
        raise.
        """
        with acting.looking(self.database, actor, self.clock()) as by:
            _allowed(by, order.user_id, order.organisation_id)
            if (made := there(by.connection)) is None:
                people.present(by.connection, order.user_id)
        begun = made or self._ordered(order, there, actor)
        match begun:
            case Card():
                return self._again(begun, actor)
            case Begun():
                return self._go_on(begun, actor)

    def resume(self, serial: str, *, actor: Actor) -> CardListing:
        """Go on with a card that is not issued yet: one that has failed, that was cancelled, or
        whose process has ended.

        Raises CardNotFound, NotAllowed, UserClosed, what making keys raises, and IllegalCardChange
        for any other card, or while somebody works on it.
        """
        with acting.changing(self.database, actor, self.clock()) as by:
            card = by.card(serial, Right.ISSUE)
            begun = self._take(by.connection, card, actor)
        if begun is None:
            raise IllegalCardChange(f"card {serial} is being issued: look again in a minute")
        return self._go_on(begun, actor)

    def cancel(self, serial: str, *, actor: Actor) -> CardListing:
        """Give up a card that is not issued yet, and destroy what was made for it. Raises
        CardNotFound, NotAllowed, IllegalCardChange.
        """
        now = self.clock()
        with acting.changing(self.database, actor, now) as by:
            connection, card = by.connection, by.card(serial, Right.ISSUE)
            topics = move_card(connection, card, CardEvent.CANCEL, now, actor)
            orders.leave(connection, card.id, "")
            listing = listing_of(connection, cards.named(connection, serial))
        self.wake(topics)
        return listing

    def go_on(self) -> int:
        """Go on with cards whose processes have ended; returns with how many. To be called every
        second.
        """
        with self.database.read() as connection:
            now = self.clock()
            due = [
                each
                for each in orders.under_way(connection)
                if each.lease_time is not None and each.lease_time <= now
            ]
        for order in due[:MOST_AT_ONCE]:
            with self.database.write() as connection:
                begun = self._next_turn(connection, order)
            if begun is not None:
                try:
                    self._go_on(begun, KEYSTORE)
                except KeystoreError as error:
                    log.warning("a card was not issued", card=order.card_id, reason=str(error))
        return len(due)

    def _ordered(self, order: Order, there: There, actor: Actor) -> Begun | Card:
        for _ in range(SERIAL_DRAWS - 1):
            # If another card has the number, the next turn draws another one.
            with suppress(IntegrityError):
                return self._order(order, there, actor)
        return self._order(order, there, actor)

    def _order(self, order: Order, there: There, actor: Actor) -> Begun | Card:
        """Write down which card is to be made, unless it is there already."""
        now = self.clock()
        card = making.new_card(order, now, self.random)
        with acting.changing(self.database, actor, now) as by:
            connection = by.connection
            _allowed(by, order.user_id, order.organisation_id)
            if (made := there(connection)) is not None:
                return made
            user = people.present(connection, order.user_id)
            choosing.check(connection, order, user, now)
            cards.add(connection, card, order.request_id, [])
            process, lease = self.spares.process, now + LEASE_TIME
            own = CardOrder(card.id, actor, order.why, process=process, lease_time=lease)
            orders.add(connection, own)
            plan = self.spares.plan(connection, card.id, making.algorithms(order.profile))
            said: dict[str, Detail] = {"serial": card.serial, "profile": card.profile}
            said |= choosing.keep(connection, order, card)
            begun = entries.about_card(Kind.CARD_ORDERED, card, now, actor, said)
            journal.append(connection, begun)
        return Begun(card, user, own, plan)

    def _again(self, card: Card, actor: Actor) -> CardListing:
        """A card that was ordered before, after going on with it if nobody does."""
        with self.database.read() as connection:
            order = orders.find(connection, card.id)
            listing = listing_of(connection, card)
        failed = card.state is CardState.FAILED
        left = card.state is CardState.ISSUING and order is not None and self._is_left(order)
        return self.resume(card.serial, actor=actor) if failed or left else listing

    def _is_left(self, order: CardOrder) -> bool:
        return order.lease_time is None or order.lease_time <= self.clock()

    def _take(self, connection: Connection, card: Card, actor: Actor) -> Begun | None:
        """Begin the next turn of a card that is not issued yet; None if somebody works on it."""
        now, order = self.clock(), orders.find(connection, card.id)
        if card.state not in UNISSUED:
            raise IllegalCardChange(f"card {card.serial} is {card.state}: it is issued")
        if order is None:
            raise IllegalCardChange(f"card {card.serial} waits for its certificates")
        if card.state is CardState.ISSUING and not self._is_left(order):
            return None
        if card.state is CardState.CANCELLED and card.replaces_id is not None:
            other = cards.in_place_of(connection, card.replaces_id)
            if other is not None:
                raise IllegalCardChange(f"card {other.serial} is in its place")
        user = people.present(connection, card.user_id)
        cards.move(connection, card.id, CardEvent.RETRY)
        profile = custom_profiles.made_of(connection, card)
        later = replace(card, state=CardState.ISSUING, expire_time=making.end_of(profile, now))
        cards.prolong(connection, later)
        self.spares.end_of_card(connection, card.id)
        taken = orders.take(connection, order, self.spares.process, now + LEASE_TIME)
        plan = self.spares.plan(connection, card.id, making.algorithms(profile))
        said: dict[str, Detail] = {"before": card.state.value, "turn": taken.turn}
        journal.append(connection, entries.about_card(Kind.CARD_ORDERED, card, now, actor, said))
        return Begun(later, user, taken, plan)

    def _next_turn(self, connection: Connection, order: CardOrder) -> Begun | None:
        """The next turn of an order whose process has ended; None if there is none."""
        card, present = (
            cards.find(connection, order.card_id),
            orders.find(connection, order.card_id),
        )
        if present != order or card is None:
            return None
        if card.state is not CardState.ISSUING:
            orders.leave(connection, card.id, "")
            return None
        if order.turn >= MOST_TURNS:
            self._stop(connection, card, order, TURNS_OVER, CardEvent.FAIL)
            return None
        return self._take(connection, card, KEYSTORE)

    def _go_on(self, begun: Begun, actor: Actor) -> CardListing:
        """Make what was ordered. If that fails, the card has failed."""
        try:
            with self.spares.made(begun.plan) as fresh:
                listing, topics = self._complete(begun, fresh, actor)
        except KeyBackendUnavailable as error:
            self._fail(begun, error)
            serial = begun.card.serial
            raise type(error)(
                f"{error}; card {serial} has failed: then resume it (cloudcard ra card resume "
                f"{serial}), or cancel it"
            ) from error
        except Exception as error:
            self._fail(begun, error)
            raise
        self.wake(topics)
        return listing

    def _complete(
        self, begun: Begun, fresh: Fresh, actor: Actor
    ) -> tuple[CardListing, Sequence[str]]:
        card, user, now = begun.card, begun.user, self.clock()
        profile = PROFILES[card.profile]
        certifying = Certifying(self.authorities, self.published)
        with self.database.read() as connection:
            other = external.of_new_card(connection, card)
        keys = certifying.keys(card, user, fresh.keys, now, certify=other is None)
        # What another authority certifies is completed when that has answered.
        asked = requests(card, user, keys, other, self.spares.custody) if other else []
        objects = {} if other else contents.build(card, user, keys, self.authorities, now)
        first = self.passcodes.factory(card.id) if profile.factory_passcodes else {}
        with acting.changing(self.database, actor, now) as by:
            connection = by.connection
            _allowed(by, card.user_id, card.organisation_id)
            people.present(connection, card.user_id)
            own = orders.end(connection, card.id, begun.order.turn)
            waits = other is not None and _is_issuing(connection, card)
            if not own or not (waits or cards.move(connection, card.id, CardEvent.COMPLETE)):
                raise IllegalCardChange(
                    f"card {card.serial} was cancelled meanwhile, or somebody else goes on with it"
                )
            self.spares.keep(connection, fresh)
            for key in keys:
                cards.add_key(connection, key)
            csrs.add(connection, asked)
            recording.record(connection, keys)
            self.data_objects.add(connection, card.id, objects)
            for key_ref, hashed in first.items():
                passcodes.put(connection, card.id, key_ref, hashed, TRIES, factory=True)
            if first:
                cards.move(connection, card.id, CardEvent.ACTIVATE)
            if profile.management is not None:
                secret = factory_key(profile.management)
                put_key(connection, card, profile.management, secret, self.seal)
            made = cards.named(connection, card.serial)
            told = entries.about_card(
                Kind.CARD_ISSUED, made, now, actor, _issued(made, keys, begun.order, actor)
            )
            journal.append(connection, told)
            if made.state is CardState.PENDING:
                outbox.about_card(connection, Template.CARD_ISSUED, made, now, made.id)
            else:
                accounts.complete(connection, made.user_id, now)
            topics = replaced(connection, made, begun.order.why, now, actor)
            return listing_of(connection, made), topics

    def _fail(self, begun: Begun, error: Exception) -> None:
        """Write down why a card was not made. What cannot be made with other input is given up."""
        card, order = begun.card, begun.order
        cause = str(error) if isinstance(error, KeystoreError) else FAILED
        event = CardEvent.CANCEL if isinstance(error, InvalidInput) else CardEvent.FAIL
        # If the database is away, the keystore goes on when it is back, or the lease is over.
        with suppress(StorageUnavailable), self.database.write() as connection:
            if isinstance(error, StorageUnavailable):
                orders.release(connection, [card.id], self.clock())
            else:
                self._stop(connection, card, order, cause, event)

    def _stop(
        self, connection: Connection, card: Card, order: CardOrder, cause: str, event: CardEvent
    ) -> None:
        if not orders.leave(connection, card.id, cause, order.turn):
            return
        self.spares.end_of_card(connection, card.id)
        if cards.move(connection, card.id, event):
            kind = Kind.CARD_FAILED if event is CardEvent.FAIL else Kind.CARD_CANCELLED
            said = {"reason": cause}
            told = entries.about_card(kind, card, self.clock(), KEYSTORE, said)
            journal.append(connection, told)


def _allowed(by: Acting, user_id: str, organisation_id: str) -> tuple[User, str]:
    """The holder of a card to be, and the organisation for which it is; raises UserNotFound,
    OrganisationNotFound, NotAllowed.
    """
    user = by.user(user_id, Right.ISSUE)
    return user, by.place(Right.ISSUE, organisation_id or user.organisation_id)


def _is_issuing(connection: Connection, card: Card) -> bool:
    return cards.named(connection, card.serial).state is CardState.ISSUING


def _issued(
    card: Card, keys: Sequence[HeldKey], order: CardOrder, actor: Actor
) -> dict[str, Detail]:
    """What the journal tells of a new card, so that an auditor knows the card of each key."""
    details: dict[str, Detail] = {
        "profile": card.profile,
        "organisation": card.organisation_id,
        "serial": card.serial,
        "state": card.state.value,
        **{f"key_{key.key_ref:02X}": key.id for key in keys},
    }
    if card.replaces_id is not None:
        details["replaces"] = card.replaces_id
    if order.actor != actor:
        details["ordered_by"] = order.actor.id or str(order.actor)
    return details

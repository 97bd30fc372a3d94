"""Issuing a card: its keys, its certificates, its data objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from card_os.piv.algorithms import SUITE_ALGORITHM
from card_os.piv.names import Algorithm, KeyRef
from card_os.piv.sizes import TRIES
from cloud_keystore.audit import acting, entries, journal
from cloud_keystore.audit.acting import Acting
from cloud_keystore.cards import contents
from cloud_keystore.cards.life import CardListing, listing_of
from cloud_keystore.cards.renewal import new_guid
from cloud_keystore.cards.spares import NewKey, Spares
from cloud_keystore.custody.credentials.data_objects import DataObjects
from cloud_keystore.custody.credentials.management_keys import put_key
from cloud_keystore.custody.credentials.passcodes import Passcodes
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.cards import Card, CardState, HeldKey, Key
from cloud_keystore.model.certificates import NOWHERE, Published
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.errors import RequestIdReused
from cloud_keystore.model.fields.request_ids import REUSED, check_request_id
from cloud_keystore.model.journal import Detail, Entry, Kind
from cloud_keystore.model.management_keys import factory_key
from cloud_keystore.model.outbox.notifications import Template
from cloud_keystore.model.people import User
from cloud_keystore.model.profiles import PROFILES, CardProfile, KeyTemplate, profile_named
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.pki import certificates, cvc
from cloud_keystore.pki.issuers import Authorities
from cloud_keystore.pki.revocation import recording
from cloud_keystore.storage import cards, passcodes, people
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.outbox import notifications as outbox

SERIAL_DIGITS = 16
SERIAL_DRAWS = 3


There: TypeAlias = Callable[[Connection], Card | None]
Then: TypeAlias = Callable[[Connection, Card], None]


@dataclass(frozen=True, slots=True)
class Order:
    """Which card to make."""

    request_id: bytes
    user_id: str
    profile: CardProfile
    organisation_id: str
    replaces_id: str | None = None


def nothing_more(_connection: Connection, _card: Card) -> None:
    """Leave a new card as it is."""


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
        """Make a card in one transaction, so that a crash leaves no part of it. Without an
        organisation, it is issued for that of its holder; else the actor needs the right in both.

        Where no profile is named, it is the user's own. A repeated call with the same request id
        returns the card that was made before. Raises UserNotFound, UserClosed,
        OrganisationNotFound, NotAllowed, RequestIdReused, InvalidInput.
        """
        check_request_id(request_id)
        with acting.looking(self.database, actor, self.clock()) as by:
            user, organisation_id = _allowed(by, user_id, organisation_id)
        profile = profile_named(profile_name or user.profile)
        order = Order(request_id, user_id, profile, organisation_id)

        def there(connection: Connection) -> Card | None:
            made = cards.find_by_request(connection, request_id)
            if made is not None:
                _check_same(made, order)
            return made

        return self.make(order, there, actor)

    def make(
        self, order: Order, there: There, actor: Actor, then: Then = nothing_more
    ) -> CardListing:
        """Make a card as ordered, and do `then` with it in the same transaction, unless it is
        `there` already. Raises UserNotFound, UserClosed, OrganisationNotFound, NotAllowed, and what
        `there` and `then` raise.
        """
        with acting.looking(self.database, actor, self.clock()) as by:
            _allowed(by, order.user_id, order.organisation_id)
            if (made := there(by.connection)) is not None:
                return listing_of(by.connection, made)
            user = people.present(by.connection, order.user_id)
        for _ in range(SERIAL_DRAWS - 1):
            # If another card has the number, the next turn draws another one.
            with suppress(IntegrityError):
                return self._make(order, user, there, actor, then)
        return self._make(order, user, there, actor, then)

    def _make(
        self, order: Order, user: User, there: There, actor: Actor, then: Then
    ) -> CardListing:
        profile, card = order.profile, self._new_card(order)
        keys = self._new_keys(profile, card, user)
        objects = contents.build(card, user, keys, self.authorities, card.create_time)
        first = self.passcodes.factory(card.id) if profile.factory_passcodes else {}
        with acting.changing(self.database, actor, self.clock()) as by:
            connection = by.connection
            _allowed(by, order.user_id, order.organisation_id)
            if (made := there(connection)) is not None:
                return listing_of(connection, made)
            people.present(connection, user.id)
            cards.add(connection, card, order.request_id, keys)
            recording.record(connection, keys)
            self.data_objects.add(connection, card.id, objects)
            for key_ref, hashed in first.items():
                passcodes.put(connection, card.id, key_ref, hashed, TRIES, factory=True)
            if profile.management is not None:
                key = factory_key(profile.management)
                put_key(connection, card, profile.management, key, self.seal)
            journal.append(connection, _issued(card, keys, actor))
            if card.state is CardState.PENDING:
                at = card.create_time
                outbox.about_card(connection, Template.CARD_ISSUED, card, at, card.id)
            then(connection, card)
            return listing_of(connection, card)

    def _new_card(self, order: Order) -> Card:
        profile, now = order.profile, self.clock()
        digits = SERIAL_DIGITS - len(profile.serial_prefix)
        number = int.from_bytes(self.random(16)) % 10**digits
        return Card(
            id=new_id(now, self.random),
            serial=f"{profile.serial_prefix}{number:0{digits}}",
            guid=new_guid(self.random),
            user_id=order.user_id,
            profile=profile.name,
            state=CardState.ACTIVE if profile.factory_passcodes else CardState.PENDING,
            create_time=now,
            expire_time=_whole_second(now) + timedelta(days=profile.validity_days),
            organisation_id=order.organisation_id,
            replaces_id=order.replaces_id,
        )

    def _new_keys(self, profile: CardProfile, card: Card, user: User) -> list[HeldKey]:
        made = self.spares.new([template.algorithm for template in profile.keys])
        keys = [
            self._certified(template, card, user, new)
            for template, new in zip(profile.keys, made, strict=True)
        ]
        if profile.secure_messaging is not None:
            algorithm = SUITE_ALGORITHM[profile.secure_messaging]
            [new] = self.spares.new([algorithm])
            certificate = cvc.issue(
                algorithm, new.made.public_der, card.guid, self.authorities.of_cards(profile)
            )
            keys.append(_key(new, card, KeyRef.SECURE_MESSAGING, algorithm, certificate))
        return keys

    def _certified(self, template: KeyTemplate, card: Card, user: User, new: NewKey) -> HeldKey:
        profile = PROFILES[card.profile]
        certificate = certificates.issue(
            template.certificate,
            new.made.public,
            certificates.Subject(card, user),
            self.authorities.of_cards(profile).cards,
            card.create_time,
            NOWHERE if profile.developer else self.published,
        )
        return _key(new, card, template.key_ref, template.algorithm, certificate)


def _allowed(by: Acting, user_id: str, organisation_id: str) -> tuple[User, str]:
    """The holder of a card to be, and the organisation for which it is; raises UserNotFound,
    OrganisationNotFound, NotAllowed.
    """
    user = by.user(user_id, Right.ISSUE)
    return user, by.place(Right.ISSUE, organisation_id or user.organisation_id)


def _check_same(made: Card, order: Order) -> None:
    """Raise RequestIdReused unless a card is the one that is asked for with its request id."""
    asked = (order.user_id, order.profile.name, order.organisation_id)
    if (made.user_id, made.profile, made.organisation_id) != asked:
        raise RequestIdReused(REUSED)


def _issued(card: Card, keys: Sequence[Key], actor: Actor) -> Entry:
    """Make the entry from which an auditor knows the card of a key."""
    details: dict[str, Detail] = {
        "profile": card.profile,
        "organisation": card.organisation_id,
        "serial": card.serial,
        "state": card.state.value,
        **{f"key_{key.key_ref:02X}": key.id for key in keys},
    }
    if card.replaces_id is not None:
        details["replaces"] = card.replaces_id
    return entries.about_card(Kind.CARD_ISSUED, card, card.create_time, actor, details)


def _key(
    new: NewKey, card: Card, key_ref: int, algorithm: Algorithm, certificate: bytes
) -> HeldKey:
    return HeldKey(
        id=new.id,
        card_id=card.id,
        key_ref=key_ref,
        algorithm=algorithm,
        certificate=certificate,
        create_time=card.create_time,
        public_key=new.made.public_der,
        private=new.made.private,
    )


def _whole_second(now: datetime) -> datetime:
    # Times in certificates have no fractions of a second.
    return now.replace(microsecond=0)

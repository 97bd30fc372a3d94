"""Renewing a card before it ends, or after: the same card and passcode, with new keys and
certificates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from sqlalchemy import Connection

from card_os.piv.names import RETIRED, KeyRef
from cloud_keystore.audit import acting
from cloud_keystore.cards import renewed
from cloud_keystore.cards.expiring import signs_until
from cloud_keystore.cards.external import renewing
from cloud_keystore.cards.life import CardListing, listing_of
from cloud_keystore.cards.renewal import Renewal
from cloud_keystore.cards.spares import Fresh, NewKey, Spares
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.cards import (
    CARD_TRANSITIONS,
    RENEWED_BEFORE,
    Card,
    CardEvent,
    HeldKey,
    Key,
)
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import IllegalCardChange
from cloud_keystore.model.pki.external import Csr, Standing
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.notify.wakeups import Wake
from cloud_keystore.storage import cards, people
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.issuing import csrs, custom_profiles, external


@dataclass(frozen=True, slots=True)
class Prolonged:
    """A card that was renewed, or would be: `end` is its new end. No references: nothing changes,
    because it was renewed before, or because `waiting` keys have no certificates yet of the
    external authority that certifies the card: it stays as it is until they do.
    """

    listing: CardListing
    end: datetime  # at the latest, if an external authority says when
    renewed: tuple[int, ...]  # references of the keys that are new
    retired: int | None  # the reference under which the key management key of before is kept
    authority: str = ""  # the external one; empty for the keystore's own
    waiting: tuple[int, ...] = ()  # references


class Reach(NamedTuple):
    """A transaction, and how a card is found in it by whoever may renew it."""

    connection: Connection
    card: Callable[[str], Card]


class Renewer(Protocol):
    """Who renews a card, and in which transactions. A card that is not theirs is not there."""

    @property
    def actor(self) -> Actor:
        """Whom the journal names."""

    def looking(self) -> AbstractContextManager[Reach]:
        """A transaction in which it is found out what is to be done."""

    def changing(self) -> AbstractContextManager[Reach]:
        """A transaction in which it is done."""


@dataclass(frozen=True, slots=True)
class _ByOperator:
    """An operator, who needs the right to issue."""

    database: Database
    clock: Clock
    actor: Actor

    @contextmanager
    def looking(self) -> Iterator[Reach]:
        """A transaction of the operator's."""
        with acting.looking(self.database, self.actor, self.clock()) as by:
            yield Reach(by.connection, lambda serial: by.card(serial, Right.ISSUE))

    @contextmanager
    def changing(self) -> Iterator[Reach]:
        """A transaction of the operator's, in which something changes."""
        with acting.changing(self.database, self.actor, self.clock()) as by:
            yield Reach(by.connection, lambda serial: by.card(serial, Right.ISSUE))


@dataclass(frozen=True, slots=True)
class Prolonging:
    """Renews cards."""

    database: Database
    clock: Clock
    spares: Spares
    renewal: Renewal
    wake: Wake

    def foresee(self, serial: str, *, actor: Actor) -> Prolonged:
        """What renewing a card would change; raises CardNotFound, NotAllowed, IllegalCardChange."""
        return self.foreseen(serial, self._operator(actor))

    def foreseen(self, serial: str, who: Renewer) -> Prolonged:
        """The same for whoever may renew it."""
        with who.looking() as by:
            connection, card = by.connection, by.card(serial)
            if waiting := csrs.of_card(connection, card.id, Standing.NEXT):
                return _waits(connection, card, waiting)
            keys, authority = self._due(connection, card), _authority(connection, card)
            retires = any(key.key_ref == KeyRef.KEY_MANAGEMENT for key in keys)
            retired = self.renewal.place_for_retired(connection, card) if retires else None
            listing, end = listing_of(connection, card), self._end(connection, card)
        return Prolonged(listing, end, tuple(key.key_ref for key in keys), retired, authority)

    def renew(self, serial: str, known_end: datetime | None, *, actor: Actor) -> Prolonged:
        """Renew a card in one transaction. If it ends later than the caller knows, it was renewed
        meanwhile, and stays as it is: so a call can be repeated. If an external authority certifies
        it, that is asked, and the card is renewed when all has come.

        Raises CardNotFound, NotAllowed, and IllegalCardChange unless the card is in use and ends
        within RENEWED_BEFORE, or has ended.
        """
        return self.renewed(serial, known_end, self._operator(actor))

    def renewed(self, serial: str, known_end: datetime | None, who: Renewer) -> Prolonged:
        """The same for whoever may renew it."""
        with who.looking() as by:
            connection, card = by.connection, by.card(serial)
            if known_end is not None and known_end < card.expire_time:
                return _unchanged(connection, card)
            if waiting := csrs.of_card(connection, card.id, Standing.NEXT):
                return _waits(connection, card, waiting)
            due, authority = self._due(connection, card), _authority(connection, card)
        with self.spares.new(card.id, [key.algorithm for key in due]) as fresh:
            if authority:
                return self._begun(card, due, fresh, authority, who)
            return self._renewed(card, due, fresh, who)

    def _operator(self, actor: Actor) -> Renewer:
        return _ByOperator(self.database, self.clock, actor)

    def _begun(
        self, card: Card, due: Sequence[Key], fresh: Fresh, authority: str, who: Renewer
    ) -> Prolonged:
        made = [self._key(key, new) for key, new in zip(due, fresh.keys, strict=True)]
        with self.database.read() as connection:
            user = people.holder(connection, card)
            asked = {each.key_id: each for each in csrs.of_card(connection, card.id)}
        before = {key.key_ref: key for key in due}
        wanted = renewing.requests(card, user, before, made, asked, self.spares.custody)
        now = self.clock()
        with who.changing() as by:
            connection, present = by.connection, by.card(card.serial)
            if present.expire_time > card.expire_time:
                return _unchanged(connection, present)
            if waiting := csrs.of_card(connection, card.id, Standing.NEXT):
                return _waits(connection, present, waiting)
            # What is asked for has the names of the keys that are there.
            if self._due(connection, present) != due:
                raise IllegalCardChange(f"card {card.serial} was changed meanwhile: try again")
            self.spares.keep(connection, fresh)
            renewing.begin(connection, present, made, wanted, authority, now, who.actor)
            return _waits(connection, present, wanted)

    def _renewed(self, card: Card, due: Sequence[Key], fresh: Fresh, who: Renewer) -> Prolonged:
        serial = card.serial
        made = [self._key(key, new) for key, new in zip(due, fresh.keys, strict=True)]
        with who.changing() as by:
            connection, present = by.connection, by.card(serial)
            if present.expire_time > card.expire_time:
                return _unchanged(connection, present)
            if not cards.move(connection, card.id, CardEvent.RENEW):
                raise renewed.out_of_use(present)
            now = self.clock()
            self.spares.keep(connection, fresh)
            withdrawn = renewed.close(connection, card, now)
            changes = self.renewal.prolong(connection, present, made, self._end(connection, card))
            after = renewed.tell(connection, card, changes, now, who.actor)
            listing = listing_of(connection, after)
        self.wake([card.user_id, *withdrawn])
        retired = next((each for each in changes.keys if each in RETIRED), None)
        return Prolonged(listing, after.expire_time, tuple(key.key_ref for key in made), retired)

    def _due(self, connection: Connection, card: Card) -> list[Key]:
        """The keys that get successors. Raises IllegalCardChange if it is too early, or the card is
        out of use.
        """
        if (card.state, CardEvent.RENEW) not in CARD_TRANSITIONS:
            raise renewed.out_of_use(card)
        keys = cards.keys(connection, card.id)
        ends = [end for key in keys if key.key_ref not in RETIRED and (end := signs_until(key))]
        begin = min(card.expire_time, *ends, card.expire_time) - RENEWED_BEFORE
        if self.clock() < begin:
            raise IllegalCardChange(
                f"card {card.serial} can be renewed from {begin:%Y-%m-%d} on: it does not end soon"
            )
        templates = {each.key_ref for each in PROFILES[card.profile].keys}
        # What an administrator has put on the card is the administrator's.
        due = [key for key in keys if key.key_ref in templates and key.certificate]
        asked = {each.key_id: each for each in csrs.of_card(connection, card.id)}
        if not asked:
            return due
        due = [key for key in due if key.id in asked]
        if not due:
            raise IllegalCardChange(
                f"card {card.serial} has no key any longer that its authority has certified: "
                "replace it"
            )
        renewing.check_names(connection, card, people.holder(connection, card), due, asked)
        if any(key.key_ref == KeyRef.KEY_MANAGEMENT for key in due):
            self.renewal.place_for_retired(connection, card)
        return due

    def _end(self, connection: Connection, card: Card) -> datetime:
        days = custom_profiles.made_of(connection, card).validity_days
        return self.clock().replace(microsecond=0) + timedelta(days=days)

    def _key(self, before: Key, new: NewKey) -> HeldKey:
        return HeldKey(
            id=new.id,
            card_id=before.card_id,
            key_ref=before.key_ref,
            algorithm=before.algorithm,
            certificate=b"",
            create_time=self.clock(),
            public_key=new.made.public_der,
            private=new.made.private,
        )


def _unchanged(connection: Connection, card: Card) -> Prolonged:
    return Prolonged(listing_of(connection, card), card.expire_time, (), None)


def _waits(connection: Connection, card: Card, asked: Sequence[Csr]) -> Prolonged:
    """A card whose next keys wait for certificates, of those that were asked for."""
    keys = (cards.find_key(connection, each.key_id) for each in asked if not each.certificate)
    waiting = tuple(sorted(key.key_ref for key in keys if key is not None))
    authority = external.of(connection, asked[0]).name
    return Prolonged(listing_of(connection, card), card.expire_time, (), None, authority, waiting)


def _authority(connection: Connection, card: Card) -> str:
    """The external authority that certifies a card; empty if the keystore does."""
    asked = csrs.of_card(connection, card.id)
    return external.of(connection, asked[0]).name if asked else ""

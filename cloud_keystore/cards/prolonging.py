"""Renewing a card before it ends, or after: the same card and passcode, with new keys and
certificates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from card_os.piv.names import RETIRED, KeyRef
from cloud_keystore.audit import acting, entries, journal
from cloud_keystore.cards.expiring import signs_until
from cloud_keystore.cards.life import CardListing, listing_of
from cloud_keystore.cards.renewal import Changes, Renewal
from cloud_keystore.cards.spares import Fresh, NewKey, Spares
from cloud_keystore.custody.use.closing import end_sessions, withdraw
from cloud_keystore.model.actors import KEYSTORE, Actor
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
from cloud_keystore.model.journal import Detail, Entry, Kind
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.notify.wakeups import Wake
from cloud_keystore.storage import cards, operations, passcodes
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.issuing import csrs, custom_profiles
from cloud_keystore.storage.sessions import Which

WHY = "card renewed"


@dataclass(frozen=True, slots=True)
class Prolonged:
    """A card that was renewed, or would be: `end` is its new end. No references: nothing changes,
    because it was renewed before.
    """

    listing: CardListing
    end: datetime
    renewed: tuple[int, ...]  # references of the keys that are new
    retired: int | None  # the reference under which the key management key of before is kept


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
        with acting.looking(self.database, actor, self.clock()) as by:
            connection, card = by.connection, by.card(serial, Right.ISSUE)
            keys = self._due(connection, card)
            retires = any(key.key_ref == KeyRef.KEY_MANAGEMENT for key in keys)
            retired = self.renewal.place_for_retired(connection, card) if retires else None
            listing, end = listing_of(connection, card), self._end(connection, card)
        return Prolonged(listing, end, tuple(key.key_ref for key in keys), retired)

    def renew(self, serial: str, known_end: datetime | None, *, actor: Actor) -> Prolonged:
        """Renew a card in one transaction. If it ends later than the caller knows, it was renewed
        meanwhile, and stays as it is: so a call can be repeated.

        Raises CardNotFound, NotAllowed, and IllegalCardChange unless the card is in use and ends
        within RENEWED_BEFORE, or has ended.
        """
        with acting.looking(self.database, actor, self.clock()) as by:
            connection, card = by.connection, by.card(serial, Right.ISSUE)
            if known_end is not None and known_end < card.expire_time:
                return _unchanged(connection, card)
            due = self._due(connection, card)
        with self.spares.new(card.id, [key.algorithm for key in due]) as fresh:
            return self._renewed(card, due, fresh, actor)

    def _renewed(self, card: Card, due: Sequence[Key], fresh: Fresh, actor: Actor) -> Prolonged:
        serial = card.serial
        made = [self._key(key, new) for key, new in zip(due, fresh.keys, strict=True)]
        with acting.changing(self.database, actor, self.clock()) as by:
            connection, present = by.connection, by.card(serial, Right.ISSUE)
            if present.expire_time > card.expire_time:
                return _unchanged(connection, present)
            if not cards.move(connection, card.id, CardEvent.RENEW):
                raise _out_of_use(present)
            now = self.clock()
            self.spares.keep(connection, fresh)
            withdrawn = self._close(connection, card, now)
            changes = self.renewal.prolong(connection, present, made, self._end(connection, card))
            after = cards.named(connection, serial)
            journal.append(connection, *_told(card, after, changes, now, actor))
            listing = listing_of(connection, after)
        self.wake([card.user_id, *withdrawn])
        retired = next((each for each in changes.keys if each in RETIRED), None)
        return Prolonged(listing, after.expire_time, tuple(key.key_ref for key in made), retired)

    def _due(self, connection: Connection, card: Card) -> list[Key]:
        """The keys that get successors. Raises IllegalCardChange if it is too early, or the card is
        out of use.
        """
        if (card.state, CardEvent.RENEW) not in CARD_TRANSITIONS:
            raise _out_of_use(card)
        if csrs.of_card(connection, card.id):
            raise IllegalCardChange(
                f"card {card.serial} has certificates of another authority: replace it by a card "
                "with new ones"
            )
        keys = cards.keys(connection, card.id)
        ends = [end for key in keys if key.key_ref not in RETIRED and (end := signs_until(key))]
        begin = min(card.expire_time, *ends, card.expire_time) - RENEWED_BEFORE
        if self.clock() < begin:
            raise IllegalCardChange(
                f"card {card.serial} can be renewed from {begin:%Y-%m-%d} on: it does not end soon"
            )
        templates = {each.key_ref for each in PROFILES[card.profile].keys}
        # What an administrator has put on the card is the administrator's.
        return [key for key in keys if key.key_ref in templates and key.certificate]

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

    def _close(self, connection: Connection, card: Card, now: datetime) -> list[str]:
        """End what uses the keys of before. The card stays in its readers, which fetch it again."""
        passcodes.drop_proofs(connection, card.id)
        end_sessions(connection, now, KEYSTORE, WHY, Which(card_id=card.id))
        waiting = operations.open_of(connection, card.id)
        return withdraw(connection, waiting, now, KEYSTORE, WHY)


def _unchanged(connection: Connection, card: Card) -> Prolonged:
    return Prolonged(listing_of(connection, card), card.expire_time, (), None)


def _out_of_use(card: Card) -> IllegalCardChange:
    return IllegalCardChange(f"card {card.serial} is {card.state}: it cannot renew")


def _told(card: Card, renewed: Card, changes: Changes, now: datetime, actor: Actor) -> list[Entry]:
    """The entries from which an auditor knows what has become of each key."""

    def about(kind: Kind, **said: Detail) -> Entry:
        return entries.about_card(kind, card, now, actor, said)

    told = [
        about(Kind.KEY_MOVED, key_ref=f"{KeyRef.KEY_MANAGEMENT:02X}", to=f"{key_ref:02X}")
        for key_ref in changes.keys
        if key_ref in RETIRED
    ]
    told += [
        about(Kind.KEY_MADE, key_ref=f"{key_ref:02X}", algorithm=key.algorithm.name, key=key.id)
        for key_ref, key in changes.keys.items()
        if isinstance(key, HeldKey)
    ]
    ends = {"old_end": card.expire_time.isoformat(), "end": renewed.expire_time.isoformat()}
    return [about(Kind.CARD_RENEWED, **ends), *told]

"""The life of a card once it is issued: listed, unlocked, suspended, resumed, revoked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from card_os.piv.names import KeyRef
from cloud_keystore.audit import journal
from cloud_keystore.custody.backends import destroying
from cloud_keystore.custody.use.closing import KEYSTORE, close_card
from cloud_keystore.model.cards import Card, CardEvent, Key
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import (
    CardNotFound,
    IllegalCardChange,
)
from cloud_keystore.model.journal import Event, Kind
from cloud_keystore.model.people import LONGEST_DISPLAY_NAME, Identity, User, text_field
from cloud_keystore.notify.wakeups import Wake
from cloud_keystore.storage import cards, passcodes, people
from cloud_keystore.storage.engine import Database

MOVED = {
    CardEvent.SUSPEND: Kind.CARD_SUSPENDED,
    CardEvent.RESUME: Kind.CARD_RESUMED,
    CardEvent.REVOKE: Kind.CARD_REVOKED,
}


@dataclass(frozen=True, slots=True)
class CardEntry:
    """A card with its holder and the state of its passcode."""

    card: Card
    user: User
    tries_left: int | None  # None: no passcode set yet

    @property
    def passcode_state(self) -> str:
        """In a word."""
        return "unset" if self.tries_left is None else "ok" if self.tries_left else "locked"


@dataclass(frozen=True, slots=True)
class Cards:
    """Finds cards, and takes them out of use and back."""

    database: Database
    clock: Clock
    wake: Wake

    def list_all(self) -> list[CardEntry]:
        """All cards, oldest first."""
        with self.database.read() as connection:
            return [entry_of(connection, card) for card in cards.list_all(connection)]

    def list_of(self, device: Identity) -> list[CardEntry]:
        """The cards of a device's holder, oldest first."""
        with self.database.read() as connection:
            found = cards.list_all(connection, device.user_id or "")
            return [entry_of(connection, card) for card in found]

    def find(self, serial: str) -> CardEntry:
        """One card; raises CardNotFound."""
        with self.database.read() as connection:
            return entry_of(connection, find_card(connection, serial))

    def keys(self, serial: str) -> tuple[Key, ...]:
        """A card's keys, without their private parts; raises CardNotFound."""
        with self.database.read() as connection:
            return tuple(cards.keys(connection, find_card(connection, serial).id))

    def unlock(self, serial: str, *, actor: str = KEYSTORE) -> CardEntry:
        """Restore the tries of PIN, PUK and global PIN; the passcodes stay as they are."""
        with self.database.write() as connection:
            card = find_card(connection, serial)
            if passcodes.tries_left(connection, card.id, KeyRef.PIN) is None:
                raise IllegalCardChange(
                    f"card {serial} has no passcode yet: its holder sets it on the device"
                )
            for key_ref in (KeyRef.PIN, KeyRef.PUK, KeyRef.GLOBAL_PIN):
                passcodes.restore_tries(connection, card.id, key_ref)
            now = self.clock()
            journal.append(connection, card_event(Kind.PASSCODE_UNBLOCKED, card, now, actor))
            return entry_of(connection, card)

    def suspend(self, serial: str, *, actor: str = KEYSTORE) -> CardEntry:
        """Take a card out of use; what waits for its holder is withdrawn, its sessions end."""
        return self._move(serial, CardEvent.SUSPEND, "", actor)

    def resume(self, serial: str, *, actor: str = KEYSTORE) -> CardEntry:
        """Put a suspended card back in use. A locked passcode stays locked."""
        return self._move(serial, CardEvent.RESUME, "", actor)

    def revoke(self, serial: str, reason: str, *, actor: str = KEYSTORE) -> CardEntry:
        """Take a card out of use for ever and erase its keys."""
        reason = text_field("reason", reason, LONGEST_DISPLAY_NAME)
        return self._move(serial, CardEvent.REVOKE, reason, actor)

    def _move(self, serial: str, event: CardEvent, reason: str, actor: str) -> CardEntry:
        now = self.clock()
        withdrawn: list[str] = []
        with self.database.write() as connection:
            card = find_card(connection, serial)
            if not cards.move(connection, card.id, event, reason):
                raise IllegalCardChange(
                    f"card {serial} is {card.state}: it cannot {event.name.lower()}"
                )
            details = {"reason": reason} if reason else {}
            journal.append(connection, card_event(MOVED[event], card, now, actor, **details))
            if event in (CardEvent.SUSPEND, CardEvent.REVOKE):
                withdrawn = close_card(connection, card.id, now, actor, event.name.lower())
            if event is CardEvent.REVOKE:
                destroying.destroy_keys(connection, card.id, now)
            entry = entry_of(connection, find_card(connection, serial))
        self.wake([card.user_id, *withdrawn])
        return entry


def find_card(connection: Connection, serial: str) -> Card:
    """One card; raises CardNotFound."""
    card = cards.find_by_serial(connection, serial)
    if card is None:
        raise CardNotFound(f"there is no card {serial}")
    return card


def entry_of(connection: Connection, card: Card) -> CardEntry:
    """A card as listed."""
    user = people.find_user(connection, card.user_id)
    if user is None:
        raise CardNotFound(f"card {card.serial} has no holder")
    return CardEntry(card, user, passcodes.tries_left(connection, card.id, KeyRef.PIN))


def card_event(kind: Kind, card: Card, now: datetime, actor: str, **details: str) -> Event:
    """An entry about a card, its holder's too."""
    return Event(kind, now, actor, card_id=card.id, user_id=card.user_id, details=details)

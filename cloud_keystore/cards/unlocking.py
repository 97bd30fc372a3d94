"""Unlocking a card: an operator asks for it, and the holder's device or a second operator agrees.
So no single person can guess a passcode by unlocking it again and again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from card_os.piv.names import KeyRef
from cloud_keystore.approval import statement
from cloud_keystore.audit import acting, alerts, entries, journal
from cloud_keystore.cards.life import CardListing, listing_of
from cloud_keystore.custody.credentials import accepting, app_pins
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.approval_keys import Passkey
from cloud_keystore.model.cards import Card
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.errors import CardNotFound, IllegalCardChange
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.operations import Assertion
from cloud_keystore.model.outbox.notifications import Template
from cloud_keystore.model.passcodes import UNLOCK_TIME, UNLOCKS_TOLD, Status, Unlock
from cloud_keystore.model.people import Identity
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.notify.wakeups import Wake
from cloud_keystore.storage import cards, passcodes, unlocks
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.outbox import notifications as outbox


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of an operator's wish to unlock a card."""

    listing: CardListing
    expire_time: datetime | None  # until when somebody can agree; None: the card is unlocked


@dataclass(frozen=True, slots=True)
class Unlocking:
    """Restores the tries of PIN, PUK and global PIN; the passcodes do not change, and their
    failures still count.
    """

    database: Database
    clock: Clock
    random: Random
    wake: Wake

    def ask(self, serial: str, *, actor: Actor) -> Asked:
        """Ask for an unlock, or agree to the one for which another operator has asked.

        Raises CardNotFound, NotAllowed, and IllegalCardChange if no passcode is set yet.
        """
        now = self.clock()
        with acting.changing(self.database, actor, now) as by:
            connection, card = by.connection, by.card(serial, Right.UNLOCK)
            if passcodes.find(connection, card.id, KeyRef.PIN) is None:
                raise IllegalCardChange(
                    f"card {serial} has no passcode yet: its holder sets it on the device"
                )
            waiting = unlocks.find(connection, card.id, now)
            if waiting is None:
                waiting = Unlock(new_id(now, self.random), card.id, actor.id, now + UNLOCK_TIME)
                unlocks.put(connection, waiting)
                asked = entries.about_card(Kind.UNLOCK_ASKED, card, now, actor)
                journal.append(connection, asked)
                outbox.about_card(connection, Template.UNLOCK_ASKED, card, now)
            agrees = waiting.asked_by != actor.id
            if agrees:
                self._unlock(connection, card, waiting, now, actor)
            listing = listing_of(connection, card)
        self.wake([card.user_id])
        return Asked(listing, None if agrees else waiting.expire_time)

    def waiting(self, device: Identity) -> tuple[str, ...]:
        """The serial numbers of the cards of a device's holder for whose unlock an operator has
        asked.
        """
        with self.database.read() as connection:
            found = unlocks.of_user(connection, device.user_id or "", self.clock())
            own = [cards.find(connection, each) for each in found]
            return tuple(each.serial for each in own if each is not None)

    def agree(
        self,
        serial: str,
        device: Identity,
        signature: bytes = b"",
        assertion: Assertion | None = None,
    ) -> CardListing:
        """Agree, as the card's holder, to the unlock for which an operator has asked.

        Raises CardNotFound, IllegalCardChange if no operator has asked lately, and ApprovalRejected
        without the PIN that the phone asks for, or without its passkey's answer to this unlock.
        """
        with self.database.write() as connection:
            card = cards.find_by_serial(connection, serial)
            if card is None or card.user_id != device.user_id:
                raise CardNotFound(f"you have no card {serial}")
            now = self.clock()
            waiting = unlocks.find(connection, card.id, now)
            if waiting is None:
                raise IllegalCardChange(
                    f"nobody has asked to unlock card {serial}: ask your registration authority"
                )
            app_pins.check_given(connection, device, serial, now)
            key = accepting.key_of(connection, device)
            if isinstance(key, Passkey):
                signed = statement.unlock(waiting.id)
                accepting.check_answer(connection, device, key, signed, signature, assertion)
            self._unlock(connection, card, waiting, now, device.actor)
            listing = listing_of(connection, card)
        self.wake([card.user_id])
        return listing

    def _unlock(
        self, connection: Connection, card: Card, waiting: Unlock, now: datetime, actor: Actor
    ) -> None:
        for key_ref in (KeyRef.PIN, KeyRef.PUK, KeyRef.GLOBAL_PIN):
            passcodes.unlock(connection, card.id, key_ref)
        passcodes.drop_proofs(connection, card.id)
        unlocks.drop(connection, card.id)
        said = {"asked_by": waiting.asked_by}
        unlocked = entries.about_card(Kind.PASSCODE_UNBLOCKED, card, now, actor, said)
        journal.append(connection, unlocked)
        outbox.about_card(connection, Template.UNLOCKED, card, now)
        status = passcodes.find(connection, card.id, KeyRef.PIN) or Status()
        if status.unlocks >= UNLOCKS_TOLD:
            alerts.repeated_unlocks(connection, card, status.unlocks, now, self.random)

"""Gives out what is to be sent, and takes what became of it. Whoever sends has no key."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog
from sqlalchemy import Connection

from cloud_keystore.audit import alerts
from cloud_keystore.config import Mail
from cloud_keystore.mail.letters import Letter, time_in_words, write
from cloud_keystore.mail.texts import MESSAGES, TEXTS
from cloud_keystore.model.clock import Clock, Random
from cloud_keystore.model.errors import RecordDamaged
from cloud_keystore.model.outbox.media import Medium, medium_of
from cloud_keystore.model.outbox.notifications import (
    CODED,
    INVITATIONS,
    LAST_TRY,
    LINKED,
    MESSAGED,
    Notification,
    Outcome,
    State,
    Template,
    pause,
)
from cloud_keystore.model.people import User, UserState
from cloud_keystore.people.people import People
from cloud_keystore.people.phones import Phones
from cloud_keystore.people.portal.codes import code_of, link_of
from cloud_keystore.storage import people
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.contacts import helping
from cloud_keystore.storage.credentials import phone_codes
from cloud_keystore.storage.credentials.portal import codes as mailed_codes
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.outbox import notifications

log = structlog.get_logger()

PORTION = 10  # letters under one lease
LONGEST_WHY = 500


@dataclass(frozen=True, slots=True)
class Posting:
    """The outbox, as it is emptied."""

    database: Database
    clock: Clock
    random: Random
    people: People
    phones: Phones
    mail: Mail | None  # None: people are told by other media alone

    def take(self) -> Sequence[Letter]:
        """Letters that are due, for the caller alone to send; some of them, if there are many. What
        has come to be of no use is cancelled instead.
        """
        now = self.clock()
        with self.database.read() as connection:
            if not notifications.is_due(connection, now):
                return []
        letters: list[Letter] = []
        # Of many that are of no use, as after weeks out of service, none keeps others waiting.
        while not letters:
            with self.database.write() as connection:
                leased = notifications.lease(connection, now, PORTION)
                letters = self._letters(connection, leased)
            if not leased:
                break
        return letters

    def _letters(self, connection: Connection, leased: Sequence[Notification]) -> list[Letter]:
        """What is to be sent of them; the others are cancelled."""
        letters: list[Letter] = []
        for each in leased:
            letter = self._letter_or_why(connection, each)
            changes: Values
            if isinstance(letter, Letter):
                letters.append(letter)
                changes = {"address": letter.address}
            else:
                changes = {"state": State.CANCELLED, "why": letter, "end_time": self.clock()}
            notifications.move(connection, each, changes)
        return letters

    def tell(self, notification_id: str, tries: int, outcome: Outcome, why: str) -> None:
        """Write down what became of a try; nothing is done if somebody else tries by now."""
        now, why = self.clock(), why[:LONGEST_WHY]
        with self.database.write() as connection:
            known = notifications.find(connection, notification_id)
            if known is None:
                return
            leased = replace(known, tries=tries)
            changes: Values
            match outcome:
                case Outcome.TAKEN:
                    changes = {"state": State.SENT, "why": "", "end_time": now}
                case Outcome.UNTRIED:
                    changes = {"state": State.WAITING, "tries": tries - 1, "next_time": now}
                case Outcome.LATER if tries < LAST_TRY:
                    next_time = now + pause(tries)
                    changes = {"state": State.WAITING, "why": why, "next_time": next_time}
                case _:
                    changes = {"state": State.FAILED, "why": why, "end_time": now}
            moved = notifications.move(connection, leased, changes)
            if moved and changes["state"] is State.FAILED:
                alerts.undelivered(connection, now, self.random)

    def _letter_or_why(self, connection: Connection, leased: Notification) -> Letter | str:
        """The letter, or why there is none: a record that cannot be used keeps no other waiting."""
        try:
            return self._letter(connection, leased)
        except RecordDamaged as damaged:
            log.critical("a record is passed over", record=str(damaged))
            return "a record of it is damaged"
        except (LookupError, ValueError):
            log.exception("a notification could not be written", id=leased.id)
            return "this version of the keystore cannot write it"

    def _letter(self, connection: Connection, leased: Notification) -> Letter | str:
        """The letter, or why it is of no use any more."""
        user = None if leased.user_id is None else people.find_user(connection, leased.user_id)
        address = leased.address if leased.is_fixed else "" if user is None else user.email
        if not address:
            return "there is no e-mail address any more"
        facts: dict[str, str] = json.loads(leased.facts)
        facts["time"] = time_in_words(leased.create_time)
        if user is not None:
            facts["name"] = user.display_name
        medium = medium_of(leased.template)
        if medium is not Medium.EMAIL:
            return self._message(connection, leased, medium, facts)
        if self.mail is None:
            return "this keystore sends no e-mail any more"
        if leased.template in INVITATIONS:
            if user is None or not self._waits(connection, leased, user):
                return "nobody waits for it any more"
            token = self.people.token_of(connection, leased.about)
            if token is None:
                return "the invitation has ended"
            facts |= {"token": token.text, "until": time_in_words(token.expire_time)}
        if leased.template in CODED | LINKED:
            code = mailed_codes.find(connection, leased.about)
            if code is None or not code.is_live(self.clock()) or code.user_id is None:
                return "nobody waits for it any more"
            facts["until"] = time_in_words(code.expire_time)
            if leased.template in LINKED:
                facts["link"] = str(link_of(self.people.seal, code.id))
            else:
                facts["code"] = code_of(self.people.seal, code.id)
        body = write(TEXTS[leased.template], facts, _mail_for(self.mail, connection, user))
        return Letter(leased.id, leased.tries, address, body.subject, body.text, body.html)

    def _message(
        self, connection: Connection, leased: Notification, medium: Medium, facts: dict[str, str]
    ) -> Letter | str:
        """A message to a phone or into a chat."""
        if leased.template is Template.PHONE_CODE:
            code = phone_codes.find(connection, leased.about)
            if code is None or not code.is_live(self.clock()):
                return "nobody waits for it any more"
            facts["code"] = self.phones.code_of(code.id)
            facts["until"] = time_in_words(code.expire_time)
        if leased.template in MESSAGED:
            mailed = mailed_codes.find(connection, leased.about)
            if mailed is None or not mailed.is_live(self.clock()):
                return "nobody waits for it any more"
            facts["code"] = code_of(self.people.seal, mailed.id)
            facts["until"] = time_in_words(mailed.expire_time)
        text = MESSAGES[leased.template].format_map(facts)
        return Letter(leased.id, leased.tries, leased.address, "", text, "", medium)

    def _waits(self, connection: Connection, leased: Notification, user: User) -> bool:
        """Whether a user can still be invited, and reminded only while no phone is enrolled."""
        if user.state is not UserState.ACTIVE:
            return False
        devices = people.list_devices(connection, user.id)
        enrolled = any(each.is_active(self.clock()) for each in devices)
        return leased.template is not Template.REMINDER or not enrolled


def _mail_for(mail: Mail, connection: Connection, user: User | None) -> Mail:
    """What letters to a user say, who is helped by whoever helps in the user's organisation."""
    contact = "" if user is None else helping.contact_of(connection, user.organisation_id)
    return replace(mail, help=contact) if contact else mail

"""Verifies phone numbers: a code is sent to one, and whoever has the phone gives it back. Nothing
is allowed to anybody because of that.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from hmac import compare_digest

from sqlalchemy import Connection

from cloud_keystore.audit import acting, budgets, entries, journal
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.errors import PhoneUnreachable
from cloud_keystore.model.fields.phones import (
    CODE_DIGITS,
    CODE_TIME,
    CODE_TRIES,
    MOST_CODES,
    Confirmation,
    PhoneCode,
)
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.outbox.media import Medium
from cloud_keystore.model.outbox.notifications import Template
from cloud_keystore.model.people import Identity, User
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.storage import people
from cloud_keystore.storage.credentials import phone_codes
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.outbox import notifications as outbox


@dataclass(frozen=True, slots=True)
class Phones:
    """Sends codes and takes them back, for holders and for operators who speak with one."""

    database: Database
    clock: Clock
    random: Random
    seal: Seal = field(repr=False)

    def send(self, user_id: str, *, actor: Actor) -> PhoneCode:
        """Send a code to a user's number. Raises UserNotFound, NotAllowed, UserClosed,
        PhoneUnreachable.
        """
        now = self.clock()
        with acting.changing(self.database, actor, now) as by:
            by.user(user_id, Right.PEOPLE)
            return self._send(by.connection, people.present(by.connection, user_id), actor, now)

    def send_own(self, device: Identity) -> PhoneCode:
        """Send a code to the number of a device's holder. Raises as `send` does."""
        now = self.clock()
        with self.database.write() as connection:
            budgets.check(connection, device.actor, now)
            user = people.present(connection, device.user_id or "")
            return self._send(connection, user, device.actor, now)

    def confirm(self, user_id: str, code: str, *, actor: Actor) -> Confirmation:
        """Take the code that a user has told an operator. Raises UserNotFound, NotAllowed,
        UserClosed, and PhoneUnreachable if none is awaited.
        """
        now = self.clock()
        with acting.changing(self.database, actor, now) as by:
            by.user(user_id, Right.PEOPLE)
            user = people.present(by.connection, user_id)
            return self._confirm(by.connection, user, code, actor, now)

    def confirm_own(self, code: str, device: Identity) -> Confirmation:
        """Take the code that a device's holder has got. Raises as `confirm` does."""
        now = self.clock()
        with self.database.write() as connection:
            budgets.check(connection, device.actor, now)
            user = people.present(connection, device.user_id or "")
            return self._confirm(connection, user, code, device.actor, now)

    def code_of(self, code_id: str) -> str:
        """The digits of a code, once more."""
        drawn = int.from_bytes(self.seal.derive("phone code", code_id.encode()))
        return f"{drawn % 10**CODE_DIGITS:0{CODE_DIGITS}}"

    def _send(self, connection: Connection, user: User, actor: Actor, now: datetime) -> PhoneCode:
        if not user.phone:
            raise PhoneUnreachable(
                "there is no phone number: the registration authority enters it first (cloudcard "
                "ra user edit --phone)"
            )
        if not outbox.tells(connection, Medium.SMS):
            raise PhoneUnreachable(
                "this keystore sends no SMS: its administrator names a gateway (cloudcard serve "
                "--sms-url)"
            )
        for time, most in MOST_CODES.items():
            if phone_codes.count_to(connection, user.phone, now - time) >= most:
                raise PhoneUnreachable(
                    "this number got as many codes as it may for a while: wait an hour, or a day"
                )
        sent = PhoneCode(
            new_id(now, self.random), user.id, user.phone, CODE_TRIES, now, now + CODE_TIME
        )
        phone_codes.add(connection, sent)
        said = {"phone": user.phone}
        told = entries.about_user(Kind.PHONE_CODE_SENT, user, now, actor, said)
        journal.append(connection, told)
        outbox.put(
            connection,
            Template.PHONE_CODE,
            user.id,
            now,
            sent.id,
            address=user.phone,
            about=sent.id,
        )
        return sent

    def _confirm(
        self, connection: Connection, user: User, given: str, actor: Actor, now: datetime
    ) -> Confirmation:
        """The try and what comes of it are one transaction, so that no answer leaves without it."""
        code = phone_codes.spend_try(connection, user.id, now)
        if code is None or code.phone != user.phone:
            raise PhoneUnreachable("no code is awaited: let one be sent first")
        right = compare_digest(self.code_of(code.id).encode(), given.encode())
        said: dict[str, Detail] = {"phone": user.phone, "tries_left": code.tries_left}
        kind = Kind.PHONE_VERIFIED if right else Kind.PHONE_CODE_WRONG
        journal.append(connection, entries.about_user(kind, user, now, actor, said))
        if not right:
            return Confirmation(user.phone, is_verified=False, tries_left=code.tries_left)
        phone_codes.end_all(connection, user.id, now)
        people.change_user(connection, replace(user, phone_verify_time=now))
        return Confirmation(user.phone, is_verified=True)

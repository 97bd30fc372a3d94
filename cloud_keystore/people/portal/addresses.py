"""Verifies e-mail addresses: a code is mailed to one, and its holder gives it back on a phone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from cloud_keystore.audit import entries, journal
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.model.clock import Clock, Random
from cloud_keystore.model.errors import AddressUnreachable
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.outbox.notifications import Template
from cloud_keystore.model.people import Identity
from cloud_keystore.model.portal.codes import Confirmation, MailedCode, Purpose
from cloud_keystore.people.portal import codes
from cloud_keystore.people.portal.knowing import owner
from cloud_keystore.storage import people
from cloud_keystore.storage.credentials.portal import codes as rows
from cloud_keystore.storage.engine import Database


@dataclass(frozen=True, slots=True)
class Addresses:
    """Sends codes to holders' addresses, and takes them back on a phone."""

    database: Database
    clock: Clock
    random: Random
    seal: Seal = field(repr=False)

    def send_own(self, device: Identity) -> MailedCode:
        """Mail a code to the holder of a device. Raises AddressUnreachable, TooManyCalls,
        UserClosed.
        """
        now = self.clock()
        with self.database.write() as connection:
            user = owner(connection, device, now)
            if not user.email:
                raise AddressUnreachable(
                    "there is no e-mail address: the registration authority enters it first "
                    "(cloudcard ra user edit --email)"
                )
            sent = codes.send(
                connection,
                Template.ADDRESS_CODE,
                Purpose.ADDRESS,
                user.id,
                user,
                now,
                self.random,
            )
            said: dict[str, Detail] = {"email": user.email}
            told = entries.about_user(Kind.ADDRESS_CODE_SENT, user, now, device.actor, said)
            journal.append(connection, told)
        return sent

    def confirm_own(self, code: str, device: Identity) -> Confirmation:
        """Take the code that a device's holder has got. Raises AddressUnreachable if none is
        awaited.
        """
        now = self.clock()
        with self.database.write() as connection:
            user = owner(connection, device, now)
            awaited, right = codes.take(
                connection, self.seal, Purpose.ADDRESS, user.id, user, code, now
            )
            if awaited is None or awaited.address != user.email:
                raise AddressUnreachable("no code is awaited: let one be sent first")
            said: dict[str, Detail] = {"email": user.email, "tries_left": awaited.tries_left}
            kind = Kind.ADDRESS_VERIFIED if right else Kind.ADDRESS_CODE_WRONG
            journal.append(connection, entries.about_user(kind, user, now, device.actor, said))
            if right:
                rows.end_all(connection, user.id, Purpose.ADDRESS, now)
                people.change_user(connection, replace(user, email_verify_time=now))
        return Confirmation(user.email, is_verified=right, tries_left=awaited.tries_left)

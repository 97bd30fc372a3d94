"""Verifies e-mail addresses: a code is mailed to one, and its holder gives it back on a phone; or a
link, which puts another address in force.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import Connection

from cloud_keystore.audit import acting, entries, journal
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.model.actors import KEYSTORE, Actor
from cloud_keystore.model.clock import Clock, Random
from cloud_keystore.model.errors import AddressUnreachable, InvalidInput
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.outbox.notifications import Template
from cloud_keystore.model.people import Identity, User, UserState
from cloud_keystore.model.portal.codes import Confirmation, Link, MailedCode, Purpose
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.people.contacts import next_addresses
from cloud_keystore.people.portal import codes
from cloud_keystore.people.portal.knowing import owner
from cloud_keystore.storage import people
from cloud_keystore.storage.credentials.portal import codes as rows
from cloud_keystore.storage.engine import Database

REFUSED = Confirmation("", is_verified=False)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Sends codes and links to holders' addresses, and takes them back."""

    database: Database
    clock: Clock
    random: Random
    seal: Seal = field(repr=False)

    def send_link(self, user_id: str, *, actor: Actor) -> MailedCode:
        """Mail a link to the address that a user is to have, once more; the one before is void.
        Raises UserNotFound, NotAllowed, UserClosed, AddressUnreachable, TooManyCalls.
        """
        now = self.clock()
        with acting.changing(self.database, actor, now) as by:
            by.user(user_id, Right.PEOPLE)
            user = people.present(by.connection, user_id)
            sent = next_addresses.send(by.connection, user, now, actor, self.random)
            until = replace(user, next_email_until=sent.expire_time)
            people.change_user(by.connection, until)
        return sent

    def follow(self, text: str) -> Confirmation:
        """Put an address in force, for whoever has the link that was mailed to it. Of a link that
        is not good nothing is told: not whether it was, nor for whom.
        """
        now, link = self.clock(), Link.parse(text)
        if link is None:
            return REFUSED
        with self.database.write() as connection:
            code, right = codes.follow(connection, self.seal, link, now)
            user = people.find_user(connection, code.who) if code is not None else None
            if code is None or user is None or user.state is not UserState.ACTIVE:
                return REFUSED
            said: dict[str, Detail] = {"email": code.address, "tries_left": code.tries_left}
            if right and code.address == user.next_email:
                told = entries.about_user(Kind.ADDRESS_VERIFIED, user, now, KEYSTORE, said)
                if next_addresses.put_in_force(connection, user, now, KEYSTORE) is not None:
                    journal.append(connection, told)
                    return Confirmation(code.address, is_verified=True)
            told = entries.about_user(Kind.ADDRESS_LINK_WRONG, user, now, KEYSTORE, said)
            journal.append(connection, told)
        return REFUSED

    def send_own(self, device: Identity) -> MailedCode:
        """Mail a code to the holder of a device, to the address that waits, if there is one. Raises
        AddressUnreachable, TooManyCalls, UserClosed.
        """
        now = self.clock()
        with self.database.write() as connection:
            user = owner(connection, device, now)
            address = user.next_email or user.email
            if not address:
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
                address=address,
            )
            said: dict[str, Detail] = {"email": address}
            told = entries.about_user(Kind.ADDRESS_CODE_SENT, user, now, device.actor, said)
            journal.append(connection, told)
        return sent

    def confirm_own(self, code: str, device: Identity) -> Confirmation:
        """Take the code that a device's holder has got, which puts the address in force if it
        waits. Raises AddressUnreachable if none is awaited, InvalidInput if the address cannot be
        the holder's any more.
        """
        now = self.clock()
        with self.database.write() as connection:
            user = owner(connection, device, now)
            address = user.next_email or user.email
            awaited, right = codes.take(
                connection,
                self.seal,
                Purpose.ADDRESS,
                user.id,
                user,
                code,
                now,
                address=address,
            )
            if awaited is None or awaited.address != address:
                raise AddressUnreachable("no code is awaited: let one be sent first")
            said: dict[str, Detail] = {"email": address, "tries_left": awaited.tries_left}
            kind = Kind.ADDRESS_VERIFIED if right else Kind.ADDRESS_CODE_WRONG
            journal.append(connection, entries.about_user(kind, user, now, device.actor, said))
            if right:
                rows.end_all(connection, user.id, Purpose.ADDRESS, now)
                self._verified(connection, user, now, device.actor)
        return Confirmation(address, is_verified=right, tries_left=awaited.tries_left)

    def _verified(self, connection: Connection, user: User, now: datetime, actor: Actor) -> None:
        if not user.next_email:
            people.change_user(connection, replace(user, email_verify_time=now))
        elif next_addresses.put_in_force(connection, user, now, actor) is None:
            raise InvalidInput(
                "this address cannot be yours any more: ask your registration authority for another"
            )

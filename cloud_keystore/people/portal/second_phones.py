"""Another phone, which a holder invites from one that they have, with a code by e-mail: neither who
has the phone alone nor who reads the mail alone gets one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import Connection

from cloud_keystore.audit import entries, journal
from cloud_keystore.model.clock import new_id
from cloud_keystore.model.errors import AddressUnreachable, InvalidInput
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.outbox.notifications import Template
from cloud_keystore.model.people import Identity, IdentityState, Role, User
from cloud_keystore.model.portal.codes import MailedCode, Purpose
from cloud_keystore.people.people import People, Token
from cloud_keystore.people.portal import codes
from cloud_keystore.people.portal.knowing import owner
from cloud_keystore.storage import people
from cloud_keystore.storage.credentials.portal import codes as rows
from cloud_keystore.storage.enrolment import tokens

TOKEN_TIME = timedelta(hours=1)
MOST_PHONES = 10  # of one holder, invited ones included


@dataclass(frozen=True, slots=True)
class Invited:
    """The token for the other phone; None if the code was wrong, which has so many tries left."""

    token: Token | None
    tries_left: int = 0


@dataclass(frozen=True, slots=True)
class SecondPhones:
    """Sends codes to holders, and invites another phone of theirs with one."""

    people: People

    def send(self, device: Identity) -> MailedCode:
        """Mail a code to the address of a device's holder. Raises IdentityRejected, UserClosed,
        AddressUnreachable, InvalidInput, TooManyCalls.
        """
        own, now = self.people, self.people.clock()
        with own.database.write() as connection:
            user = _holder(connection, device, now)
            sent = codes.send(
                connection, Template.DEVICE_CODE, Purpose.DEVICE, user.id, user, now, own.random
            )
            said: dict[str, Detail] = {"email": user.email}
            told = entries.about_user(Kind.DEVICE_CODE_SENT, user, now, device.actor, said)
            journal.append(connection, told)
        return sent

    def invite(self, code: str, device: Identity) -> Invited:
        """Invite another phone with the code that was mailed. Its token is told to this device
        alone, and not mailed. Raises as `send` does, and AddressUnreachable if no code is awaited.
        """
        own, now = self.people, self.people.clock()
        with own.database.write() as connection:
            user = _holder(connection, device, now)
            awaited, right = codes.take(
                connection, own.seal, Purpose.DEVICE, user.id, user, code, now
            )
            if awaited is None or awaited.address != user.email:
                raise AddressUnreachable("no code is awaited: let one be sent first")
            if not right:
                said: dict[str, Detail] = {"tries_left": awaited.tries_left}
                told = entries.about_user(Kind.DEVICE_CODE_WRONG, user, now, device.actor, said)
                journal.append(connection, told)
                return Invited(None, awaited.tries_left)
            rows.end_all(connection, user.id, Purpose.DEVICE, now)
            return Invited(self._invite(connection, user, device, now))

    def _invite(
        self, connection: Connection, user: User, device: Identity, now: datetime
    ) -> Token | None:
        own = self.people
        # Whoever could have the phone that invites could have the one that is invited.
        could_have = [device.invited_by, *device.addressed_by.split("\n"), user.email_by]
        identity = Identity(
            id=new_id(now, own.random),
            role=Role.DEVICE,
            state=IdentityState.INVITED,
            display_name="device",
            site="",
            user_id=user.id,
            certificate_sha256=None,
            public_key=None,
            create_time=now,
            invited_by=str(device.actor) if device.invited_by else "",
            addressed_by="\n".join(dict.fromkeys(filter(None, could_have))),
        )
        hashed = sha256(own.secret_of(identity.id)).digest()
        people.add_identities(connection, identity)
        tokens.add(connection, {identity.id: hashed}, now + TOKEN_TIME)
        said: dict[str, Detail] = {"identity": identity.id, "role": "device"}
        told = entries.about_identity(
            Kind.IDENTITY_INVITED, identity, now, device.actor, said, {"token_sha256": hashed}
        )
        journal.append(connection, told)
        return own.token_of(connection, identity.id)


def _holder(connection: Connection, device: Identity, now: datetime) -> User:
    """The holder of a device, who can have another one, and gets e-mail."""
    user = owner(connection, device, now)
    if not user.email:
        raise AddressUnreachable(
            "there is no e-mail address: ask your registration authority for another phone"
        )
    found = people.list_devices(connection, user.id)
    if sum(each.state is not IdentityState.REMOVED for each in found) >= MOST_PHONES:
        raise InvalidInput(
            f"phones are at most {MOST_PHONES}, invited ones included: remove one first "
            "(cloudcard authenticator phones remove)"
        )
    return user

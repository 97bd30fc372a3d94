"""Users and invitations: adds and lists users and other identities, and makes enrolment tokens."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import Connection

from cloud_keystore.audit import entries, journal
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.errors import InvalidInput, UserExists
from cloud_keystore.model.fields import emails
from cloud_keystore.model.fields.texts import (
    LONGEST_DISPLAY_NAME,
    LONGEST_LABEL,
    comparable,
    text_field,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import (
    Identity,
    IdentityState,
    Role,
    User,
    principal_name,
    security_identifier,
)
from cloud_keystore.storage import cards, people
from cloud_keystore.storage.engine import Database

TOKEN_TIME = timedelta(days=14)
SECRET_BYTES = 16
TOKEN_PREFIX = "cc1"  # noqa: S105 (a format's name)


@dataclass(frozen=True, slots=True)
class Token:
    """An enrolment token as text, with the time when it expires."""

    text: str
    expire_time: datetime


@dataclass(frozen=True, slots=True)
class UserListing:
    """A user as lists show it, with the number of active devices and the cards."""

    user: User
    device_count: int
    card_serials: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class People:
    """Adds and lists users, adds workstations, operators and auditors, and invites devices."""

    database: Database
    clock: Clock
    random: Random
    enrolment_address: str  # host:port of the enrolment port
    enrolment_sha256: bytes  # of its certificate

    def add_user(
        self,
        display_name: str,
        email: str,
        upn: str = "",
        sid: str = "",
        *,
        namesake: bool = False,
        actor: Actor,
    ) -> tuple[User, Token]:
        """Add a user and invite the first device.

        `upn` and `sid` are those of the user's account in Active Directory, for logon certificates.
        A `namesake` is somebody else than the user with the same name and e-mail address. Raises
        InvalidInput, UserExists.
        """
        upn, sid = principal_name(upn), security_identifier(sid)
        if sid and not upn:
            raise InvalidInput("sid needs a upn: give the account's user principal name too")
        now = self.clock()
        user = User(
            id=new_id(now, self.random),
            display_name=text_field("name", display_name, LONGEST_DISPLAY_NAME),
            email=emails.email(email),
            create_time=now,
            upn=upn,
            sid=sid,
        )
        with self.database.write() as connection:
            _check_new(connection, user, namesake=namesake)
            people.add_user(connection, user)
            journal.append(connection, entries.about_user(Kind.USER_ADDED, user, now, actor))
        return user, self.invite_device(user.id, actor=actor)

    def list_users(self) -> list[UserListing]:
        """All users, oldest first."""
        with self.database.read() as connection:
            users = people.list_users(connection)
            devices = people.count_devices(connection, self.clock())
            all_cards = cards.list_all(connection)
        serials: dict[str, list[str]] = {}
        for card in all_cards:
            serials.setdefault(card.user_id, []).append(card.serial)
        return [
            UserListing(user, devices.get(user.id, 0), tuple(serials.get(user.id, ())))
            for user in users
        ]

    def invite_device(self, user_id: str, *, actor: Actor) -> Token:
        """A token for one more device of a user; raises UserNotFound."""
        with self.database.read() as connection:
            user = people.user(connection, user_id)
        return self._invite(Role.DEVICE, "device", "", user.id, actor)[1]

    def add_workstation(
        self, display_name: str, site: str, *, actor: Actor
    ) -> tuple[Identity, Token]:
        """Add a workstation, and make a token for it; raises InvalidInput."""
        name = text_field("name", display_name, LONGEST_LABEL)
        place = text_field("site", site, LONGEST_LABEL, required=False)
        return self._invite(Role.WORKSTATION, name, place, None, actor)

    def add_operator(
        self, display_name: str, *, actor: Actor, keep: Callable[[Token], None] | None = None
    ) -> Token:
        """A token for a new operator; raises InvalidInput. If `keep` fails with it, nobody is
        invited.
        """
        name = text_field("name", display_name, LONGEST_LABEL)
        return self._invite(Role.OPERATOR, name, "", None, actor, keep)[1]

    def add_auditor(self, display_name: str, *, actor: Actor) -> Token:
        """A token for a new auditor; raises InvalidInput."""
        name = text_field("name", display_name, LONGEST_LABEL)
        return self._invite(Role.AUDITOR, name, "", None, actor)[1]

    def has_operators(self) -> bool:
        """Whether there is an active operator."""
        with self.database.read() as connection:
            return people.count_active(connection, Role.OPERATOR, self.clock()) > 0

    def awaits_operator(self) -> bool:
        """Whether there is an operator's enrolment token that can still be used."""
        with self.database.read() as connection:
            return people.is_invited(connection, Role.OPERATOR, self.clock())

    def _invite(
        self,
        role: Role,
        display_name: str,
        site: str,
        user_id: str | None,
        actor: Actor,
        keep: Callable[[Token], None] | None = None,
    ) -> tuple[Identity, Token]:
        now = self.clock()
        identity = Identity(
            id=new_id(now, self.random),
            role=role,
            state=IdentityState.INVITED,
            display_name=display_name,
            site=site,
            user_id=user_id,
            certificate_sha256=None,
            public_key=None,
            create_time=now,
        )
        secret = self.random(SECRET_BYTES)
        token = Token(self._token_text(secret), now + TOKEN_TIME)
        with self.database.write() as connection:
            people.add_identity(connection, identity)
            people.add_token(connection, sha256(secret).digest(), identity.id, token.expire_time)
            said = {"identity": identity.id, "role": role.name.lower()}
            evidence = {"token_sha256": sha256(secret).digest()}
            invited = entries.about_identity(
                Kind.IDENTITY_INVITED, identity, now, actor, said, evidence
            )
            journal.append(connection, invited)
            if keep is not None:
                keep(token)
        return identity, token

    def _token_text(self, secret: bytes) -> str:
        """A token: address of the enrolment port, hash of its certificate, and secret
        (docs/protocol.md).
        """
        body = base64.urlsafe_b64encode(self.enrolment_sha256 + secret).decode().rstrip("=")
        return f"{TOKEN_PREFIX}.{body}@{self.enrolment_address}"


def _check_new(connection: Connection, user: User, *, namesake: bool) -> None:
    """Raise UserExists if somebody else has the account, or the name and e-mail address."""
    for other in people.like(connection, user):
        if user.upn and comparable(other.upn) == comparable(user.upn):
            raise UserExists(
                f"upn {user.upn} is that of {other.display_name}, user {other.id}: an account "
                "belongs to one person"
            )
        if not namesake and _same_person(other, user):
            address = f" ({other.email})" if other.email else ""
            raise UserExists(
                f"there is {other.display_name}{address} already, user {other.id}: if this is "
                "somebody else, give an e-mail address of their own, or say so (--namesake)"
            )


def _same_person(one: User, other: User) -> bool:
    return comparable(one.display_name) == comparable(other.display_name) and (
        comparable(one.email) == comparable(other.email)
    )

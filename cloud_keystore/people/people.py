"""Users and invitations: adds, changes and lists users, adds other identities, and makes enrolment
tokens.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256

from sqlalchemy import Connection

from cloud_keystore.audit import acting, entries, journal
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.model.actors import KEYSTORE, Actor
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.errors import ChangedMeanwhile, InvalidInput
from cloud_keystore.model.fields import emails, phones
from cloud_keystore.model.fields.pages import Page
from cloud_keystore.model.fields.texts import LONGEST_DISPLAY_NAME, LONGEST_LABEL, text_field
from cloud_keystore.model.finding import LONGEST_TEXT
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.organisations import ROOT
from cloud_keystore.model.people import (
    Identity,
    IdentityState,
    Role,
    User,
    new_uuid12,
    principal_name,
    security_identifier,
    version,
)
from cloud_keystore.model.rights.roles import BuiltIn, Right
from cloud_keystore.people import domains, listing, roles
from cloud_keystore.people.contacts import accounts, changing, next_addresses, numbering
from cloud_keystore.people.likeness import check_new, facts
from cloud_keystore.people.listing import EVERYBODY, UserListing, Wanted
from cloud_keystore.people.policies import card_profiles
from cloud_keystore.people.roles import Grantable
from cloud_keystore.storage import people
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.enrolment import tokens
from cloud_keystore.storage.listing.remembered import Remembered
from cloud_keystore.storage.outbox import notifications as outbox
from cloud_keystore.storage.rights import assignments

TOKEN_TIME = timedelta(days=14)
SECRET_BYTES = 16
TOKEN_PREFIX = "cc1"  # noqa: S105 (a format's name)
COMPLETED_AT_ONCE = 500  # in one transaction


@dataclass(frozen=True, slots=True)
class Token:
    """An enrolment token as text, with the time when it expires."""

    text: str
    expire_time: datetime
    role_until: datetime | None = None  # when the role of whoever is invited ends


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What an invited identity will be."""

    role: Role
    display_name: str
    site: str = ""
    organisation_id: str = ROOT
    granted: Grantable | None = None  # the role of an operator or auditor


_DEVICE = _Wanted(Role.DEVICE, "device")


@dataclass(frozen=True, slots=True)
class People:
    """Adds, changes and lists users, adds workstations, operators and auditors, and invites
    devices.
    """

    database: Database
    clock: Clock
    random: Random
    enrolment_address: str  # host:port of the enrolment port
    enrolment_sha256: bytes  # of its certificate
    seal: Seal = field(repr=False)
    pages: Remembered[Sequence[str]] = field(default_factory=Remembered, repr=False)

    def add_user(
        self,
        display_name: str,
        email: str,
        upn: str = "",
        sid: str = "",
        *,
        namesake: bool = False,
        organisation_id: str = "",
        account: str = "",
        actor: Actor,
    ) -> tuple[User, Token | None]:
        """Add a user and invite the first device. Who repeats this gets the same user, and no
        token: an e-mail address belongs to one user who has not left.

        `upn` and `sid` are those of the user's account in Active Directory, for logon certificates;
        `account` is its name too, or empty. A `namesake` is somebody else than the user with the
        same name, where neither has an address. Raises InvalidInput, UserExists,
        OrganisationNotFound, NotAllowed.
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
        with acting.changing(self.database, actor, now) as by:
            connection, place = by.connection, by.place(Right.PEOPLE, organisation_id)
            others = people.like(connection, user)
            for other in others:
                known = by.held.has(Right.PEOPLE, other.organisation_id)
                if known and user.email and facts(other) == facts(user):
                    accounts.give_named(by, other, account, now, self.random)
                    return other, None
            check_new(user, others, by.held.sees, namesake=namesake)
            accounts.check_upn(by, user)
            domains.check(connection, user.email)
            user = replace(user, organisation_id=place)
            [(user, token)] = self.add_all(connection, [user], actor)
            accounts.give_named(by, user, account, now, self.random)
        return user, token

    def add_all(
        self, connection: Connection, users: Sequence[User], actor: Actor
    ) -> list[tuple[User, Token]]:
        """Add users who have been checked, and invite the first device of each."""
        numbered = numbering.numbered(connection, users, self.random, actor)
        people.add_users(connection, *numbered)
        told = [
            entries.about_user(
                Kind.USER_ADDED,
                user,
                user.create_time,
                actor,
                {"uuid12": user.uuid12 or "", "organisation": user.organisation_id},
            )
            for user in numbered
        ]
        journal.append(connection, *told)
        invited = self._put(connection, _DEVICE, numbered, actor)
        return [(user, token) for user, (_, token) in zip(numbered, invited, strict=True)]

    def change_user(
        self,
        user_id: str,
        display_name: str | None,
        email: str | None,
        phone: str | None = None,
        organisation_id: str | None = None,
        profile: str | None = None,
        *,
        seen: str = "",
        actor: Actor,
    ) -> User:
        """Give a user another name, e-mail address, phone number or organisation, or say of which
        profile the next cards are; None keeps what there is. Another address can have to wait until
        it is verified. Certificates keep the name under which they were issued. Raises
        InvalidInput, UserNotFound, UserClosed, UserExists, NotAllowed, OrganisationNotFound,
        TooManyCalls, and ChangedMeanwhile if the `version` is not the one that was `seen`.
        """
        now = self.clock()
        with acting.changing(self.database, actor, now) as by:
            connection = by.connection
            by.user(user_id, Right.PEOPLE)
            user = changed = people.present(connection, user_id)
            if seen not in ("", version(user)):
                raise ChangedMeanwhile("somebody has changed this meanwhile: read it again")
            if display_name is not None:
                name = text_field("name", display_name, LONGEST_DISPLAY_NAME)
                changed = replace(changed, display_name=name)
            if email is not None:
                changed = replace(changed, email=emails.email(email))
            if phone is not None:
                changed = replace(changed, phone=phones.phone(phone))
            if organisation_id is not None:
                place = by.place(Right.PEOPLE, organisation_id or ROOT)
                changed = replace(changed, organisation_id=place)
            if profile is not None:
                own = card_profiles.own_name(connection, profile, changed.organisation_id)
                changed = replace(changed, profile=own)
            if email is not None:
                changed = next_addresses.asked(by, user, changed, self.random)
            return changing.change(by, user, changed)

    def list_users(
        self, page: Page | None = None, wanted: Wanted = EVERYBODY, *, actor: Actor
    ) -> list[UserListing]:
        """Users whom the actor sees, by default oldest first: all who are wanted, or a page of
        them. Raises InvalidInput, OrganisationNotFound.
        """
        now = self.clock()
        with acting.looking(self.database, actor, now) as by:
            by.need_somewhere(Right.VIEW)
            return listing.listed(by, page, wanted, now, self.pages)

    def search(self, text: str, most: int, *, actor: Actor) -> list[UserListing]:
        """Users whom the actor sees, and of whom a text is any part of a name, UUID, address or
        account, or with which a card's serial number begins, oldest first: at most so many, and one
        more if there are more. Accents and case do not matter. Raises InvalidInput.
        """
        wanted = Wanted(text_field("text", text, LONGEST_TEXT))
        return self.list_users(Page(most + 1), wanted, actor=actor)

    def complete_users(self) -> int:
        """Give users from before there were 12-digit UUIDs theirs, and the forms in which addresses
        and accounts are compared; return how many had no UUID.
        """
        numbered = 0
        last: str | None = ""
        while last is not None:
            with self.database.write(long=True) as connection:
                new = partial(self._free_uuid12, connection)
                new_ones, last = people.complete_users(connection, new, last, COMPLETED_AT_ONCE)
                if new_ones:
                    said = {"users": new_ones}
                    told = entries.about_keystore(Kind.USERS_NUMBERED, self.clock(), KEYSTORE, said)
                    journal.append(connection, told)
            numbered += new_ones
        return numbered

    def invite_device(self, user_id: str, *, actor: Actor) -> Token:
        """A token for one more device of a user; raises UserNotFound, NotAllowed, UserClosed."""
        with acting.changing(self.database, actor, self.clock()) as by:
            by.user(user_id, Right.DEVICES)
            user = people.present(by.connection, user_id)
            [(_, token)] = self._put(by.connection, _DEVICE, [user], actor)
        return token

    def add_workstation(
        self, display_name: str, site: str, organisation_id: str = "", *, actor: Actor
    ) -> tuple[Identity, Token]:
        """Add a workstation, and make a token for it; raises InvalidInput, OrganisationNotFound,
        NotAllowed.
        """
        name = text_field("name", display_name, LONGEST_LABEL)
        place = text_field("site", site, LONGEST_LABEL, required=False)
        wanted = _Wanted(Role.WORKSTATION, name, place, organisation_id)
        return self._invite(wanted, actor)

    def add_shared_device(
        self, display_name: str, site: str, organisation_id: str = "", *, actor: Actor
    ) -> tuple[Identity, Token]:
        """The same for a device that several holders share."""
        name = text_field("name", display_name, LONGEST_LABEL)
        place = text_field("site", site, LONGEST_LABEL, required=False)
        wanted = _Wanted(Role.SHARED_DEVICE, name, place, organisation_id)
        return self._invite(wanted, actor)

    def add_operator(
        self,
        display_name: str,
        role: str = "",
        organisation_id: str = "",
        *,
        actor: Actor,
        keep: Callable[[Token], None] | None = None,
    ) -> Token:
        """A token for a new operator, who has a role in an organisation: RA manager unless another
        one is named; it ends when the actor's own rights do. Raises InvalidInput,
        OrganisationNotFound, NotAllowed. If `keep` fails with the token, nobody is invited.
        """
        name = text_field("name", display_name, LONGEST_LABEL)
        wanted = _Wanted(Role.OPERATOR, name, "", organisation_id)
        return self._invite(wanted, actor, role or BuiltIn.RA_MANAGER, keep)[1]

    def add_auditor(self, display_name: str, organisation_id: str = "", *, actor: Actor) -> Token:
        """A token for a new auditor of an organisation; raises InvalidInput, OrganisationNotFound,
        NotAllowed.
        """
        name = text_field("name", display_name, LONGEST_LABEL)
        wanted = _Wanted(Role.AUDITOR, name, "", organisation_id)
        return self._invite(wanted, actor, BuiltIn.AUDITOR)[1]

    def has_operators(self) -> bool:
        """Whether an active operator is RA manager of the whole."""
        with self.database.read() as connection:
            return bool(assignments.managers(connection, self.clock()))

    def awaits_operator(self) -> bool:
        """Whether there is an operator's enrolment token that can still be used."""
        with self.database.read() as connection:
            return tokens.is_invited(connection, Role.OPERATOR, self.clock())

    def _invite(
        self,
        wanted: _Wanted,
        actor: Actor,
        role: str = "",
        keep: Callable[[Token], None] | None = None,
    ) -> tuple[Identity, Token]:
        now, right = self.clock(), Right.ROLES if role else Right.WORKSTATIONS
        with acting.changing(self.database, actor, now) as by:
            place = by.place(right, wanted.organisation_id)
            granted = roles.grantable(by, role, wanted.role, place) if role else None
            wanted = replace(wanted, organisation_id=place, granted=granted)
            [(identity, token)] = self._put(by.connection, wanted, [None], actor)
            if granted is not None:
                roles.grant_first(by, new_id(now, self.random), identity, granted)
                token = replace(token, role_until=granted.until_time)
            if keep is not None:
                keep(token)
        return identity, token

    def _put(
        self,
        connection: Connection,
        wanted: _Wanted,
        users: Sequence[User | None],
        actor: Actor,
    ) -> list[tuple[Identity, Token]]:
        """Add identities that are invited, one for each user, with their tokens."""
        now = self.clock()
        made: list[tuple[Identity, Token]] = []
        hashes: dict[str, bytes] = {}
        for user in users:
            identity = Identity(
                id=new_id(now, self.random),
                role=wanted.role,
                state=IdentityState.INVITED,
                display_name=wanted.display_name,
                site=wanted.site,
                user_id=None if user is None else user.id,
                certificate_sha256=None,
                public_key=None,
                create_time=now,
                organisation_id=wanted.organisation_id,
                assigned=bool(wanted.granted),
                invited_by=str(actor),
                addressed_by="" if user is None else user.email_by,
            )
            secret = self.secret_of(identity.id)
            hashes[identity.id] = sha256(secret).digest()
            made.append((identity, Token(self._token_text(secret), now + TOKEN_TIME)))
        people.add_identities(connection, *(identity for identity, _ in made))
        tokens.add(connection, hashes, now + TOKEN_TIME)
        told = [
            entries.about_identity(
                Kind.IDENTITY_INVITED,
                identity,
                now,
                actor,
                {"identity": identity.id, "role": wanted.role.name.lower()},
                {"token_sha256": hashes[identity.id]},
            )
            for identity, _ in made
        ]
        journal.append(connection, *told)
        for identity, _ in made:
            outbox.invite(connection, identity, now)
        return made

    def token_of(self, connection: Connection, identity_id: str) -> Token | None:
        """The token of an identity that is invited, once more; None if it was used or has expired.
        None too if it was drawn at random, as earlier versions did.
        """
        secret = self.secret_of(identity_id)
        invited = tokens.invited_by(connection, sha256(secret).digest(), self.clock())
        if invited is None or invited.state is not IdentityState.INVITED:
            return None
        (terms,) = tokens.terms(connection, [identity_id]).values()
        return Token(self._token_text(secret), terms.expire_time)

    def secret_of(self, identity_id: str) -> bytes:
        """The secret of an identity's token. It is derived, so that it need not be kept until it is
        mailed, and again for a reminder.
        """
        return self.seal.derive("enrolment token", identity_id.encode())[:SECRET_BYTES]

    def _free_uuid12(self, connection: Connection) -> str:
        """A 12-digit UUID that nobody has."""
        while people.taken(connection, [drawn := new_uuid12(self.random)]):
            pass
        return drawn

    def _token_text(self, secret: bytes) -> str:
        """A token: address of the enrolment port, hash of its certificate, secret (protocol.md)."""
        body = base64.urlsafe_b64encode(self.enrolment_sha256 + secret).decode().rstrip("=")
        return f"{TOKEN_PREFIX}.{body}@{self.enrolment_address}"

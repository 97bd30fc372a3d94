"""How holders begin at the pages: whoever has the token of an invitation, which is not spent by
that, sees what there is to do, proves that the mail is theirs, and sets the first password.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256

from sqlalchemy import Connection

from cloud_keystore.audit import entries, journal
from cloud_keystore.model.cards import UNISSUED, CardState
from cloud_keystore.model.clock import new_id
from cloud_keystore.model.errors import IdentityRejected, InvalidInput
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.outbox.media import Medium
from cloud_keystore.model.people import Identity, IdentityState, Role, User
from cloud_keystore.model.portal.beginnings import (
    LONGEST,
    MOST,
    Beginning,
    Facts,
    Stage,
    Task,
    secret_in,
    stages,
)
from cloud_keystore.model.portal.codes import Confirmation, MailedCode
from cloud_keystore.model.portal.passwords import Chosen
from cloud_keystore.model.rights.visits import BEGIN_PREFIX, new_text, text_sha256
from cloud_keystore.people.people import Token
from cloud_keystore.people.portal.addresses import Addresses
from cloud_keystore.people.portal.knowing import owner, policy_of
from cloud_keystore.people.portal.passwords import Passwords
from cloud_keystore.people.portal.short_codes import ShortCodes
from cloud_keystore.people.rights.visits import sha256_of
from cloud_keystore.storage import cards, people
from cloud_keystore.storage.credentials.portal import passwords
from cloud_keystore.storage.enrolment import beginnings, tokens
from cloud_keystore.storage.outbox import notifications as outbox

OVER = "this has taken too long: enter the code of your invitation again"
USED = "your phone is enrolled: no further code is needed"
UNPROVEN = "give the code first that your e-mail address gets"


@dataclass(frozen=True, slots=True)
class Begun:
    """The secret of what has begun; empty if the token is no good."""

    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Due:
    """A task, and how far it is."""

    task: Task
    stage: Stage


@dataclass(frozen=True, slots=True)
class Progress:
    """What somebody has to do who begins, in this order."""

    user: User
    tasks: tuple[Due, ...]

    def stage(self, task: Task) -> Stage | None:
        """How far a task is; None if it is none."""
        return next((each.stage for each in self.tasks if each.task is task), None)


@dataclass(frozen=True, slots=True)
class Beginnings:
    """Leads holders from an invitation to a card that they can use. Methods that take a secret
    raise IdentityRejected if it is over, and UserClosed.
    """

    addresses: Addresses
    passwords: Passwords
    short_codes: ShortCodes

    def begin(self, text: str) -> Begun:
        """Begin with the token of an invitation of a phone, or with a short code for one. Of what
        is no good nothing is told.
        """
        own = self.addresses
        found = self.short_codes.exchange(text)
        given = secret_in(text if found is None else found.text)
        now, secret = own.clock(), new_text(BEGIN_PREFIX, own.random)
        with own.database.write() as connection:
            invited = None
            if given is not None:
                invited = tokens.invited_by(connection, sha256(given).digest(), now)
            if invited is None or invited.state is not IdentityState.INVITED:
                return Begun("")
            if invited.role is not Role.DEVICE:
                return Begun("")
            user = people.present(connection, invited.user_id or "")
            going_on = beginnings.unended(connection, invited.id, now - LONGEST)
            for each in going_on[: max(0, len(going_on) + 1 - MOST)]:
                beginnings.end(connection, each, now)
            made = Beginning(
                new_id(now, own.random), invited.id, sha256_of(BEGIN_PREFIX, secret), now
            )
            beginnings.add(connection, made)
            actor = _holder(invited, made).actor
            told = entries.about_user(
                Kind.ENROLMENT_BEGUN, user, now, actor, {"identity": invited.id}
            )
            journal.append(connection, told)
        return Begun(secret)

    def look(self, secret: str) -> Progress:
        """What there is to do, and how far it is."""
        own = self.addresses
        with own.database.read() as connection:
            invited, made = _going_on(connection, secret, own.clock())
            user = owner(connection, _holder(invited, made), own.clock())
            found = stages(_facts(connection, user, invited, made, own.clock()))
        return Progress(user, tuple(Due(each, stage) for each, stage in found.items()))

    def send_code(self, secret: str) -> MailedCode:
        """Mail a code to the holder's address. Raises AddressUnreachable, TooManyCalls."""
        return self.addresses.send_own(self._who(secret))

    def take_code(self, secret: str, code: str) -> Confirmation:
        """Take the code that was mailed, by which the address is verified. Raises
        AddressUnreachable if none is awaited, InvalidInput.
        """
        own = self.addresses
        holder = self._who(secret)
        found = own.confirm_own(code.strip(), holder)
        if found.is_verified:
            with own.database.write() as connection:
                now = own.clock()
                owner(connection, holder, now)
                _, made = _going_on(connection, secret, now)
                beginnings.prove(connection, made, now)
        return found

    def set_password(self, secret: str, new: str) -> Chosen:
        """Set the first password. Raises InvalidInput if there is one, or if nobody has shown here
        to read the holder's mail; PortalClosed, Overloaded.
        """
        own = self.addresses
        with own.database.read() as connection:
            invited, made = _going_on(connection, secret, own.clock())
            if made.prove_time is None:
                raise InvalidInput(UNPROVEN)
        return self.passwords.set_own(new, _holder(invited, made), first=True)

    def invite(self, secret: str) -> Token:
        """A short code to type on the phone. Raises InvalidInput if the phone is enrolled, and
        TooManyCalls.
        """
        own = self.addresses
        with own.database.write() as connection:
            now = own.clock()
            invited, made = _going_on(connection, secret, now)
            holder = _holder(invited, made)
            user = owner(connection, holder, now)
            if invited.state is not IdentityState.INVITED:
                raise InvalidInput(USED)
            place = user.organisation_id
            return self.short_codes.make_for(connection, invited, place, now, holder.actor)

    def end(self, secret: str) -> None:
        """End it. Repeated, it does nothing."""
        own = self.addresses
        with own.database.write() as connection:
            found = text_sha256(BEGIN_PREFIX, secret)
            made = None if found is None else beginnings.by_secret(connection, found)
            if made is not None:
                beginnings.end(connection, made, own.clock())

    def _who(self, secret: str) -> Identity:
        own = self.addresses
        with own.database.read() as connection:
            return _holder(*_going_on(connection, secret, own.clock()))


def _going_on(connection: Connection, secret: str, now: datetime) -> tuple[Identity, Beginning]:
    """What goes on, with the phone that is invited, or has been. Raises IdentityRejected."""
    found = text_sha256(BEGIN_PREFIX, secret)
    made = None if found is None else beginnings.by_secret(connection, found)
    invited = None if made is None else people.find_identity(connection, made.device_id)
    if made is None or invited is None or not made.is_open(now):
        raise IdentityRejected(OVER)
    return invited, made


def _facts(
    connection: Connection, user: User, invited: Identity, made: Beginning, now: datetime
) -> Facts:
    found = cards.list_all(connection, user.id)
    out_of_use = (*UNISSUED, CardState.REVOKED)
    issued = [each for each in found if each.state not in out_of_use]
    return Facts(
        reachable=bool(user.email or user.next_email) and outbox.tells(connection, Medium.EMAIL),
        verified=user.email_verify_time is not None and not user.next_email,
        proved=made.prove_time is not None,
        offered=policy_of(connection, user).portal_passwords,
        has_password=passwords.find(connection, user.id) is not None,
        enrolled=invited.is_active(now),
        has_card=bool(issued),
        has_passcode=all(each.state is not CardState.PENDING for each in issued),
    )


def _holder(invited: Identity, made: Beginning) -> Identity:
    """Who begins. It is no identity of the database."""
    return replace(
        invited,
        id=invited.user_id or "",
        role=Role.HOLDER,
        state=IdentityState.ACTIVE,
        certificate_sha256=made.secret_sha256,
    )

"""Visits of holders at the keystore's own portal: they log in by their password and by a code that
is mailed to their verified address, or by what they have chosen in its place. Neither is enough
alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from cloud_keystore.audit import entries, journal
from cloud_keystore.model.actors import KEYSTORE
from cloud_keystore.model.clock import new_id
from cloud_keystore.model.errors import (
    AddressUnreachable,
    ApprovalRejected,
    IdentityRejected,
    TokenRejected,
)
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.outbox.media import Medium
from cloud_keystore.model.outbox.notifications import Template
from cloud_keystore.model.people import Identity, IdentityState, Role, User, UserState
from cloud_keystore.model.portal.assents import AssentState, Subject
from cloud_keystore.model.portal.codes import Purpose
from cloud_keystore.model.portal.factors import AGREEABLE, Factor, Needed
from cloud_keystore.model.rights.log_ins import ChallengeUse
from cloud_keystore.model.rights.visits import (
    LONGEST_VISIT,
    OWN_PREFIX,
    STEP_PREFIX,
    STEP_TIME,
    Visit,
    new_text,
    text_sha256,
)
from cloud_keystore.people.portal import available, codes
from cloud_keystore.people.portal.assents import Assents
from cloud_keystore.people.portal.knowing import OVER, check_offered, owner, policy_of
from cloud_keystore.people.portal.passkeys import COPIED, AskedPasskeys, PortalPasskeys
from cloud_keystore.people.portal.passwords import Passwords
from cloud_keystore.people.rights.log_in_passkeys import PasskeyAnswer
from cloud_keystore.people.rights.visits import end_oldest, note_seen, sha256_of
from cloud_keystore.storage import people, policies
from cloud_keystore.storage.credentials.portal import codes as code_rows
from cloud_keystore.storage.outbox import notifications as outbox
from cloud_keystore.storage.rights import visits

AGAIN = "this log-in has taken too long or was used: begin again with your password"
UNVERIFIED = (
    "your e-mail address is not verified, so no code can go there: verify it on your phone "
    "(cloudcard authenticator portal address), or ask your registration authority"
)


@dataclass(frozen=True, slots=True)
class Offer:
    """What is needed for anybody to log in."""

    by_policy: bool  # whether any policy allows passwords
    sends: bool  # whether the keystore sends e-mail

    @property
    def is_open(self) -> bool:
        """Whether anybody can log in."""
        return self.by_policy and self.sends


@dataclass(frozen=True, slots=True)
class Step:
    """What a browser keeps until what else the log-in needs has come."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Entered:
    """The secret of a visit that has begun; empty if the code was wrong, which has so many tries
    left, or if the phone that was asked has not agreed, or the passkey's answer was none.
    """

    secret: str = field(repr=False)
    tries_left: int = 0
    phone: AssentState = AssentState.USED
    passkey: str = ""  # what is wrong with its answer


@dataclass(frozen=True, slots=True)
class PortalVisits:
    """Begins visits of holders and ends them, and knows whose they are."""

    passwords: Passwords
    assents: Assents
    passkeys: PortalPasskeys

    def look(self) -> Offer:
        """Whether anybody can log in here, which is off unless a policy says so."""
        with self.passwords.passcodes.database.read() as connection:
            found = policies.list_all(connection, earlier=False)
            allowed = any(each.policy.portal_passwords for each in found)
            return Offer(allowed, outbox.tells(connection, Medium.EMAIL))

    def ask(self, name: str, password: str) -> Step | None:
        """Send a code to whoever has a password, or ask their phone; None if it is wrong, or nobody
        is called so. Raises TooManyGuesses, Overloaded, InvalidInput; AddressUnreachable and
        TooManyCalls alone to who has given the right password.
        """
        own, now = self.passwords.passcodes, self.passwords.passcodes.clock()
        found = self.passwords.check(name, password, actor=KEYSTORE)
        if not found.is_right:
            return None
        text = new_text(STEP_PREFIX, own.random)
        with own.database.write() as connection:
            user = people.present(connection, found.user_id)
            check_offered(policy_of(connection, user))
            made = new_id(now, own.random)
            step = Visit(made, Role.HOLDER, user.id, sha256_of(STEP_PREFIX, text), now)
            visits.add(connection, step)
            self._send(connection, step, user, now)
        self.assents.wake([user.id])
        return Step(text)

    def needed(self, step: str) -> Needed:
        """What a log-in needs whose password was right. Raises TokenRejected."""
        own, now = self.passwords.passcodes, self.passwords.passcodes.clock()
        with own.database.read() as connection:
            made, user = _waiting(connection, step, now)
            factor = available.in_force(connection, user, now)
            asked = self.assents.state_of(connection, user, Subject.LOG_IN, made.id)
            has_phone = available.can_phone(connection, user, now)
        number = "" if asked is None or factor not in AGREEABLE else asked.number
        return Needed(factor, number, has_phone and factor in AGREEABLE)

    def ask_passkey(self, step: str) -> AskedPasskeys:
        """What to ask the passkeys of somebody whose password was right. Raises TokenRejected."""
        own, now = self.passwords.passcodes, self.passwords.passcodes.clock()
        with own.database.read() as connection:
            made, user = _waiting(connection, step, now)
            return self.passkeys.asked(connection, user, ChallengeUse.PORTAL_LOG_IN, made.id)

    def again(self, step: str, *, by_phone: bool = False) -> None:
        """Send another code, which voids the one before, or ask the phone again, or in the place of
        a passkey. Raises TokenRejected, AddressUnreachable, InvalidInput, TooManyCalls.
        """
        own, now = self.passwords.passcodes, self.passwords.passcodes.clock()
        with own.database.write() as connection:
            made, user = _waiting(connection, step, now)
            self._send(connection, made, user, now, by_phone=by_phone)
        self.assents.wake([user.id])

    def begin(self, step: str, code: str, answer: PasskeyAnswer | None = None) -> Entered:
        """Begin a visit with the code that was sent, with the yes of the phone, or with the answer
        of a passkey; its secret is new. A wrong code spends a try. Raises TokenRejected.
        """
        own, now = self.passwords.passcodes, self.passwords.passcodes.clock()
        secret = new_text(OWN_PREFIX, own.random)
        with own.database.write() as connection:
            made, user = _waiting(connection, step, now)
            factor, passkey = available.in_force(connection, user, now), ""
            if factor is Factor.PASSKEY and answer is None:
                factor = Factor.PHONE  # which agrees in its place
            if factor is Factor.PASSKEY and answer is not None:
                use = ChallengeUse.PORTAL_LOG_IN
                try:
                    passkey = self.passkeys.take(connection, user, use, made.id, answer)
                except ApprovalRejected as error:
                    return Entered("", passkey=str(error))
                if not passkey:
                    return Entered("", passkey=COPIED)
            elif factor is Factor.PHONE:
                state = self.assents.take(connection, user, Subject.LOG_IN, made.id)
                if state is not AssentState.AGREED:
                    return Entered("", phone=state)
            else:
                awaited, right = codes.take(
                    connection,
                    own.seal,
                    Purpose.VISIT,
                    user.id,
                    user,
                    code.strip(),
                    now,
                    address=user.phone if factor is Factor.SMS else "",
                )
                left = 0 if awaited is None else awaited.tries_left
                if not right:
                    said: dict[str, Detail] = {"tries_left": left}
                    wrong = entries.about_user(Kind.LOG_IN_CODE_WRONG, user, now, KEYSTORE, said)
                    journal.append(connection, wrong)
                    return Entered("", left)
            code_rows.end_all(connection, user.id, Purpose.VISIT, now)
            if not visits.begin(connection, made, sha256_of(OWN_PREFIX, secret), now):
                raise TokenRejected(AGAIN)
            actor = _holder(made, user, b"").actor
            facts: dict[str, Detail] = {"visit": made.id, "factor": str(factor)}
            if passkey:
                facts["passkey"] = passkey
            begun = entries.about_user(Kind.VISIT_BEGUN, user, now, actor, facts)
            journal.append(connection, begun)
            end_oldest(connection, made, now)
        return Entered(secret)

    def find(self, secret_sha256: bytes) -> Identity:
        """The holder whose visit it is. Raises IdentityRejected if it is over, or the holder has
        left, or no policy allows it any more.
        """
        own, now = self.passwords.passcodes, self.passwords.passcodes.clock()
        with own.database.read() as connection:
            made = visits.by_secret(connection, Role.HOLDER, secret_sha256)
            if made is None or not made.is_open(now):
                raise IdentityRejected(OVER)
            user = people.find_user(connection, made.visitor_id)
            if user is None or not _may(connection, user):
                raise IdentityRejected(OVER)
        note_seen(own.database, made, now)
        return _holder(made, user, secret_sha256)

    def end(self, secret_sha256: bytes) -> None:
        """End a visit. Repeated, it does nothing."""
        own, now = self.passwords.passcodes, self.passwords.passcodes.clock()
        with own.database.write() as connection:
            made = visits.by_secret(connection, Role.HOLDER, secret_sha256)
            if made is not None:
                self._end(connection, made, now)

    def end_others(self, holder: Identity) -> None:
        """End all other visits of a holder. Raises IdentityRejected, UserClosed."""
        own, now = self.passwords.passcodes, self.passwords.passcodes.clock()
        with own.database.write() as connection:
            owner(connection, holder, now)
            for each in others(connection, holder, now):
                self._end(connection, each, now)

    def _end(self, connection: Connection, made: Visit, now: datetime) -> None:
        if visits.end(connection, made, now):
            user = people.user(connection, made.visitor_id)
            actor = _holder(made, user, b"").actor
            ended = entries.about_user(Kind.VISIT_ENDED, user, now, actor, {"visit": made.id})
            journal.append(connection, ended)

    def _send(
        self,
        connection: Connection,
        step: Visit,
        user: User,
        now: datetime,
        *,
        by_phone: bool = False,
    ) -> None:
        """Send a code to a verified address or number alone, or ask the phones. A passkey is asked
        by the page.
        """
        factor, random = available.in_force(connection, user, now), self.passwords.passcodes.random
        if factor is Factor.PASSKEY and not by_phone:
            return
        if factor in AGREEABLE:
            holder = _holder(step, user, b"")
            self.assents.ask(connection, user, Subject.LOG_IN, step.id, holder)
            return
        if factor is Factor.EMAIL and (not user.email or user.email_verify_time is None):
            raise AddressUnreachable(UNVERIFIED)
        template, address = Template.VISIT_CODE, user.email
        if factor is Factor.SMS:
            template, address = Template.VISIT_SMS, user.phone
        codes.send(connection, template, Purpose.VISIT, user.id, user, now, random, address=address)
        said: dict[str, Detail] = {str(factor): address}
        told = entries.about_user(Kind.LOG_IN_CODE_SENT, user, now, KEYSTORE, said)
        journal.append(connection, told)


def others(connection: Connection, holder: Identity, now: datetime) -> list[Visit]:
    """The other visits of a holder that go on."""
    since = now - LONGEST_VISIT - STEP_TIME
    found = visits.unended(connection, Role.HOLDER, holder.user_id or "", since)
    mine = holder.certificate_sha256
    return [each for each in found if each.is_open(now) and each.secret_sha256 != mine]


def _waiting(connection: Connection, step: str, now: datetime) -> tuple[Visit, User]:
    """A visit whose password was right, and whose code is awaited; raises TokenRejected."""
    given = text_sha256(STEP_PREFIX, step)
    made = None if given is None else visits.by_code(connection, Role.HOLDER, given)
    user = None
    if made is not None and made.can_begin(now):
        user = people.find_user(connection, made.visitor_id)
    if made is None or user is None or not _may(connection, user):
        raise TokenRejected(AGAIN)
    return made, user


def _may(connection: Connection, user: User) -> bool:
    """Whether somebody can be at the portal."""
    return user.state is UserState.ACTIVE and policy_of(connection, user).portal_passwords


def _holder(made: Visit, user: User, secret_sha256: bytes) -> Identity:
    """A holder as use cases know who calls. It is no identity of the database."""
    return Identity(
        id=user.id,
        role=Role.HOLDER,
        state=IdentityState.ACTIVE,
        display_name=user.display_name,
        site="",
        user_id=user.id,
        certificate_sha256=secret_sha256,
        public_key=None,
        create_time=made.create_time,
        organisation_id=user.organisation_id,
    )

"""Portal passwords: a holder sets one on a phone; the portal, an API client, lets people enter it,
change it, and set another one with a code by e-mail. Nothing is allowed to anybody by it alone.

Whoever guesses learns nothing of who is known: a name that nobody has is counted, delayed and
compared in the same way, and the same rows are written for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from sqlalchemy import Connection

from cloud_keystore.audit import acting, entries, journal
from cloud_keystore.audit.acting import Acting
from cloud_keystore.custody.credentials.passcodes import Passcodes
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.clock import new_id
from cloud_keystore.model.errors import InvalidInput, PortalClosed, RecordDamaged, TooManyGuesses
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.outbox.notifications import Template
from cloud_keystore.model.people import Identity, Role, User
from cloud_keystore.model.portal.codes import MailedCode, Purpose
from cloud_keystore.model.portal.factors import Unproven
from cloud_keystore.model.portal.passwords import (
    MOST_WRONG,
    Access,
    Checked,
    Chosen,
    Wanted,
    normal,
    violated_rule,
)
from cloud_keystore.model.portal.questions import MOST
from cloud_keystore.people.portal import codes, knowing
from cloud_keystore.people.portal.knowing import Named, check_offered, owner, policy_of
from cloud_keystore.people.portal.passkeys import AskedPasskeys
from cloud_keystore.people.portal.questions import Questions
from cloud_keystore.people.portal.reset_factors import Given, ResetFactors
from cloud_keystore.storage import people
from cloud_keystore.storage.credentials.portal import codes as code_rows
from cloud_keystore.storage.credentials.portal import passwords, questions
from cloud_keystore.storage.credentials.portal.questions import Kept
from cloud_keystore.storage.outbox import notifications as outbox
from cloud_keystore.storage.rights import visits

PASSWORD, ANSWERS = "password", "answers"
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class _Guess:
    """A guess that was counted as wrong, before it is compared."""

    named: Named
    failures: int
    hashed: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class _Taken:
    """A code that was right, and the questions that have to be answered with it."""

    named: Named
    code: MailedCode
    asked: tuple[Kept, ...] = ()
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Passwords:
    """Checks and changes portal passwords. Methods for the portal raise NotAllowed, TooManyGuesses
    with nothing compared, InvalidInput and Overloaded, whoever is named.
    """

    passcodes: Passcodes
    questions: Questions
    second: ResetFactors

    def check(self, name: str, password: str, *, actor: Actor) -> Checked:
        """Whether a password is that of a person, whom an e-mail address or account name means."""
        name, given = knowing.checked(name), normal(password)
        with self.passcodes.hashing.turn():
            guess = self._guess(name, actor)
            right = self._settle(name, guess, actor, fits=self._fits(guess, given))
        if not right:
            return Checked(is_right=False)
        user_id, now = guess.named.user.id, self.passcodes.clock()
        with self.passcodes.database.read() as connection:
            phones = people.list_devices(connection, user_id)
        has_phone = any(each.is_active(now) for each in phones)
        return Checked(is_right=True, user_id=user_id, has_phone=has_phone)

    def change(self, name: str, old: str, new: str, *, actor: Actor) -> Chosen:
        """Set another password, if the old one is right."""
        name, given, new = knowing.checked(name), normal(old), normal(new)
        if rule := violated_rule(new, [name]):
            return Chosen(is_set=False, rule=rule)
        with self.passcodes.hashing.turn():
            guess = self._guess(name, actor)
            fits = self._fits(guess, given)
            hashed = self._hashed(guess.named.who, new) if fits else None
            return Chosen(self._settle(name, guess, actor, fits=fits, hashed=hashed))

    def forget(self, name: str, *, actor: Actor) -> None:
        """Mail a code to a person who has a password and a verified address; nobody is told whether
        there is one. Raises AddressUnreachable if this keystore sends no e-mail.
        """
        own, name = self.passcodes, knowing.checked(name)
        with acting.changing(own.database, actor, own.clock()) as by:
            named = knowing.named(by, name, own.seal)
            has_password = passwords.find(by.connection, named.user.id) is not None
            reached = has_password and named.user.email_verify_time is not None
            codes.send(
                by.connection,
                Template.PASSWORD_CODE,
                Purpose.PASSWORD,
                named.who,
                named.user if reached else None,
                by.now,
                own.random,
            )
            said = {"mailed": reached}
            journal.append(by.connection, named.entry(Kind.RESET_CODE_SENT, by, dict(said)))

    def questions_of(self, name: str, code: str, *, actor: Actor) -> tuple[str, ...] | None:
        """The questions that a person who has the code has to answer: none, if the policy wants no
        answers. None if the code is wrong, of which it loses a try. Raises PortalClosed if more is
        needed.
        """
        own, name = self.passcodes, knowing.checked(name)
        with acting.changing(own.database, actor, own.clock()) as by:
            taken = self._take(by, name, code, is_alone=True)
        return None if taken is None else tuple(each.text for each in taken.asked)

    def wanted(
        self,
        name: str,
        code: str,
        *,
        actor: Actor,
        again: bool = False,
        by_phone: bool = False,
    ) -> Wanted | None:
        """What a person who has the code has to give besides it, for which they are asked. None if
        the code is wrong, of which it loses a try. Raises PortalClosed, and to who has the code
        AddressUnreachable, TooManyCalls.
        """
        own, name = self.passcodes, knowing.checked(name)
        with acting.changing(own.database, actor, own.clock()) as by:
            taken = self._take(by, name, code)
            if taken is None:
                return None
            user, mailed = taken.named.user, taken.code
            needed = self.second.ask(
                by.connection, user, mailed, by.now, again=again, by_phone=by_phone
            )
        if needed.number:
            self.second.assents.wake([user.id])
        return Wanted(tuple(each.text for each in taken.asked), needed)

    def ask_passkey(self, name: str, code: str, *, actor: Actor) -> AskedPasskeys | None:
        """What to ask the passkeys of a person who has the code. None if it is wrong, of which it
        loses a try. Raises PortalClosed.
        """
        own, name = self.passcodes, knowing.checked(name)
        with acting.changing(own.database, actor, own.clock()) as by:
            taken = self._take(by, name, code)
            if taken is None:
                return None
            return self.second.ask_passkey(by.connection, taken.named.user, taken.code)

    def reset(
        self,
        name: str,
        code: str,
        new: str,
        answers: Sequence[str],
        *,
        actor: Actor,
        given: Given | None = None,
    ) -> Chosen:
        """Set another password with the code that was mailed, with as many right answers as the
        policy wants, and with what is needed besides. Raises PortalClosed if answers are wanted
        and the person has no questions, or if nothing can be `given` and more is needed.
        """
        name, new = knowing.checked(name), normal(new)
        if rule := violated_rule(new, [name]):
            return Chosen(is_set=False, rule=rule)
        if len(answers) > MOST:
            raise InvalidInput(f"there are too many answers: at most {MOST}")
        own = self.passcodes
        with own.hashing.turn():
            with acting.changing(own.database, actor, own.clock()) as by:
                taken = self._take(by, name, code, answering=True, is_alone=given is None)
            if taken is None:
                return Chosen(is_set=False)
            right = self.questions.right_ones(taken.asked, answers)
            if taken.asked and right < taken.named.policy.security_answers:
                return self._unanswered(name, taken, actor)
            hashed = self._hashed(taken.named.who, new)
            return self._reset(name, taken, hashed, given or Given(), actor)

    def look_own(self, device: Identity) -> Access:
        """What the holder of a device has for the portal."""
        own = self.passcodes
        with own.database.read() as connection:
            user = owner(connection, device, own.clock())
            policy = policy_of(connection, user)
            return Access(
                is_offered=policy.portal_passwords,
                answers_needed=policy.security_answers,
                email=user.email,
                is_email_verified=user.email_verify_time is not None,
                has_password=passwords.find(connection, user.id) is not None,
                questions=tuple(each.text for each in questions.of(connection, user.id)),
                next_email=user.next_email,
            )

    def set_own(self, new: str, device: Identity, *, first: bool = False) -> Chosen:
        """Set a password on a phone, the first one or another one: the phone is enough. Elsewhere
        it can only be the `first`. Raises PortalClosed, IdentityRejected, Overloaded, and
        InvalidInput if it is not.
        """
        own, now, new = self.passcodes, self.passcodes.clock(), normal(new)
        with own.database.read() as connection:
            user = owner(connection, device, now)
            check_offered(policy_of(connection, user))
        if rule := violated_rule(new, [user.display_name, user.email, user.upn]):
            return Chosen(is_set=False, rule=rule)
        with own.hashing.turn():
            hashed = self._hashed(user.id, new)
        with own.database.write() as connection:
            user = owner(connection, device, now)
            check_offered(policy_of(connection, user))
            if first and passwords.find(connection, user.id) is not None:
                raise InvalidInput("you have a password already: log in with it")
            self._put(connection, user, hashed, now)
            told = entries.about_user(Kind.PORTAL_SET, user, now, device.actor)
            journal.append(connection, told)
        return Chosen(is_set=True)

    def _guess(self, name: str, actor: Actor) -> _Guess:
        """Count a guess as wrong before it is compared."""
        own = self.passcodes
        with acting.changing(own.database, actor, own.clock()) as by:
            named = knowing.named(by, name, own.seal)
            failures = self._count(by, named.who, PASSWORD)
            return _Guess(named, failures, passwords.find(by.connection, named.user.id))

    def _count(self, by: Acting, who: str, what: str) -> int:
        """Raises TooManyGuesses, with nothing counted, if nobody may guess now."""
        retry = passwords.guessed(by.connection, who, what).retry_time
        if retry is not None and by.now < retry:
            minutes = -(-(retry - by.now) // MINUTE)
            raise TooManyGuesses(
                f"too much was wrong under this name: try again in {minutes} min, or set another "
                "password on your phone"
            )
        guess_id = new_id(by.now, self.passcodes.random)
        return passwords.count(by.connection, guess_id, who, what, by.now)

    def _fits(self, guess: _Guess, given: str) -> bool:
        hasher, secret = self.passcodes.hasher, self._pepper(guess.named.who, given)
        if guess.hashed is None or not guess.named.is_known:
            hasher.hash(secret)  # which takes as long as to compare
            return False
        try:
            return hasher.verify(guess.hashed, secret)
        except VerifyMismatchError:
            return False
        except (InvalidHashError, VerificationError) as error:
            raise RecordDamaged(
                f"portal password of {guess.named.user.id} ({type(error).__name__})"
            ) from None

    def _settle(
        self, name: str, guess: _Guess, actor: Actor, *, fits: bool, hashed: str | None = None
    ) -> bool:
        """Write down what came of a guess, and change the password, if another one is given.
        Returns whether it was right, and still is.
        """
        own = self.passcodes
        with acting.changing(own.database, actor, own.clock()) as by:
            named = knowing.named(by, name, own.seal)
            same = passwords.find(by.connection, named.user.id) == guess.hashed
            right = fits and same and named.user.id == guess.named.user.id
            kind = Kind.PORTAL_RIGHT if right else Kind.PORTAL_WRONG
            said = {} if right else {"failures": guess.failures}
            journal.append(by.connection, named.entry(kind, by, dict(said)))
            if right:
                passwords.forgive(by.connection, named.who, PASSWORD)
            elif guess.failures == MOST_WRONG:
                user_id = named.user.id or None
                once, address = new_id(by.now, own.random), named.user.email
                outbox.put_even(
                    by.connection, Template.PORTAL_LOCKED, user_id, by.now, once, address
                )
            if right and hashed is not None:
                self._put(by.connection, named.user, hashed, by.now)
                told = named.entry(Kind.PORTAL_SET, by, {})
                journal.append(by.connection, told)
        return right

    def _take(
        self,
        by: Acting,
        name: str,
        code: str,
        *,
        answering: bool = False,
        is_alone: bool = False,
    ) -> _Taken | None:
        """Take a code; None if it is wrong. Answers that follow are counted as wrong. If it
        `is_alone`, it has to be enough.
        """
        named = knowing.named(by, name, self.passcodes.seal)
        awaited, right = codes.take(
            by.connection,
            self.passcodes.seal,
            Purpose.PASSWORD,
            named.who,
            named.user,
            code,
            by.now,
        )
        if awaited is None or not right:
            tries = 0 if awaited is None else awaited.tries_left
            wrong = named.entry(Kind.RESET_CODE_WRONG, by, {"tries_left": tries})
            journal.append(by.connection, wrong)
            return None
        if is_alone:
            self.second.check_none(by.connection, named.user, by.now)
        needed = named.policy.security_answers
        asked = questions.of(by.connection, named.user.id) if needed else []
        if len(asked) < needed:
            raise PortalClosed(
                "you have chosen no security questions, without which a code is not enough: "
                "set another password on your phone (cloudcard authenticator portal password)"
            )
        failures = self._count(by, named.who, ANSWERS) if needed and answering else 0
        return _Taken(named, awaited, tuple(asked), failures)

    def _unanswered(self, name: str, taken: _Taken, actor: Actor) -> Chosen:
        own = self.passcodes
        with acting.changing(own.database, actor, own.clock()) as by:
            named = knowing.named(by, name, own.seal)
            wrong = named.entry(Kind.ANSWERS_WRONG, by, {"failures": taken.failures})
            journal.append(by.connection, wrong)
        return Chosen(is_set=False)

    def _reset(self, name: str, taken: _Taken, hashed: str, given: Given, actor: Actor) -> Chosen:
        """Spend the code and what was given besides it, and set the password, if all of that is
        possible still.
        """
        own = self.passcodes
        with acting.changing(own.database, actor, own.clock()) as by:
            connection, named = by.connection, knowing.named(by, name, own.seal)
            user, code = named.user, taken.code
            present = code_rows.find(connection, code.id)
            if (
                user.id != taken.named.user.id
                or user.email != code.address
                or named.policy.security_answers != taken.named.policy.security_answers
                or tuple(questions.of(connection, user.id))[: len(taken.asked)] != taken.asked
                or present is None
                or not present.is_live(by.now)
            ):
                return Chosen(is_set=False)
            proven = self.second.take(connection, user, code, given, by.now)
            if isinstance(proven, Unproven):
                passwords.forgive(connection, named.who, ANSWERS)  # which were right
                return Chosen(is_set=False, unproven=proven)
            self._put(connection, user, hashed, by.now)
            said: dict[str, Detail] = {"factor": str(proven.factor)}
            if proven.passkey:
                said["passkey"] = proven.passkey
            journal.append(connection, named.entry(Kind.PORTAL_RESET, by, said))
        return Chosen(is_set=True)

    def _put(self, connection: Connection, user: User, hashed: str, now: datetime) -> None:
        """Set a password: what was guessed wrong is forgotten, and codes are of no use any more."""
        passwords.put(connection, user.id, hashed, now)
        for what in (PASSWORD, ANSWERS):
            passwords.forgive(connection, user.id, what)
        code_rows.end_all(connection, user.id, Purpose.PASSWORD, now)
        # Whoever has logged in by the password before is logged out.
        code_rows.end_all(connection, user.id, Purpose.VISIT, now)
        visits.end_all(connection, Role.HOLDER, user.id, now)
        outbox.put(connection, Template.PASSWORD_CHANGED, user.id, now)

    def _hashed(self, user_id: str, password: str) -> str:
        return self.passcodes.hasher.hash(self._pepper(user_id, password))

    def _pepper(self, who: str, password: str) -> bytes:
        # As for passcodes: a stolen database is of no use without its sealing key.
        return self.passcodes.seal.derive("portal password", f"{who}/{password}".encode())

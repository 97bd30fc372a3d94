"""By what holders log in to the portal besides the password: a mailed code, unless they have chosen
their phone, a passkey, or a code to their number. Another choice needs a code to the registered
address.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from sqlalchemy import Connection

from cloud_keystore.audit import entries, journal
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.model.errors import AddressUnreachable, InvalidInput
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.outbox.notifications import Template
from cloud_keystore.model.people import Identity, User
from cloud_keystore.model.portal.assents import AssentState, Subject
from cloud_keystore.model.portal.codes import Purpose
from cloud_keystore.model.portal.factors import Factor, Factors
from cloud_keystore.people.portal import codes
from cloud_keystore.people.portal.assents import Assents
from cloud_keystore.people.portal.available import can_passkey, can_phone, can_sms, in_force
from cloud_keystore.people.portal.knowing import owner, policy_of
from cloud_keystore.storage.credentials.portal import codes as code_rows
from cloud_keystore.storage.credentials.portal import factors

NO_NUMBER = (
    "there is no verified phone number, or the keystore sends no SMS: verify your number under "
    "Contact first"
)

NAMES: Mapping[Factor, str] = MappingProxyType(
    {
        Factor.EMAIL: "a code by e-mail",
        Factor.SMS: "a code by SMS",
        Factor.PHONE: "a yes of your authenticator",
        Factor.PASSKEY: "a passkey",
    }
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A change of the factor that waits for its code, and for the phone that is to be asked."""

    factor: Factor
    number: str = ""  # to type on the phone


@dataclass(frozen=True, slots=True)
class Changed:
    """Whether a factor was changed; if not, how many tries the code has left, or that the phone has
    not agreed.
    """

    is_set: bool
    tries_left: int = 0
    phone: AssentState = AssentState.USED


@dataclass(frozen=True, slots=True)
class LogInFactors:
    """Shows and changes by what holders log in."""

    assents: Assents
    seal: Seal = field(repr=False)

    def look(self, holder: Identity) -> Factors:
        """What a holder has chosen, and can choose. Raises IdentityRejected."""
        now = self.assents.clock()
        with self.assents.database.read() as connection:
            user = owner(connection, holder, now, is_enrolling=True)
            return Factors(
                chosen=factors.find(connection, user.id),
                in_force=in_force(connection, user, now),
                can_sms=can_sms(connection, user),
                can_phone=can_phone(connection, user, now),
                can_passkey=can_passkey(connection, user),
                email=user.email,
                demanded=policy_of(connection, user).portal_factors,
            )

    def contact(self, holder: Identity) -> User:
        """How a holder is reached, also before log-ins need what is demanded. Raises
        IdentityRejected.
        """
        now = self.assents.clock()
        with self.assents.database.read() as connection:
            return owner(connection, holder, now, is_enrolling=True)

    def ask(self, factor: Factor, holder: Identity) -> Asked:
        """Mail a code to the registered address, and ask the phone that is to be asked from then
        on. Raises InvalidInput, AddressUnreachable, TooManyCalls.
        """
        own, now = self.assents, self.assents.clock()
        with own.database.write() as connection:
            user = owner(connection, holder, now, is_enrolling=True)
            _check(connection, user, factor, now)
            if not user.email or user.email_verify_time is None:
                raise AddressUnreachable("verify your e-mail address under Contact first")
            codes.send(
                connection, Template.FACTOR_CODE, Purpose.FACTOR, user.id, user, now, own.random
            )
            number = ""
            if factor is Factor.PHONE:
                number = own.ask(connection, user, Subject.FACTOR, user.id, holder).number
            told: dict[str, Detail] = {"email": user.email, "factor": str(factor)}
            journal.append(
                connection,
                entries.about_user(Kind.FACTOR_CODE_SENT, user, now, holder.actor, told),
            )
        own.wake([user.id])
        return Asked(factor, number)

    def waiting(self, holder: Identity) -> Asked | None:
        """The phone's question that waits for a holder; None if none does."""
        own = self.assents
        with own.database.read() as connection:
            user = owner(connection, holder, own.clock(), is_enrolling=True)
            made = own.state_of(connection, user, Subject.FACTOR, user.id)
        return None if made is None else Asked(Factor.PHONE, made.number)

    def change(self, factor: Factor, code: str, holder: Identity) -> Changed:
        """Change the factor, with the code that was mailed, and the yes of the phone if it is to be
        asked. Other browsers stay logged in. Raises InvalidInput, AddressUnreachable.
        """
        own, now = self.assents, self.assents.clock()
        with own.database.write() as connection:
            user = owner(connection, holder, now, is_enrolling=True)
            _check(connection, user, factor, now)
            if factor is Factor.PHONE:
                made = own.state_of(connection, user, Subject.FACTOR, user.id)
                state = AssentState.OVER if made is None else made.state_at(now)
                if state is not AssentState.AGREED:
                    return Changed(is_set=False, phone=state)
            awaited, right = codes.take(
                connection, self.seal, Purpose.FACTOR, user.id, user, code.strip(), now
            )
            if awaited is None:
                raise AddressUnreachable("no code is awaited: let one be sent first")
            if not right:
                said: dict[str, Detail] = {"tries_left": awaited.tries_left}
                wrong = entries.about_user(Kind.FACTOR_CODE_WRONG, user, now, holder.actor, said)
                journal.append(connection, wrong)
                return Changed(is_set=False, tries_left=awaited.tries_left)
            if factor is Factor.PHONE:
                own.take(connection, user, Subject.FACTOR, user.id)
            code_rows.end_all(connection, user.id, Purpose.FACTOR, now)
            before = factors.find(connection, user.id)
            factors.put(connection, user.id, factor, now)
            told: dict[str, Detail] = {"old": str(before), "new": str(factor)}
            journal.append(
                connection, entries.about_user(Kind.FACTOR_SET, user, now, holder.actor, told)
            )
        return Changed(is_set=True)


def _check(connection: Connection, user: User, factor: Factor, now: datetime) -> None:
    """Raise InvalidInput if a user cannot have a factor."""
    demanded = policy_of(connection, user).portal_factors
    if demanded and factor not in demanded:
        names = " or ".join(NAMES[each] for each in sorted(demanded))
        raise InvalidInput(f"your organisation demands something else for log-ins: {names}")
    if factor is Factor.SMS and not can_sms(connection, user):
        raise InvalidInput(NO_NUMBER)
    if factor is Factor.PASSKEY and not can_passkey(connection, user):
        raise InvalidInput("you have no passkey: add one first (Passkeys)")
    if factor is Factor.PHONE and not can_phone(connection, user, now):
        raise InvalidInput(
            "you have no phone that is connected: ask your registration authority for an invitation"
        )

"""Unlock codes: an operator makes one and reads it out, and its card's holder chooses another PIN
with it on the phone.

The operator knows the code, so it is never enough: it counts only on a phone of the holder that
this operator has not made. That is one which somebody else has invited, or one on which the holder
had chosen the very PIN that is replaced.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from argon2.exceptions import VerifyMismatchError
from sqlalchemy import Connection

from card_os.piv.names import KeyRef
from cloud_keystore.audit import acting, alerts, budgets, entries, journal
from cloud_keystore.custody.credentials.passcodes import NAMES, Outcome, Passcodes, held, usable
from cloud_keystore.model.actors import Actor, ActorKind
from cloud_keystore.model.cards import IN_USE, Card
from cloud_keystore.model.clock import new_id
from cloud_keystore.model.errors import (
    CardNotInUse,
    IdentityRejected,
    IllegalCardChange,
    TooManyCalls,
)
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.outbox.notifications import Template
from cloud_keystore.model.passcodes import (
    CODE_TRIES,
    CODES_TOLD,
    CODES_WINDOW,
    MOST_CODES,
    MOST_CODES_OF_OPERATOR,
    Mismatch,
    PolicyViolation,
    UnlockCode,
    Verified,
    new_code,
    violated_rule,
)
from cloud_keystore.model.people import Identity
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.notify.wakeups import Wake
from cloud_keystore.storage import passcodes, people, policies, unlocks
from cloud_keystore.storage.credentials import unlock_codes
from cloud_keystore.storage.outbox import notifications as outbox

WINDOW_SECONDS = CODES_WINDOW.total_seconds()
OTHER_OPERATOR = (
    "no phone of its holder counts with a code of yours: you have invited it, and the holder has "
    "not chosen this card's PIN on it; let another operator make the code"
)


@dataclass(frozen=True, slots=True)
class MadeCode:
    """A code as it is read out, once."""

    code: str = field(repr=False)
    card: Card
    expire_time: datetime


@dataclass(frozen=True, slots=True)
class UnlockCodes:
    """Makes unlock codes, and lets holders use them."""

    passcodes: Passcodes
    wake: Wake

    def make(self, serial: str, *, actor: Actor) -> MadeCode:
        """Make a code for the holder of a card, in place of an earlier one. Raises CardNotFound,
        NotAllowed, CardNotInUse, IllegalCardChange if the card has no PIN yet, has had many codes,
        or no phone of its holder counts with one, and TooManyCalls.
        """
        own = self.passcodes
        with acting.looking(own.database, actor, own.clock()) as by:
            by.card(serial, Right.UNLOCK)
        now = own.clock()
        code, code_id = new_code(own.random), new_id(now, own.random)
        with own.hashing.turn():
            hashed = own.hasher.hash(self._pepper(code_id, code.encode()))
        with acting.changing(own.database, actor, now) as by:
            connection, card = by.connection, by.card(serial, Right.UNLOCK)
            self._check_card(connection, card, actor, now)
            made_before = _check_rates(connection, card, actor, now)
            in_force = policies.in_force(connection, card.organisation_id, card.profile)
            expire_time = now + in_force.policy.unlock_code_time
            made = UnlockCode(code_id, card.id, actor.id, hashed, CODE_TRIES, now, expire_time)
            unlock_codes.add(connection, made)
            said: dict[str, Detail] = {"until": expire_time.isoformat()}
            journal.append(
                connection, entries.about_card(Kind.UNLOCK_CODE_MADE, card, now, actor, said)
            )
            until = f"{expire_time:%Y-%m-%d %H:%M} UTC"
            outbox.about_card(connection, Template.UNLOCK_CODE, card, now, until=until)
            if made_before + 1 >= CODES_TOLD:
                alerts.repeated_codes(connection, card, made_before + 1, now, own.random)
        self.wake([card.user_id])
        return MadeCode(code, card, expire_time)

    def use(self, serial: str, code: bytes, new: bytes, device: Identity) -> Outcome:
        """Give the holder's own card, which may be suspended, another PIN, if the code is right. It
        earns no proof. A new PIN that breaks a rule spends no try. Raises CardNotFound,
        CardNotInUse, and IllegalCardChange if there is no code that counts on this phone.
        """
        own = self.passcodes
        with own.database.read() as connection:
            card = usable(connection, held(connection, serial, device), device)
        if rule := violated_rule(KeyRef.PIN, new):
            return PolicyViolation(rule)
        with own.hashing.turn():
            spent, tries = self._spend(card, device)
            if not self._fits(spent, code):
                return self._wrong(card, spent, tries, device)
            self._replace(card, spent, own.hashed(card.id, KeyRef.PIN, new), device)
        self.wake([card.user_id])
        return Verified(b"")

    def _check_card(self, connection: Connection, card: Card, actor: Actor, now: datetime) -> None:
        if card.state not in IN_USE:
            raise CardNotInUse(f"card {card.serial} is {card.state}")
        if passcodes.find(connection, card.id, KeyRef.PIN) is None:
            raise IllegalCardChange(
                f"card {card.serial} has no passcode yet: its holder sets it on the device"
            )
        phones = people.list_devices(connection, card.user_id)
        active = [each for each in phones if each.is_active(now)]
        if not active:
            raise IllegalCardChange(
                f"the holder of card {card.serial} has no phone, and a code is of no use without "
                "one: invite one first (cloudcard ra user invite)"
            )
        chosen_on = passcodes.chosen_on(connection, card.id, KeyRef.PIN)
        if not any(_counts(each, actor.id, chosen_on) for each in active):
            raise IllegalCardChange(f"card {card.serial}: {OTHER_OPERATOR}")

    def _spend(self, card: Card, device: Identity) -> tuple[UnlockCode, int]:
        """Spend a try of the card's code before it is compared; returns how many are left too."""
        own = self.passcodes
        now = own.clock()
        with own.database.write() as connection:
            budgets.check(connection, device.actor, now)
            code = unlock_codes.live(connection, card.id, now)
            tries = None if code is None else self._tries(connection, card, code, device)
            if code is None or tries is None:
                raise _no_code(card)
        return code, tries

    def _tries(
        self, connection: Connection, card: Card, code: UnlockCode, device: Identity
    ) -> int | None:
        chosen_on = passcodes.chosen_on(connection, card.id, KeyRef.PIN)
        if not _counts(device, code.made_by, chosen_on):
            raise IllegalCardChange(
                f"the code for card {card.serial} does not count on this phone, which the same "
                "operator has invited: ask another operator for a code"
            )
        return unlock_codes.spend_try(connection, code)

    def _fits(self, code: UnlockCode, given: bytes) -> bool:
        try:
            return self.passcodes.hasher.verify(code.hash, self._pepper(code.id, given))
        except VerifyMismatchError:
            return False

    def _wrong(self, card: Card, code: UnlockCode, tries: int, device: Identity) -> Mismatch:
        now = self.passcodes.clock()
        with self.passcodes.database.write() as connection:
            said: dict[str, Detail] = {"tries_left": tries, "made_by": code.made_by}
            wrong = entries.about_card(Kind.UNLOCK_CODE_WRONG, card, now, device.actor, said)
            journal.append(connection, wrong)
            if not tries:
                unlock_codes.end(connection, code, now)
        return Mismatch(tries)

    def _replace(self, card: Card, code: UnlockCode, new_hash: str, device: Identity) -> None:
        """Set the PIN, in one transaction with the end of the code. Raises IllegalCardChange if the
        code has ended meanwhile, and what `use` raises.
        """
        own = self.passcodes
        now = own.clock()
        with own.database.write() as connection:
            usable(connection, card, device)
            if not people.is_active(connection, device.id, now):
                raise IdentityRejected("this identity is unknown or was removed: enrol again")
            if not (code.is_live(now) and unlock_codes.end(connection, code, now)):
                raise _no_code(card)
            tries = passcodes.replace(
                connection, card.id, KeyRef.PIN, new_hash, device_id=device.id
            )
            unlocks.drop(connection, card.id)
            own.end(connection, card, None, "passcode changed")
            said: dict[str, Detail] = {
                "key_ref": f"{KeyRef.PIN:02X}",
                "tries_left": tries,
                "made_by": code.made_by,
            }
            kind = Kind.PASSCODE_UNBLOCKED
            journal.append(connection, entries.about_card(kind, card, now, device.actor, said))
            what = NAMES[KeyRef.PIN]
            outbox.about_card(connection, Template.PASSCODE_CHANGED, card, now, passcode=what)

    def _pepper(self, code_id: str, code: bytes) -> bytes:
        return self.passcodes.seal.derive("unlock code", f"{code_id}/".encode() + code)


def _counts(device: Identity, made_by: str, chosen_on: str | None) -> bool:
    """Whether a code of an operator counts on a phone of the card's holder; `chosen_on` is where
    the PIN was chosen.
    """
    if chosen_on == device.id:
        return True
    return device.invited_by not in {"", str(Actor(ActorKind.OPERATOR, made_by))}


def _no_code(card: Card) -> IllegalCardChange:
    return IllegalCardChange(
        f"there is no unlock code for card {card.serial} that is still good: ask your registration "
        "authority for another one"
    )


def _check_rates(connection: Connection, card: Card, actor: Actor, now: datetime) -> int:
    """How many codes the card got within the window. Raises IllegalCardChange, TooManyCalls."""
    since = now - CODES_WINDOW
    made = unlock_codes.of_card(connection, card.id, since)
    if made >= MOST_CODES:
        raise IllegalCardChange(
            f"card {card.serial} had {made} unlock codes within a day: find out why, and wait"
        )
    if unlock_codes.of_operator(connection, actor.id, since) >= MOST_CODES_OF_OPERATOR:
        raise TooManyCalls(
            f"you have made {MOST_CODES_OF_OPERATOR} unlock codes within a day: wait, or let "
            "another operator make them",
            WINDOW_SECONDS,
        )
    return made

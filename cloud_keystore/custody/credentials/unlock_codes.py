"""Unlock codes: an operator makes one and reads it out, and its card's holder chooses another PIN
with it on the phone.

The operator knows the code, so it is never enough: it counts only on a phone of the holder that
does not come from this operator (`provenance`), and only while the operator may still make codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hmac import compare_digest

from sqlalchemy import Connection

from card_os.piv.names import KeyRef
from cloud_keystore.audit import acting, alerts, budgets, entries, journal
from cloud_keystore.custody.credentials import provenance
from cloud_keystore.custody.credentials.passcodes import NAMES, Passcodes, held, usable
from cloud_keystore.custody.credentials.provenance import Doubt
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
    Unlocked,
    new_code,
    violated_rule,
)
from cloud_keystore.model.people import Identity
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.notify.wakeups import Wake
from cloud_keystore.storage import passcodes, people, policies, unlocks
from cloud_keystore.storage.credentials import unlock_codes
from cloud_keystore.storage.outbox import notifications as outbox

WINDOW_SECONDS = CODES_WINDOW.total_seconds()
NO_PHONE_COUNTS: Mapping[Doubt, str] = {
    Doubt.OWN: (
        "no phone of its holder counts with a code of yours, because the holder has not chosen "
        "this card's PIN on it, and you have invited it or given the address to which its "
        "invitation was mailed, or somebody has whom you have invited or who has invited you; let "
        "another operator make the code"
    ),
    Doubt.UNKNOWN: (
        "no phone of its holder counts with a code, because the holder has not chosen this card's "
        "PIN on it, and it was enrolled before it was kept who has invited it; let one operator "
        "invite a phone anew (cloudcard ra user invite), and another one make the code"
    ),
}
THIS_PHONE: Mapping[Doubt, str] = {
    Doubt.OWN: (
        "which comes from the operator who has made the code: ask another operator for a code"
    ),
    Doubt.UNKNOWN: (
        "which was enrolled before it was kept who has invited it: use another phone of yours, or "
        "ask to be invited with a new one"
    ),
}


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
        own, now = self.passcodes, self.passcodes.clock()
        code, code_id = new_code(own.random), new_id(now, own.random)
        hashed = self._hashed(code_id, code.encode())
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

    def use(
        self, serial: str, code: bytes, new: bytes, device: Identity
    ) -> Unlocked | Mismatch | PolicyViolation:
        """Give the holder's own card, which may be suspended, another PIN, if the code is right: a
        global PIN gets the same value, and the PUK is another one, so that nothing is left to
        whoever knew them. A new PIN that breaks a rule spends no try. Raises CardNotFound,
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
            puk = own.new_puk()
            chosen: dict[int, bytes] = {KeyRef.PIN: new, KeyRef.PUK: puk.encode()}
            if PROFILES[card.profile].global_pin:
                chosen[KeyRef.GLOBAL_PIN] = new
            hashes = {each: own.hashed(card.id, each, value) for each, value in chosen.items()}
            self._replace(card, spent, hashes, device)
        self.wake([card.user_id])
        return Unlocked(puk)

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
        doubts = {
            provenance.doubt(connection, each, actor.id, chosen_on): each.id for each in active
        }
        if None not in doubts:
            doubt = Doubt.OWN if Doubt.OWN in doubts else Doubt.UNKNOWN
            raise IllegalCardChange(f"card {card.serial}: {NO_PHONE_COUNTS[doubt]}")

    def _spend(self, card: Card, device: Identity) -> tuple[UnlockCode, int]:
        """Spend a try of the card's code before it is compared; returns how many are left too."""
        own = self.passcodes
        now = own.clock()
        with own.database.write() as connection:
            budgets.check(connection, device.actor, now)
            code = unlock_codes.live(connection, card.id, now)
            if code is None or not _may_still(connection, card, code, now):
                raise _no_code(card)
            doubt = _doubt(connection, card, code, device)
            if doubt is None:
                tries = unlock_codes.spend_try(connection, code)
                if tries is None:
                    raise _no_code(card)
                return code, tries
            if doubt is Doubt.OWN:
                self._refused(connection, card, code, device, now)
        # The alert is written first.
        raise _does_not_count(card, doubt)

    def _refused(
        self,
        connection: Connection,
        card: Card,
        code: UnlockCode,
        device: Identity,
        now: datetime,
    ) -> None:
        said: dict[str, Detail] = {"made_by": code.made_by}
        refused = entries.about_card(Kind.UNLOCK_CODE_REFUSED, card, now, device.actor, said)
        journal.append(connection, refused)
        alerts.code_refused(connection, card, device, now, self.passcodes.random)

    def _fits(self, code: UnlockCode, given: bytes) -> bool:
        return compare_digest(code.hash, self._hashed(code.id, given))

    def _wrong(self, card: Card, code: UnlockCode, tries: int, device: Identity) -> Mismatch:
        own = self.passcodes
        now = own.clock()
        with own.database.write() as connection:
            said: dict[str, Detail] = {"tries_left": tries, "made_by": code.made_by}
            wrong = entries.about_card(Kind.UNLOCK_CODE_WRONG, card, now, device.actor, said)
            journal.append(connection, wrong)
            if not tries:
                unlock_codes.end(connection, code, now)
                alerts.code_used_up(connection, card, now, own.random)
                outbox.about_card(connection, Template.CODE_USED_UP, card, now, code.id)
        return Mismatch(tries)

    def _replace(
        self, card: Card, code: UnlockCode, hashes: Mapping[int, str], device: Identity
    ) -> None:
        """Set the passcodes, in one transaction with the end of the code. Raises IllegalCardChange
        if the code has ended meanwhile, and what `use` raises.
        """
        own = self.passcodes
        now = own.clock()
        with own.database.write() as connection:
            usable(connection, card, device)
            if not people.is_active(connection, device.id, now):
                raise IdentityRejected("this identity is unknown or was removed: enrol again")
            if not (
                code.is_live(now)
                and unlock_codes.end(connection, code, now)
                and _may_still(connection, card, code, now)
            ):
                raise _no_code(card)
            # Meanwhile the PIN can have been chosen elsewhere.
            if (doubt := _doubt(connection, card, code, device)) is not None:
                raise _does_not_count(card, doubt)
            unlocks.drop(connection, card.id)
            own.end(connection, card, None, "passcode changed")
            for key_ref, new_hash in hashes.items():
                tries = passcodes.replace(
                    connection, card.id, key_ref, new_hash, device_id=device.id
                )
                said: dict[str, Detail] = {
                    "key_ref": f"{key_ref:02X}",
                    "tries_left": tries,
                    "made_by": code.made_by,
                }
                kind = Kind.PASSCODE_UNBLOCKED if key_ref == KeyRef.PIN else Kind.PASSCODE_SET
                journal.append(connection, entries.about_card(kind, card, now, device.actor, said))
            what = NAMES[KeyRef.PIN]
            outbox.about_card(connection, Template.PASSCODE_CHANGED, card, now, passcode=what)

    def _hashed(self, code_id: str, code: bytes) -> str:
        # It is random, and has few tries: a keyed hash suffices, and nobody waits for it.
        return self.passcodes.seal.derive("unlock code", f"{code_id}/".encode() + code).hex()


def _may_still(connection: Connection, card: Card, code: UnlockCode, now: datetime) -> bool:
    """Whether the operator who has made a code could make one now."""
    maker = Actor(ActorKind.OPERATOR, code.made_by)
    organisation_id = people.holder(connection, card).organisation_id
    return acting.may(connection, maker, Right.UNLOCK, organisation_id, now)


def _doubt(connection: Connection, card: Card, code: UnlockCode, device: Identity) -> Doubt | None:
    chosen_on = passcodes.chosen_on(connection, card.id, KeyRef.PIN)
    return provenance.doubt(connection, device, code.made_by, chosen_on)


def _does_not_count(card: Card, doubt: Doubt) -> IllegalCardChange:
    return IllegalCardChange(
        f"the code for card {card.serial} does not count on this phone, {THIS_PHONE[doubt]}"
    )


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

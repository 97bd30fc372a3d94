"""Passcodes. Only this module checks them; it spends and stores the try before it compares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import TypeAlias

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from sqlalchemy import Connection

from card_os.piv.names import KeyRef
from card_os.piv.sizes import TRIES
from cloud_keystore.audit import budgets, entries, journal
from cloud_keystore.custody.credentials import guessing, puks
from cloud_keystore.custody.credentials.guessing import Guess
from cloud_keystore.custody.credentials.hashing import Hashing
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.custody.use.closing import end_sessions
from cloud_keystore.model.actors import KEYSTORE, Actor, ActorKind
from cloud_keystore.model.cards import IN_USE, Card, CardEvent, CardState
from cloud_keystore.model.clock import Clock, Random
from cloud_keystore.model.errors import (
    CardNotFound,
    CardNotInUse,
    InvalidInput,
    KeyNotFound,
    PasscodeAlreadySet,
    RecordDamaged,
)
from cloud_keystore.model.journal import Detail, Entry, Kind
from cloud_keystore.model.outbox.notifications import Template
from cloud_keystore.model.passcodes import (
    FACTORY_PASSCODES,
    GUESSABLE_RULE,
    PROOF_TIME,
    Mismatch,
    PolicyViolation,
    Status,
    Verified,
    violated_rule,
)
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.storage import cards, guesses, passcodes
from cloud_keystore.storage.credentials import unlock_codes
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.outbox import notifications as outbox
from cloud_keystore.storage.sessions import Which

PROOF_BYTES = 32
NAMES: Mapping[int, str] = {  # for people
    KeyRef.PIN: "PIN",
    KeyRef.PUK: "PUK",
    KeyRef.GLOBAL_PIN: "global PIN",
}

# What else happens when a card is in use, in the same transaction; returns the topics to wake.
Activated: TypeAlias = Callable[[Connection, Card, datetime], list[str]]
Outcome: TypeAlias = Verified | Mismatch | PolicyViolation


def new_hasher() -> PasswordHasher:
    """Make a hasher: argon2id with 19 MiB and two passes, as OWASP recommends; about 25 ms."""
    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def held(connection: Connection, serial: str, device: Identity) -> Card:
    """The card of a device's holder; raises CardNotFound for anybody else's."""
    card = cards.find_by_serial(connection, serial)
    if card is None or card.user_id != device.user_id:
        raise CardNotFound(f"you have no card {serial}")
    return card


def usable(connection: Connection, card: Card, by: Identity) -> Card:
    """A card as it is now, with which a workstation or its holder's device may try passcodes;
    raises CardNotInUse. The holder of a suspended card can still be the only one who knows its
    passcode.
    """
    if by.role is not Role.DEVICE:
        return cards.in_use(connection, card.serial)
    now = cards.named(connection, card.serial)
    if now.state not in IN_USE:
        raise CardNotInUse(f"card {card.serial} is {now.state}")
    return now


@dataclass(frozen=True, slots=True)
class Spent:
    """A try that was spent, and the hash to compare with."""

    hashed: str
    tries_left: int
    failures: int  # with this try
    guess_id: int | None  # its count for the workstation


@dataclass(frozen=True, slots=True)
class Change:
    """A new passcode that somebody gave with the right one."""

    key_ref: int
    passcode: bytes = field(repr=False)
    kind: Kind  # of its entry in the journal


@dataclass(frozen=True, slots=True)
class Passcodes:
    """The use cases of passcodes. Methods that take a serial number raise CardNotFound if there is
    no such card, and CardNotInUse if it is not active.
    """

    database: Database
    seal: Seal
    clock: Clock
    random: Random
    hasher: PasswordHasher
    activated: Activated
    hashing: Hashing = field(default_factory=Hashing)

    def status(self, serial: str, key_ref: int) -> Status:
        """Return the status of a passcode; raises KeyNotFound if the card does not have it."""
        card = self._active(serial, key_ref)
        with self.database.read() as connection:
            return passcodes.find(connection, card.id, key_ref) or Status()

    def verify(self, serial: str, key_ref: int, passcode: bytes, workstation: Identity) -> Outcome:
        """Check a PIN. The right one restores its tries and earns a proof for the workstation.

        Raises KeyNotFound if the card does not have it, and for the PUK, which opens nothing; like
        `change` and `reset` TooManyGuesses, with no try spent, if nobody may guess now.
        """
        card = self._active(serial, key_ref)
        if key_ref == KeyRef.PUK:
            raise KeyNotFound("the PUK is not verified on its own")
        return self._check(Guess(card, key_ref, passcode, workstation))

    def change(
        self, serial: str, key_ref: int, old: bytes, new: bytes, workstation: Identity
    ) -> Outcome:
        """Replace a passcode if the old one is right; raises KeyNotFound if the card does not have
        it, PukRefused. A changed PIN earns a proof, a changed PUK none.
        """
        card = self._active(serial, key_ref, at_workstation=True)
        change = Change(key_ref, new, Kind.PASSCODE_SET)
        return self._check(Guess(card, key_ref, old, workstation), change)

    def reset(self, serial: str, puk: bytes, new: bytes, workstation: Identity) -> Outcome:
        """Set a new PIN and restore its tries, if the PUK is right, which earns no proof.

        A wrong PUK is reported before a bad new PIN, because ykman sends both at once to block a
        PUK. Raises PukRefused.
        """
        card = self._active(serial, KeyRef.PUK, at_workstation=True)
        change = Change(KeyRef.PIN, new, Kind.PASSCODE_UNBLOCKED)
        return self._check(Guess(card, KeyRef.PUK, puk, workstation), change)

    def change_own(self, serial: str, old: bytes, new: bytes, device: Identity) -> Outcome:
        """Replace the PIN of the holder's own card, which may be suspended, if the old one is
        right. It earns no proof. Raises CardNotFound, CardNotInUse, TooManyGuesses.
        """
        change = Change(KeyRef.PIN, new, Kind.PASSCODE_SET)
        return self._check(Guess(self._own(serial, device), KeyRef.PIN, old, device), change)

    def reset_own(self, serial: str, puk: bytes, new: bytes, device: Identity) -> Outcome:
        """Set a new PIN of the holder's own card, which may be suspended, and restore its tries, if
        the PUK is right. Raises what `change_own` raises.
        """
        change = Change(KeyRef.PIN, new, Kind.PASSCODE_UNBLOCKED)
        return self._check(Guess(self._own(serial, device), KeyRef.PUK, puk, device), change)

    def set_first(self, serial: str, passcode: bytes, device: Identity) -> str:
        """Set the first PIN of the holder's own card, make its PUK, and activate the card; return
        the PUK. A global PIN starts with the same value as the PIN.

        Raises InvalidInput, CardNotFound, CardNotInUse, PasscodeAlreadySet.
        """
        if rule := violated_rule(KeyRef.PIN, passcode):
            raise InvalidInput(f"the passcode must be {rule}")
        puk = self.new_puk()
        with self.database.read() as connection:
            card = held(connection, serial, device)
        if card.state in (CardState.ISSUING, CardState.FAILED):
            raise CardNotInUse(f"card {serial} is still being issued: wait until it is complete")
        first: dict[int, bytes] = {KeyRef.PIN: passcode, KeyRef.PUK: puk.encode()}
        if PROFILES[card.profile].global_pin:
            first[KeyRef.GLOBAL_PIN] = passcode
        hashes = self._hashes(card.id, first)
        with self.database.write() as connection:
            if not cards.move(connection, card.id, CardEvent.ACTIVATE):
                raise PasscodeAlreadySet(
                    f"card {serial} is {card.state} and not waiting for a passcode"
                )
            for key_ref, hashed in hashes.items():
                passcodes.put(connection, card.id, key_ref, hashed, TRIES, device_id=device.id)
            now, actor = self.clock(), Actor(ActorKind.HOLDER, card.user_id)
            told = [
                entries.about_card(
                    Kind.PASSCODE_SET, card, now, actor, {"key_ref": f"{key_ref:02X}"}
                )
                for key_ref in hashes
            ]
            told.append(entries.about_card(Kind.CARD_ACTIVATED, card, now, actor))
            journal.append(connection, *told)
            outbox.about_card(connection, Template.CARD_ACTIVE, card, now, card.id)
            self.activated(connection, card, now)
        return puk

    def new_puk(self) -> str:
        """Eight random digits, which no guesser tries first."""
        while True:
            puk = f"{int.from_bytes(self.random(8)) % 10**8:08}"
            if violated_rule(KeyRef.PUK, puk.encode()) is None:
                return puk

    def factory(self, card_id: str) -> Mapping[int, str]:
        """Return the hashes of the publicly known passcodes by key reference, for a card whose
        profile has them.
        """
        return self._hashes(card_id, FACTORY_PASSCODES)

    def _active(self, serial: str, key_ref: int, *, at_workstation: bool = False) -> Card:
        with self.database.read() as connection:
            card = cards.in_use(connection, serial)
            if at_workstation:
                puks.check_workstation(connection, card, key_ref)
        if not PROFILES[card.profile].has_passcode(key_ref):
            raise KeyNotFound(f"card {serial} has no passcode {key_ref:02X}")
        return card

    def _own(self, serial: str, device: Identity) -> Card:
        with self.database.read() as connection:
            return usable(connection, held(connection, serial, device), device)

    def _check(self, guess: Guess, change: Change | None = None) -> Outcome:
        """Wait for a turn, then compare. A caller that gets no turn has spent no try."""
        with self.hashing.turn():
            while True:
                spent = self._spend(guess)
                if spent is None:
                    return Mismatch(0)
                if not self._fits(spent.hashed, guess):
                    return self._wrong(guess, spent)
                # Meanwhile the passcode can have been changed: it is then compared with the new
                # one.
                if (outcome := self._right(guess, spent, change)) is not None:
                    return outcome

    def _spend(self, guess: Guess) -> Spent | None:
        """Spend a try; return None if the passcode is blocked. Raises TooManyGuesses, with no try
        spent, if nobody may guess now.
        """
        now, which = self.clock(), (guess.card.id, guess.key_ref)
        with self.database.write() as connection:
            budgets.check(connection, guess.given.actor, now)
            status = passcodes.find(connection, *which) or Status()
            refused = (
                guessing.refusal(connection, guess, status, now, self.random)
                if status.tries_left
                else None
            )
            if refused is None:
                spent = passcodes.spend_try(connection, *which, now)
                if spent is None:
                    self._blocked(connection, guess)
                    return None
                at = guess.given.id
                guess_id = guesses.begin(connection, at, now) if guess.counts else None
                return Spent(*spent, guess_id)
        # The alert is written first.
        raise refused

    def _fits(self, hashed: str, guess: Guess) -> bool:
        card, key_ref = guess.card, guess.key_ref
        try:
            return self.hasher.verify(hashed, self._pepper(card.id, key_ref, guess.passcode))
        except VerifyMismatchError:
            return False
        except (InvalidHashError, VerificationError) as error:
            raise RecordDamaged(
                f"passcode {key_ref:02X} of card {card.id} ({type(error).__name__}): restore the "
                "database from a backup"
            ) from None

    def _wrong(self, guess: Guess, spent: Spent) -> Mismatch:
        """Write down a wrong passcode. With its last try, everything that rests on it ends."""
        tries = spent.tries_left
        with self.database.write() as connection:
            wrong = self._tried(Kind.PASSCODE_WRONG, guess, tries, failures=spent.failures)
            journal.append(connection, wrong)
            if not tries:
                self._blocked(connection, guess)
                self.end(connection, guess.card, guess.key_ref, "passcode blocked")
            guessing.told(connection, guess, self.clock(), self.random)
        return Mismatch(tries)

    def _blocked(self, connection: Connection, guess: Guess) -> None:
        """Write down that a passcode is blocked. The holder is told once for each time, also where
        whoever took the last try has ended before that was written.
        """
        journal.append(connection, self._tried(Kind.PASSCODE_BLOCKED, guess))
        card, key_ref = guess.card, guess.key_ref
        status = passcodes.find(connection, card.id, key_ref) or Status()
        once, what = f"{card.id} {key_ref:02X} {status.fail_time}", NAMES[key_ref]
        outbox.about_card(connection, Template.LOCKED, card, self.clock(), once, passcode=what)

    def _right(self, guess: Guess, spent: Spent, change: Change | None) -> Outcome | None:
        """Restore the tries, make the change, and give a proof for a PIN, in one transaction.

        Return None, with nothing done, if the passcode is another one by now; raises CardNotInUse
        if the card is out of use by now.
        """
        card, key_ref, by = guess.card, guess.key_ref, guess.given
        rule = None if change is None else violated_rule(change.key_ref, change.passcode)
        if rule is GUESSABLE_RULE and PROFILES[card.profile].factory_passcodes:
            rule = None
        new_hash = None
        if change is not None and rule is None:
            new_hash = self.hashed(card.id, change.key_ref, change.passcode)
        with self.database.write() as connection:
            tries = passcodes.was_right(connection, card.id, key_ref, spent.hashed)
            if tries is None:
                return None
            if spent.guess_id is not None:
                guesses.forgive(connection, spent.guess_id)
            usable(connection, card, by)
            journal.append(connection, self._tried(Kind.PASSCODE_RIGHT, guess, tries))
            if rule is not None:
                return PolicyViolation(rule)
            if change is not None and new_hash is not None:
                self._replace(connection, guess, change, new_hash)
            if key_ref == KeyRef.PUK or by.role is Role.DEVICE:
                return Verified(b"")
            proof, expire_time = self.random(PROOF_BYTES), self.clock() + PROOF_TIME
            passcodes.add_proof(
                connection, sha256(proof).digest(), card.id, key_ref, by.id, expire_time
            )
        return Verified(proof)

    def _replace(self, connection: Connection, guess: Guess, change: Change, new_hash: str) -> None:
        card, key_ref = guess.card, change.key_ref
        factory = (
            PROFILES[card.profile].factory_passcodes
            and FACTORY_PASSCODES.get(key_ref) == change.passcode
        )
        by = guess.given
        chosen_on = by.id if by.role is Role.DEVICE else None
        tries = passcodes.replace(
            connection, card.id, key_ref, new_hash, factory=factory, device_id=chosen_on
        )
        if key_ref != KeyRef.PUK:
            self.end(connection, card, None, "passcode changed")
        if key_ref == KeyRef.PIN:
            unlock_codes.end_all(connection, card.id, self.clock())
        told = Guess(card, key_ref, change.passcode, guess.given)
        journal.append(connection, self._tried(change.kind, told, tries))
        what = NAMES[key_ref]
        outbox.about_card(connection, Template.PASSCODE_CHANGED, card, self.clock(), passcode=what)

    def end(self, connection: Connection, card: Card, key_ref: int | None, why: str) -> None:
        """End what rests on a passcode that was given: proofs and sessions. Nothing rests on a
        PUK.
        """
        if key_ref == KeyRef.PUK:
            return
        passcodes.drop_proofs(connection, card.id, key_ref)
        end_sessions(connection, self.clock(), KEYSTORE, why, Which(card_id=card.id))

    def _tried(self, kind: Kind, guess: Guess, tries_left: int = 0, **more: int) -> Entry:
        said: dict[str, Detail] = {
            "key_ref": f"{guess.key_ref:02X}",
            "tries_left": tries_left,
            **more,
        }
        actor = guess.given.actor
        return entries.about_card(kind, guess.card, self.clock(), actor, said)

    def _hashes(self, card_id: str, passcodes: Mapping[int, bytes]) -> Mapping[int, str]:
        with self.hashing.turn():
            return {
                key_ref: self.hashed(card_id, key_ref, passcode)
                for key_ref, passcode in passcodes.items()
            }

    def hashed(self, card_id: str, key_ref: int, passcode: bytes) -> str:
        return self.hasher.hash(self._pepper(card_id, key_ref, passcode))

    def _pepper(self, card_id: str, key_ref: int, passcode: bytes) -> bytes:
        # All values of six digits can be tried quickly. The pepper prevents this for a stolen
        # database without its sealing key.
        return self.seal.derive("passcode", f"{card_id}/{key_ref:02x}/".encode() + passcode)

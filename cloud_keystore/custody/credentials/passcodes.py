"""Passcodes. Only this module checks them; it spends and stores the try before it compares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TypeAlias

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from card_os.piv.names import KeyRef
from card_os.piv.sizes import TRIES
from cloud_keystore.audit import entries, journal
from cloud_keystore.custody.credentials.hashing import Hashing
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.custody.use.closing import end_sessions
from cloud_keystore.model.actors import KEYSTORE, Actor, ActorKind
from cloud_keystore.model.cards import Card, CardEvent
from cloud_keystore.model.clock import Clock, Random
from cloud_keystore.model.errors import (
    CardNotFound,
    InvalidInput,
    KeyNotFound,
    PasscodeAlreadySet,
    RecordDamaged,
)
from cloud_keystore.model.journal import Detail, Entry, Kind
from cloud_keystore.model.passcodes import (
    FACTORY_PASSCODES,
    PROOF_TIME,
    Mismatch,
    PolicyViolation,
    Status,
    Verified,
    violated_rule,
)
from cloud_keystore.model.people import Identity
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.storage import cards, passcodes
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.sessions import Which

PROOF_BYTES = 32

Outcome: TypeAlias = Verified | Mismatch | PolicyViolation


def new_hasher() -> PasswordHasher:
    """Make a hasher: argon2id with 19 MiB and two passes, as OWASP recommends; about 25 ms."""
    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


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
    hashing: Hashing = field(default_factory=Hashing)

    def status(self, serial: str, key_ref: int) -> Status:
        """Return the status of a passcode; raises KeyNotFound if the card does not have it."""
        card = self._active(serial, key_ref)
        with self.database.read() as connection:
            return passcodes.find(connection, card.id, key_ref) or Status()

    def verify(self, serial: str, key_ref: int, passcode: bytes, workstation: Identity) -> Outcome:
        """Check a PIN. The right one restores its tries and earns a proof for the workstation.

        Raises KeyNotFound if the card does not have it, and for the PUK, which opens nothing.
        """
        card = self._active(serial, key_ref)
        if key_ref == KeyRef.PUK:
            raise KeyNotFound("the PUK is not verified on its own")
        wrong = self._check(card, key_ref, passcode, workstation)
        return wrong or self._prove(card, workstation)

    def change(
        self, serial: str, key_ref: int, old: bytes, new: bytes, workstation: Identity
    ) -> Outcome:
        """Replace a passcode if the old one is right; raises KeyNotFound if the card does not have
        it.
        """
        card = self._active(serial, key_ref)
        if wrong := self._check(card, key_ref, old, workstation):
            return wrong
        if rule := violated_rule(key_ref, new):
            return PolicyViolation(rule)
        self._replace(card, key_ref, new, Kind.PASSCODE_SET, workstation)
        return self._prove(card, workstation)

    def reset(self, serial: str, puk: bytes, new: bytes, workstation: Identity) -> Outcome:
        """Set a new PIN and restore its tries, if the PUK is right.

        A wrong PUK is reported before a bad new PIN, because ykman sends both at once to block a
        PUK.
        """
        card = self._active(serial, KeyRef.PUK)
        if wrong := self._check(card, KeyRef.PUK, puk, workstation):
            return wrong
        if rule := violated_rule(KeyRef.PIN, new):
            return PolicyViolation(rule)
        self._replace(card, KeyRef.PIN, new, Kind.PASSCODE_UNBLOCKED, workstation)
        return self._prove(card, workstation)

    def set_first(self, serial: str, passcode: bytes, device: Identity) -> str:
        """Set the first PIN of the holder's own card, make its PUK, and activate the card; return
        the PUK. A global PIN starts with the same value as the PIN.

        Raises InvalidInput, CardNotFound, PasscodeAlreadySet.
        """
        if rule := violated_rule(KeyRef.PIN, passcode):
            raise InvalidInput(f"the passcode must be {rule}")
        puk = f"{int.from_bytes(self.random(8)) % 10**8:08}"
        with self.database.read() as connection:
            card = cards.find_by_serial(connection, serial)
        if card is None or card.user_id != device.user_id:
            raise CardNotFound(f"you have no card {serial}")
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
                passcodes.put(connection, card.id, key_ref, hashed, TRIES)
            now, actor = self.clock(), Actor(ActorKind.HOLDER, card.user_id)
            told = [
                entries.about_card(
                    Kind.PASSCODE_SET, card, now, actor, {"key_ref": f"{key_ref:02X}"}
                )
                for key_ref in hashes
            ]
            told.append(entries.about_card(Kind.CARD_ACTIVATED, card, now, actor))
            journal.append(connection, *told)
        return puk

    def factory(self, card_id: str) -> Mapping[int, str]:
        """Return the hashes of the publicly known passcodes by key reference, for a card whose
        profile has them.
        """
        return self._hashes(card_id, FACTORY_PASSCODES)

    def _active(self, serial: str, key_ref: int) -> Card:
        with self.database.read() as connection:
            card = cards.in_use(connection, serial)
        if not PROFILES[card.profile].has_passcode(key_ref):
            raise KeyNotFound(f"card {serial} has no passcode {key_ref:02X}")
        return card

    def _check(
        self, card: Card, key_ref: int, passcode: bytes, workstation: Identity
    ) -> Mismatch | None:
        """Wait for a turn, then compare. A caller that gets no turn has spent no try."""
        with self.hashing.turn():
            return self._compare(card, key_ref, passcode, workstation)

    def _compare(
        self, card: Card, key_ref: int, passcode: bytes, workstation: Identity
    ) -> Mismatch | None:
        """Spend a try, then compare. If the passcode is right, restore its tries; return None."""
        with self.database.write() as connection:
            spent = passcodes.spend_try(connection, card.id, key_ref)
        if spent is None:
            with self.database.write() as connection:
                blocked = self._tried(Kind.PASSCODE_BLOCKED, card, key_ref, workstation)
                journal.append(connection, blocked)
            return Mismatch(0)
        hashed, tries = spent
        try:
            self.hasher.verify(hashed, self._pepper(card.id, key_ref, passcode))
        except VerifyMismatchError:
            wrong = [self._tried(Kind.PASSCODE_WRONG, card, key_ref, workstation, tries)]
            if not tries:
                wrong.append(self._tried(Kind.PASSCODE_BLOCKED, card, key_ref, workstation))
            with self.database.write() as connection:
                journal.append(connection, *wrong)
            return Mismatch(tries)
        except (InvalidHashError, VerificationError) as error:
            raise RecordDamaged(
                f"passcode {key_ref:02X} of card {card.id} ({type(error).__name__}): restore the "
                "database from a backup"
            ) from None
        with self.database.write() as connection:
            tries = passcodes.restore_tries(connection, card.id, key_ref)
            right = self._tried(Kind.PASSCODE_RIGHT, card, key_ref, workstation, tries)
            journal.append(connection, right)
        return None

    def _tried(
        self, kind: Kind, card: Card, key_ref: int, workstation: Identity, tries_left: int = 0
    ) -> Entry:
        said: dict[str, Detail] = {"key_ref": f"{key_ref:02X}", "tries_left": tries_left}
        return entries.about_card(kind, card, self.clock(), workstation.actor, said)

    def _replace(
        self, card: Card, key_ref: int, new: bytes, kind: Kind, workstation: Identity
    ) -> None:
        hashed = self._hash(card.id, key_ref, new)
        factory = PROFILES[card.profile].factory_passcodes and FACTORY_PASSCODES.get(key_ref) == new
        with self.database.write() as connection:
            tries = passcodes.replace(connection, card.id, key_ref, hashed, factory=factory)
            passcodes.drop_proofs(connection, card.id)
            end_sessions(
                connection, self.clock(), KEYSTORE, "passcode changed", Which(card_id=card.id)
            )
            told = self._tried(kind, card, key_ref, workstation, tries)
            journal.append(connection, told)

    def _prove(self, card: Card, workstation: Identity) -> Verified:
        proof = self.random(PROOF_BYTES)
        expire_time = self.clock() + PROOF_TIME
        with self.database.write() as connection:
            passcodes.add_proof(
                connection, sha256(proof).digest(), card.id, workstation.id, expire_time
            )
        return Verified(proof)

    def _hashes(self, card_id: str, passcodes: Mapping[int, bytes]) -> Mapping[int, str]:
        return {
            key_ref: self._hash(card_id, key_ref, passcode)
            for key_ref, passcode in passcodes.items()
        }

    def _hash(self, card_id: str, key_ref: int, passcode: bytes) -> str:
        with self.hashing.turn():
            return self.hasher.hash(self._pepper(card_id, key_ref, passcode))

    def _pepper(self, card_id: str, key_ref: int, passcode: bytes) -> bytes:
        # All values of six digits can be tried quickly. The pepper prevents this for a stolen
        # database without its sealing key.
        return self.seal.derive("passcode", f"{card_id}/{key_ref:02x}/".encode() + passcode)

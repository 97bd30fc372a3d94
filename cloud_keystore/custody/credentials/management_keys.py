"""Management keys (key reference 9B), by which administrators authenticate. They are sealed at
rest and used only here.

The right answer to a challenge earns a proof, which must accompany each change of the card.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import ciphers
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from sqlalchemy import Connection

from card_os.piv.algorithms import BLOCK_BYTES
from card_os.piv.names import Cipher
from cloud_keystore.audit import budgets, entries, journal
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.model.cards import Card
from cloud_keystore.model.clock import Clock, Random
from cloud_keystore.model.errors import (
    AdministratorNeeded,
    ChallengeRejected,
    InvalidInput,
    KeyNotFound,
    TooManyGuesses,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.management_keys import (
    CHALLENGE_TIME,
    GUESS_LIMIT,
    GUESS_WINDOW,
    PROOF_TIME,
    Granted,
    broken_rule,
    factory_key,
)
from cloud_keystore.model.people import Identity
from cloud_keystore.storage import cards, management_keys
from cloud_keystore.storage.engine import Database

PROOF_BYTES = 32


@dataclass(frozen=True, slots=True)
class ManagementKeys:
    """The use cases of management keys: challenges, and proofs for the right answers."""

    database: Database
    seal: Seal
    clock: Clock
    random: Random

    def request_challenge(
        self, serial: str, algorithm: int, workstation: Identity, *, enciphered: bool
    ) -> bytes:
        """Make a challenge, or a witness if `enciphered`. An earlier challenge becomes void.

        Raises CardNotFound, CardNotInUse, and KeyNotFound if the card has no management key of this
        algorithm.
        """
        now = self.clock()
        with self.database.write() as connection:
            card, cipher, key = self._key(connection, serial, algorithm)
            block = self.random(BLOCK_BYTES[cipher])
            encrypted = encipher(cipher, key, block)
            sent, answer = (encrypted, block) if enciphered else (block, encrypted)
            management_keys.add_challenge(
                connection, card.id, workstation.id, sha256(answer).digest(), now + CHALLENGE_TIME
            )
        return sent

    def answer_challenge(
        self, serial: str, algorithm: int, workstation: Identity, response: bytes, own: bytes
    ) -> Granted:
        """Check the answer to a challenge and grant a proof; encipher `own`, the administrator's
        own challenge, which can be empty.

        The challenge is spent in a commit of its own before the comparison. Raises what
        `request_challenge` raises, ChallengeRejected, TooManyGuesses, and InvalidInput if `own` is
        not one cipher block.
        """
        now = self.clock()
        with self.database.write() as connection:
            budgets.check(connection, workstation.actor, now)
            card, cipher, key = self._key(connection, serial, algorithm)
            if own and len(own) != BLOCK_BYTES[cipher]:
                raise InvalidInput(f"challenge has {len(own)} bytes: give one cipher block")
            guessed = management_keys.count_guesses(connection, card.id, now) >= GUESS_LIMIT
            spent = (
                None
                if guessed
                else management_keys.spend_challenge(connection, card.id, workstation.id, now)
            )
            if spent is None:
                why = {"why": "too many wrong answers" if guessed else "no challenge"}
                kind, actor = Kind.ADMINISTRATOR_REFUSED, workstation.actor
                journal.append(connection, entries.about_card(kind, card, now, actor, why))
        if guessed:
            minutes = int(GUESS_WINDOW.total_seconds() // 60)
            raise TooManyGuesses(
                f"card {serial} got {GUESS_LIMIT} wrong answers within {minutes} minutes: wait"
            )
        if spent is None:
            raise ChallengeRejected("there is no challenge to answer: request one")
        challenge_id, expected = spent
        if not compare_digest(sha256(response).digest(), expected):
            with self.database.write() as connection:
                kind, actor = Kind.ADMINISTRATOR_WRONG, workstation.actor
                journal.append(connection, entries.about_card(kind, card, now, actor))
            raise ChallengeRejected("the answer is wrong: another management key made it")
        proof = self.random(PROOF_BYTES)
        with self.database.write() as connection:
            if self._key(connection, serial, algorithm)[2] != key:
                raise ChallengeRejected("the management key has just been replaced")
            management_keys.forgive(connection, challenge_id)
            management_keys.add_proof(
                connection, sha256(proof).digest(), card.id, workstation.id, now + PROOF_TIME
            )
            kind, actor = Kind.ADMINISTRATOR_RIGHT, workstation.actor
            journal.append(connection, entries.about_card(kind, card, now, actor))
        return Granted(proof, encipher(cipher, key, own))

    def check(self, connection: Connection, card: Card, proof: bytes, workstation_id: str) -> None:
        """Raise AdministratorNeeded unless the proof is valid for this card and workstation."""
        digest = sha256(proof).digest()
        if not management_keys.has_proof(connection, digest, card.id, workstation_id, self.clock()):
            raise AdministratorNeeded("authenticate with the management key again")

    def is_factory(self, connection: Connection, card: Card) -> bool:
        """Whether a card's management key is the one that everybody knows."""
        found = management_keys.find_key(connection, card.id)
        if found is None:
            return False
        cipher, sealed = found
        key = self.seal.open(sealed, management_context(card.id, cipher))
        return compare_digest(key, factory_key(cipher))

    def set_key(
        self, connection: Connection, card: Card, cipher: Cipher, key: bytes, proof: bytes
    ) -> None:
        """Replace a card's management key. All proofs of the earlier key end except `proof`, with
        which the new key was set: tools continue with it and store their notes.

        Raises InvalidInput if the key is weak or has another length.
        """
        if rule := broken_rule(cipher, key):
            raise InvalidInput(rule)
        put_key(connection, card, cipher, key, self.seal, sha256(proof).digest())

    def _key(
        self, connection: Connection, serial: str, algorithm: int
    ) -> tuple[Card, Cipher, bytes]:
        card = cards.in_use(connection, serial)
        found = management_keys.find_key(connection, card.id)
        if found is None or found[0] != algorithm:
            raise KeyNotFound(f"card {serial} has no management key of this algorithm")
        cipher, sealed = found
        return card, cipher, self.seal.open(sealed, management_context(card.id, cipher))


def put_key(
    connection: Connection,
    card: Card,
    cipher: Cipher,
    key: bytes,
    seal: Seal,
    kept_sha256: bytes = b"",
) -> None:
    """Seal a management key and give it to a card. All proofs of the card end, except the one whose
    SHA-256 is `kept_sha256`.
    """
    sealed = seal.close(key, management_context(card.id, cipher))
    management_keys.set_key(connection, card.id, cipher, sealed)
    management_keys.drop_proofs(connection, card.id, kept_sha256)


def encipher(cipher: Cipher, key: bytes, block: bytes) -> bytes:
    """Encipher one block, or none, with a management key (SP 800-73-5 part 2, A.2)."""
    algorithm = TripleDES(key) if cipher is Cipher.TDEA else AES(key)
    # The block is random and never repeated, so a mode of operation would add nothing.
    encryptor = ciphers.Cipher(algorithm, ECB()).encryptor()  # noqa: S305
    return encryptor.update(block) + encryptor.finalize()


def management_context(card_id: str, cipher: Cipher) -> str:
    """Return the context under which a management key is sealed."""
    return f"management key {card_id}/{cipher:02x}"

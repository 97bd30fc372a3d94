"""The management key of a local card: enciphers blocks under key 9B, and makes challenges."""

from __future__ import annotations

from dataclasses import dataclass, field
from hmac import compare_digest

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import ciphers
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from card_os.piv.algorithms import BLOCK_BYTES
from card_os.piv.names import Cipher
from private_keys.keys import Random


@dataclass(frozen=True, slots=True)
class Challenge:
    """A challenge that waits for its answer."""

    algorithm: int
    answer: bytes = field(repr=False)

    def is_answered_by(self, algorithm: int, response: bytes) -> bool:
        """Whether the answer is right. The comparison takes constant time."""
        return compare_digest(response, self.answer) and algorithm == self.algorithm


def challenge(
    algorithm: int, key: bytes, random: Random, *, enciphered: bool
) -> tuple[Challenge, bytes]:
    """A new challenge, and the block to send: a witness if `enciphered`, or a plain challenge."""
    plain = random(BLOCK_BYTES[algorithm])
    cipher = encipher(algorithm, key, plain)
    if enciphered:
        return Challenge(algorithm, plain), cipher
    return Challenge(algorithm, cipher), plain


def encipher(algorithm: int, key: bytes, block: bytes) -> bytes:
    """Encipher one block; each command holds a single one (SP 800-73-5 part 2, 3.2.4)."""
    chosen = TripleDES(key) if algorithm == Cipher.TDEA else AES(key)
    encryptor = ciphers.Cipher(chosen, ECB()).encryptor()  # noqa: S305 (one block, which is random)
    return encryptor.update(block) + encryptor.finalize()

"""Management keys (key reference 9B): which are accepted, and what an administrator gets."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from card_os.piv.algorithms import MANAGEMENT_KEY_BYTES
from card_os.piv.names import Cipher
from card_os.piv.sizes import FACTORY_MANAGEMENT_KEY

CHALLENGE_TIME = timedelta(seconds=60)
PROOF_TIME = timedelta(minutes=15)
# Everybody knows the factory's management keys, so only few guesses are allowed.
GUESS_WINDOW = timedelta(minutes=10)
GUESS_LIMIT = 10  # wrong answers for a card in the window; after that all are refused

DES_KEY_BYTES = 8
PARITY = 0xFE  # all bits of a byte of a DES key but the last, which is the parity bit
# Weak keys decrypt what they have encrypted; semi-weak keys do so in pairs (SP 800-67r2, 3.3.2).
WEAK_DES_KEYS = frozenset(
    bytes(byte & PARITY for byte in bytes.fromhex(digits))
    for digits in (
        *("0101010101010101", "FEFEFEFEFEFEFEFE", "E0E0E0E0F1F1F1F1", "1F1F1F1F0E0E0E0E"),
        *("011F011F010E010E", "1F011F010E010E01", "01E001E001F101F1", "E001E001F101F101"),
        *("01FE01FE01FE01FE", "FE01FE01FE01FE01", "1FE01FE00EF10EF1", "E01FE01FF10EF10E"),
        *("1FFE1FFE0EFE0EFE", "FE1FFE1FFE0EFE0E", "E0FEE0FEF1FEF1FE", "FEE0FEE0FEF1FEF1"),
    )
)


@dataclass(frozen=True, slots=True)
class Granted:
    """The answer was right. `proof` must accompany changes of this card at this workstation.

    `cryptogram` is the administrator's own challenge, enciphered; empty without a challenge.
    """

    proof: bytes = field(repr=False)
    cryptogram: bytes


def factory_key(cipher: Cipher) -> bytes:
    """Return the publicly known management key of Yubico's cards, which their tools expect."""
    return (FACTORY_MANAGEMENT_KEY * 2)[: MANAGEMENT_KEY_BYTES[cipher]]


def broken_rule(cipher: Cipher, key: bytes) -> str | None:
    """Return the rule that `key` breaks as a management key, or None. The factory's key breaks
    none.
    """
    size = MANAGEMENT_KEY_BYTES[cipher]
    if len(key) != size:
        return f"a management key of {cipher.name} has {size} bytes"
    if len(set(key)) == 1:
        return "a management key must not be one byte, repeated"
    if cipher is Cipher.TDEA and _has_weak_part(key):
        return "a management key of TDEA must not contain a weak DES key"
    return None


def _has_weak_part(key: bytes) -> bool:
    """Whether one of the three DES keys is weak (SP 800-67r2, 3.3.2).

    Equal DES keys are accepted: the factory's key has them, and tools set that key again.
    """
    bare = bytes(byte & PARITY for byte in key)
    parts = (bare[at : at + DES_KEY_BYTES] for at in range(0, len(bare), DES_KEY_BYTES))
    return not WEAK_DES_KEYS.isdisjoint(parts)

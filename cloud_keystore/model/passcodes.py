"""Passcodes: what may be one, and how many tries there are."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from cloud_keystore.model.cards import GLOBAL_PIN, PIN, PUK

TRIES = 3
PROOF_TIME = timedelta(hours=12)  # a shift
PASSCODE_RULE = "6 to 8 digits"
PUK_RULE = "8 digits"
FACTORY_PASSCODES = {PIN: b"123456", PUK: b"12345678"}  # those of Yubico's cards, so of their tools


MOST_TRIES = range(1, 16)  # what an administrator may set; a status word tells up to 15


@dataclass(frozen=True, slots=True)
class Status:
    """How a passcode stands; without one there are no tries."""

    tries_left: int = 0
    most_tries: int = TRIES
    factory: bool = False  # whether it is the one that everybody knows


@dataclass(frozen=True, slots=True)
class Verified:
    """The passcode was right; `proof` is to be shown with operations of this card at this
    workstation.
    """

    proof: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The passcode was wrong or is blocked: tries left."""

    tries_left: int


@dataclass(frozen=True, slots=True)
class PolicyViolation:
    """The new passcode does not follow `rule`; nothing was spent."""

    rule: str


def violated_rule(key_ref: int, passcode: bytes) -> str | None:
    """The rule that `passcode` breaks as a new PIN or PUK, or None (SP 800-73-5 part 2, 2.4.3)."""
    digits = passcode.isdigit()  # of bytes: ASCII digits only
    if key_ref in (PIN, GLOBAL_PIN):
        return None if digits and 6 <= len(passcode) <= 8 else PASSCODE_RULE
    if key_ref == PUK:
        return None if digits and len(passcode) == 8 else PUK_RULE
    return "key reference 80, 81 or 00"

"""Passcodes: which are accepted, and how many tries there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from card_os.piv.names import KeyRef
from card_os.piv.rules import is_pin
from card_os.piv.sizes import (
    FACTORY_PIN,
    FACTORY_PUK,
    MOST_TRIES,
    PASSCODE_BYTES,
    TRIES,
)

PROOF_TIME = timedelta(hours=12)  # a working shift
PASSCODE_RULE = "6 to 8 digits"
PUK_RULE = "8 digits"
FACTORY_PASSCODES: Mapping[int, bytes] = {KeyRef.PIN: FACTORY_PIN, KeyRef.PUK: FACTORY_PUK}
ALLOWED_TRIES = range(1, MOST_TRIES + 1)  # what an administrator may set


@dataclass(frozen=True, slots=True)
class Status:
    """The status of a passcode; one that is not set has no tries."""

    tries_left: int = 0
    most_tries: int = TRIES
    factory: bool = False  # whether it is the publicly known one


@dataclass(frozen=True, slots=True)
class Verified:
    """The passcode was right. `proof` must accompany this card's operations at this workstation; it
    is empty after the PUK, which opens nothing.
    """

    proof: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The passcode was wrong or is blocked; says how many tries are left."""

    tries_left: int


@dataclass(frozen=True, slots=True)
class PolicyViolation:
    """The new passcode does not follow `rule`; nothing was spent."""

    rule: str


def violated_rule(key_ref: int, passcode: bytes) -> str | None:
    """Return the rule that `passcode` breaks as a new passcode, or None (SP 800-73-5 part 2,
    2.4.3).
    """
    if key_ref in (KeyRef.PIN, KeyRef.GLOBAL_PIN):
        return None if is_pin(passcode) else PASSCODE_RULE
    if key_ref == KeyRef.PUK:
        return None if is_pin(passcode) and len(passcode) == PASSCODE_BYTES else PUK_RULE
    return "key reference 80, 81 or 00"

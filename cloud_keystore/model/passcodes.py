"""Passcodes: which are accepted, how many tries there are, and how guessing is slowed down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from card_os.piv.names import KeyRef
from card_os.piv.rules import is_pin
from card_os.piv.sizes import (
    FACTORY_PIN,
    FACTORY_PUK,
    MOST_TRIES,
    PASSCODE_BYTES,
    TRIES,
)
from cloud_keystore.model.clock import Random

PROOF_TIME = timedelta(hours=12)  # a working shift
PASSCODE_RULE = "6 to 8 digits"
PUK_RULE = "8 digits"
GUESSABLE_RULE = (
    "harder to guess: at least three different digits, no sequence, no repetition, and none that "
    "many people choose"
)
FEWEST_DIFFERENT = 3  # digits
SEQUENCES = ("01234567890123456789", "98765432109876543210")
# Those that are not repetitions or sequences, from published counts of chosen PINs and from the
# rows and columns of a keypad
POPULAR = frozenset(
    b"102030 112233 112358 121314 123321 123654 124578 142536 147258 147852 159357 159753 "
    b"246810 258369 258456 314159 321456 321654 332211 357159 369258 456123 654123 741852 "
    b"753159 789456 852456 951753 963852 987456 11223344 12344321 13572468 14725836 31415926 "
    b"74108520".split()
)
FACTORY_PASSCODES: Mapping[int, bytes] = {KeyRef.PIN: FACTORY_PIN, KeyRef.PUK: FACTORY_PUK}
ALLOWED_TRIES = range(1, MOST_TRIES + 1)  # what an administrator may set

# Tries come back when a card is unlocked; what was failed since the passcode was last right does
# not, and makes each further guess wait longer.
FIRST_DELAY = timedelta(minutes=1)
LONGEST_DELAY = timedelta(hours=24)

# Of an unlock, which gives a locked passcode its tries again: one operator asks for it, and the
# holder or a second operator agrees.
UNLOCK_TIME = timedelta(hours=12)  # for somebody to agree
UNLOCKS_TOLD = 2  # in a row, without the right passcode in between, that raise an alert

# Of an unlock code, which an operator reads out, and with which the holder chooses another PIN
CODE_DIGITS = 10
CODE_TRIES = 5
CODE_TIME = timedelta(hours=1)  # for which one is good, unless a policy says otherwise
LONGEST_CODE_TIME = timedelta(hours=12)  # a working shift
CODES_WINDOW = timedelta(days=1)  # in which codes are counted
MOST_CODES = 3  # of one card within it
MOST_CODES_OF_OPERATOR = 50
CODES_TOLD = 2  # of one card within it, that raise an alert

GUESS_TIME = timedelta(hours=1)
MOST_GUESSES = 20  # wrong passcodes at one workstation within that time, of all cards


@dataclass(frozen=True, slots=True)
class Status:
    """The status of a passcode; one that is not set has no tries."""

    tries_left: int = 0
    most_tries: int = TRIES
    factory: bool = False  # whether it is the publicly known one
    failures: int = 0  # since it was last right, or set
    fail_time: datetime | None = None  # of the last of them
    unlocks: int = 0  # since it was last right, or set

    @property
    def retry_time(self) -> datetime | None:
        """The time before which no further guess is compared; None if there is none."""
        over = self.failures - self.most_tries
        if self.fail_time is None or over <= 0:
            return None
        return self.fail_time + min(FIRST_DELAY * (1 << min(over - 1, 16)), LONGEST_DELAY)


@dataclass(frozen=True, slots=True)
class Verified:
    """The passcode was right. `proof` must accompany this card's operations at this workstation; it
    is empty after the PUK, which opens nothing.
    """

    proof: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Unlocked:
    """An unlock code was right: the new PIN holds, and the card has another PUK."""

    puk: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The passcode was wrong or is blocked; says how many tries are left."""

    tries_left: int


@dataclass(frozen=True, slots=True)
class PolicyViolation:
    """The new passcode does not follow `rule`; nothing was spent."""

    rule: str


@dataclass(frozen=True, slots=True)
class Unlock:
    """An unlock that waits for somebody to agree."""

    id: str
    card_id: str
    asked_by: str  # an operator
    expire_time: datetime


@dataclass(frozen=True, slots=True)
class UnlockCode:
    """A code that an operator has made for the holder of a card; only its hash is kept."""

    id: str
    card_id: str
    made_by: str  # an operator
    hash: str = field(repr=False)
    tries_left: int
    create_time: datetime
    expire_time: datetime
    end_time: datetime | None = None  # it was used, used up, or another one was made

    def is_live(self, now: datetime) -> bool:
        """Whether it can still be used."""
        return self.end_time is None and now < self.expire_time and self.tries_left > 0


def new_code(random: Random) -> str:
    """Draw the digits of an unlock code."""
    return f"{int.from_bytes(random(16)) % 10**CODE_DIGITS:0{CODE_DIGITS}}"


def violated_rule(key_ref: int, passcode: bytes) -> str | None:
    """Return the rule that `passcode` breaks as a new passcode, or None (SP 800-73-5 part 2,
    2.4.3).
    """
    if key_ref in (KeyRef.PIN, KeyRef.GLOBAL_PIN):
        fits, rule = is_pin(passcode), PASSCODE_RULE
    elif key_ref == KeyRef.PUK:
        fits, rule = is_pin(passcode) and len(passcode) == PASSCODE_BYTES, PUK_RULE
    else:
        return "key reference 80, 81 or 00"
    if not fits:
        return rule
    return GUESSABLE_RULE if is_guessable(passcode) else None


def is_guessable(passcode: bytes) -> bool:
    """Whether a guesser would try these digits first: few different ones, a sequence up or down, a
    group that is repeated, or a popular choice.
    """
    digits = passcode.decode("ascii")
    return (
        len(set(digits)) < FEWEST_DIFFERENT
        or any(digits in sequence for sequence in SEQUENCES)
        or any(
            digits == (digits[:period] * len(digits))[: len(digits)]
            for period in range(1, len(digits) // 2 + 1)
        )
        or passcode in POPULAR
    )

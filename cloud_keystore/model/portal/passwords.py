"""Portal passwords: which are accepted, and how guessing is slowed down."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.portal.factors import Needed, Unproven

SHORTEST, LONGEST = 12, 128  # characters
LENGTH_RULE = f"{SHORTEST} to {LONGEST} characters"
SHOWN_RULE = "of characters that can be shown"
GUESSABLE_RULE = (
    "harder to guess: no repetition, no row of the keyboard, no name of yours, and no word that "
    "many people choose with some digits around it"
)
FEWEST_DIFFERENT = 5  # characters
FEWEST_OTHERS = 4  # letters besides what many people choose
SHORTEST_NAME = 4  # letters of a name that count
LONGEST_NAME = 254  # by which a person is known to the portal
# Steps of these, up or down, and repeated characters are what fingers do by themselves.
SEQUENCES = ("abcdefghijklmnopqrstuvwxyz", "0123456789", "qwertyuiop", "asdfghjkl", "zxcvbnm")
_STEPS = frozenset(
    pair
    for sequence in SEQUENCES
    for first, second in pairwise(sequence)
    for pair in (first + second, second + first)
) | {"09", "90"}
# The beginnings of published lists of chosen passwords, as words
_WORDS = (
    "password passwort passw pass welcome letmein iloveyou ilove admin administrator secret "
    "changeme change login monkey dragon football baseball superman batman princess sunshine "
    "master trustno shadow michael summer winter spring autumn january february march april june "
    "july august september october november december monday tuesday wednesday thursday friday "
    "saturday sunday hospital nurse doctor nhs health company office smartcard cloudcard card "
    "computer internet starwars pokemon liverpool arsenal chelsea london england qwerty asdf hello "
    "this that your mine myself please"
)
POPULAR = frozenset(_WORDS.split())
_UNWRITTEN = str.maketrans("01345$@!7", "oleassait")  # digits and signs in the place of letters

MOST_WRONG = 5  # in a row, before whoever guesses has to wait
FIRST_DELAY = timedelta(minutes=1)
LONGEST_DELAY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Guesses:
    """What somebody has guessed wrong since it was last right."""

    failures: int = 0
    fail_time: datetime | None = None

    @property
    def retry_time(self) -> datetime | None:
        """The time before which no further guess is compared; None if there is none."""
        over = self.failures - MOST_WRONG
        if self.fail_time is None or over < 0:
            return None
        return self.fail_time + min(FIRST_DELAY * (1 << min(over, 16)), LONGEST_DELAY)


@dataclass(frozen=True, slots=True)
class Checked:
    """Whether a password was right, and whose it is. It is one factor: a phone is another."""

    is_right: bool
    user_id: str = ""
    has_phone: bool = False


@dataclass(frozen=True, slots=True)
class Chosen:
    """Whether a new password is in force. If not, the rule that it breaks, or why what is needed
    besides a mailed code has not come, or else what was given with it was wrong.
    """

    is_set: bool
    rule: str = ""
    unproven: Unproven | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted for another password besides the code that was mailed."""

    questions: tuple[str, ...]
    needed: Needed


@dataclass(frozen=True, slots=True)
class Access:
    """What a holder has for the portal."""

    is_offered: bool  # by the policy in force
    answers_needed: int  # to set another password with a mailed code
    email: str
    is_email_verified: bool
    has_password: bool
    questions: tuple[str, ...] = ()
    next_email: str = ""  # in force as soon as it is verified


def normal(password: str) -> str:
    """A password in the form in which it is compared (NFC); raises InvalidInput, which says nothing
    of it.
    """
    if len(password) > 2 * LONGEST:
        raise InvalidInput(f"password is too long: {LENGTH_RULE}")
    return unicodedata.normalize("NFC", password)


def violated_rule(password: str, names: Iterable[str] = ()) -> str | None:
    """The rule that a new password breaks, or None. `names` are what its owner is called."""
    if not SHORTEST <= len(password) <= LONGEST:
        return LENGTH_RULE
    if not password.isprintable():
        return SHOWN_RULE
    return GUESSABLE_RULE if is_guessable(password, names) else None


def is_guessable(password: str, names: Iterable[str] = ()) -> bool:
    """Whether a guesser would try this first."""
    folded = password.casefold()
    steps = sum(a == b or a + b in _STEPS for a, b in pairwise(folded))
    return (
        len(set(folded)) < FEWEST_DIFFERENT
        or 3 * steps >= 2 * (len(folded) - 1)
        or any(
            folded == (folded[:period] * len(folded))[: len(folded)]
            for period in range(1, len(folded) // 2 + 1)
        )
        or _is_word(folded, names)
    )


def _is_word(folded: str, names: Iterable[str]) -> bool:
    """Whether hardly anything is left of a password without what many people choose."""
    letters = [place for place, each in enumerate(folded) if each.isalpha()]
    if not letters:
        return False
    # Digits in front and behind stand for nothing; those between letters can stand for letters.
    inner = folded[letters[0] : letters[-1] + 1].translate(_UNWRITTEN)
    left = core = "".join(each for each in inner if each.isalpha())
    own = {
        word
        for name in names
        for word in "".join(
            each if each.isalpha() else " " for each in name.casefold()[:LONGEST_NAME]
        ).split()
        if len(word) >= SHORTEST_NAME
    }
    for word in sorted(POPULAR | own, key=len, reverse=True):
        left = left.replace(word, "")
    return left != core and len(left) < FEWEST_OTHERS

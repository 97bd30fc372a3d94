"""What holders do at the portal that their phone has to agree to: it shows what, and they type the
number there that the portal shows. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum, unique
from types import MappingProxyType

from cloud_keystore.model.clock import Random

ANSWER_TIME = timedelta(minutes=2)  # within which a phone answers
USE_TIME = timedelta(minutes=10)  # from the question on, within which its yes is used
MOST, WINDOW = 5, timedelta(minutes=10)  # questions to one holder, so that nobody is worn down
FEWEST, NUMBERS = 10, 90  # the least number, and how many there are: two digits each


@unique
class Subject(StrEnum):
    """What a phone is asked about. A name that was once written keeps its meaning."""

    LOG_IN = "log-in"  # after the password
    FACTOR = "factor"  # that from now on it is asked at each log-in
    PASSCODE = "passcode"  # another one for a card, chosen at the portal
    RENEWAL = "renewal"  # of a card that ends soon
    RESET = "reset"  # another password, after the code that was mailed


# What phones show: the question, and what a yes leads to.
WORDS: Mapping[Subject, tuple[str, str]] = MappingProxyType(
    {
        Subject.LOG_IN: (
            "Log in to the portal?",
            "Somebody has given your password at the page where you look after your card.",
        ),
        Subject.FACTOR: (
            "Ask this phone at each log-in?",
            "From then on nobody logs in to the portal without your phone.",
        ),
        Subject.RESET: (
            "Another password for the portal?",
            "Somebody has the code that was mailed to you for a forgotten password.",
        ),
        Subject.PASSCODE: (
            "Another passcode for card {card}?",
            "It is chosen at the portal. Whoever is there can then use the card, if you approve.",
        ),
        Subject.RENEWAL: (
            "Renew card {card}?",
            "It gets new keys and certificates, and keeps its passcode.",
        ),
    }
)


@unique
class AssentState(StrEnum):
    """How far one is."""

    WAITING = "waiting"
    AGREED = "agreed"
    DENIED = "denied"  # or the number was wrong
    USED = "used"  # what was agreed to is done
    OVER = "over"  # too late


@dataclass(frozen=True, slots=True)
class Assent:
    """A question to the phones of a holder."""

    id: str
    user_id: str
    subject: Subject
    about: str  # a log-in that waits, a visit, a card, or a mailed code
    number: str = field(repr=False)
    state: AssentState
    create_time: datetime
    device_id: str | None = None  # that has answered, or that alone is asked

    @property
    def answer_until(self) -> datetime:
        """When it is too late to answer."""
        return self.create_time + ANSWER_TIME

    def state_at(self, now: datetime) -> AssentState:
        """Its state, which time can have changed."""
        is_late = self.state is AssentState.WAITING and now >= self.answer_until
        is_old = self.state is AssentState.AGREED and now >= self.create_time + USE_TIME
        return AssentState.OVER if is_late or is_old else self.state


def new_number(random: Random) -> str:
    """Draw a number of two digits."""
    return str(FEWEST + int.from_bytes(random(8)) % NUMBERS)

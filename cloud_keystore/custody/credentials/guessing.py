"""Slows down who guesses passcodes: longer and longer delays for each passcode, and so many wrong
ones for each workstation, of whichever cards.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection

from cloud_keystore.audit import alerts
from cloud_keystore.model.cards import Card
from cloud_keystore.model.clock import Random
from cloud_keystore.model.errors import TooManyGuesses
from cloud_keystore.model.passcodes import GUESS_TIME, Status
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.storage import guesses

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Guess:
    """A passcode that somebody gave at a workstation, or a holder on a device, right or wrong."""

    card: Card
    key_ref: int
    passcode: bytes = field(repr=False)
    given: Identity  # the workstation or device

    @property
    def counts(self) -> bool:
        """Whether a wrong one counts for a workstation. Not for cards whose passcodes everybody
        knows: Yubico's tools block them on purpose.
        """
        public = PROFILES[self.card.profile].factory_passcodes
        return self.given.role is Role.WORKSTATION and not public


def refusal(
    connection: Connection, guess: Guess, status: Status, now: datetime, random: Random
) -> TooManyGuesses | None:
    """Why a guess must not be compared now, or None. The registration authority is told of a
    workstation that has used up its guesses.
    """
    if (retry := status.retry_time) is not None and now < retry:
        minutes = -(-(retry - now) // MINUTE)
        return TooManyGuesses(
            f"the passcode was wrong {status.failures} times since it was last right: "
            f"try again in {minutes} min"
        )
    if told(connection, guess, now, random):
        minutes = GUESS_TIME // MINUTE
        return TooManyGuesses(
            f"too many passcodes were wrong at this workstation within {minutes} minutes: wait, "
            "and tell your registration authority"
        )
    return None


def told(connection: Connection, guess: Guess, now: datetime, random: Random) -> bool:
    """Whether a guess's workstation has used up its guesses; the registration authority is then
    told, once.
    """
    at = guess.given
    if not guess.counts or not guesses.are_used_up(connection, at.id, now):
        return False
    alerts.wrong_passcodes(connection, at, now, random)
    return True

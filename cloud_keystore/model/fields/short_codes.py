"""Short codes: what is read out or typed in the place of an enrolment token. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cloud_keystore.model.clock import Random

# No vowels, so no words; no digits, and nothing that looks like one.
ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
PLACE, SECRET = 4, 8  # letters: by which a code is found, and which prove it
GROUP = 4
TIME = timedelta(minutes=30)
CODE_TRIES = 5
MOST_MADE = 10  # for one invitation within an hour
# Wrong ones in an organisation, after which none of its codes is taken for a while
MOST_WRONG, WRONG_TIME = 50, timedelta(hours=1)
_FORM = re.compile(rf"[{ALPHABET}]{{{PLACE + SECRET}}}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ShortCode:
    """A short code of an invitation. Its secret is derived, and kept nowhere."""

    id: str
    place: str
    identity_id: str  # that is invited
    organisation_id: str  # of whoever is invited
    tries_left: int
    create_time: datetime
    expire_time: datetime
    end_time: datetime | None = None  # another one was made


@dataclass(frozen=True, slots=True)
class Said:
    """A short code as somebody types it."""

    place: str
    secret: str = field(repr=False)


def letters(drawn: bytes, count: int) -> str:
    """So many letters of drawn bytes, of which there are many more than the letters need."""
    number, found = int.from_bytes(drawn), ""
    for _ in range(count):
        number, digit = divmod(number, len(ALPHABET))
        found += ALPHABET[digit]
    return found


def new_place(random: Random) -> str:
    """Draw a place."""
    return letters(random(16), PLACE)


def written(place: str, secret: str) -> str:
    """A code as people read it out: letters in groups of four."""
    whole = place + secret
    return "-".join(whole[at : at + GROUP] for at in range(0, len(whole), GROUP))


def parse(text: str) -> Said | None:
    """What somebody has typed, in any case, with or without hyphens and blanks; None if it is no
    short code.
    """
    found = re.sub(r"[\s-]", "", text[:64], flags=re.ASCII).upper()
    return Said(found[:PLACE], found[PLACE:]) if _FORM.fullmatch(found) else None

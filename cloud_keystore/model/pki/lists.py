"""Revocation lists of external authorities: what is held of them, where they are fetched, and what
they say of cards. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum, unique

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields import hosts
from cloud_keystore.model.pki.revocation import RevocationReason, Revoked

URL = re.compile(
    r"http://(?P<host>[a-z0-9.-]+|\[[0-9a-f:.]+\])(:(?P<port>[1-9][0-9]{0,4}))?"
    r"(?P<target>/[A-Za-z0-9._~%/?=&+-]*)",
    re.ASCII,
)
HTTP_PORT = 80
LONGEST_URL = 300
LARGEST_BROUGHT = 240 * 1024  # bytes, of one call; whoever has more lets it be fetched
LARGEST_FETCHED = 4 << 20
FETCH_TIME = timedelta(hours=1)  # between two looks at a place where all is well
LEASE_TIME = timedelta(minutes=2)  # more than it takes to fetch one
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ExternalList:
    """The newest list of an external authority, and how it is got. Before there is one, its number
    is empty. `applied` is the number of that which cards have felt.
    """

    authority_id: str
    url: str = ""  # where it is fetched; empty: it is brought by files
    stops: bool = False  # whether cards are of no use while it is stale
    number: str = ""  # in hexadecimal: it has up to 20 bytes (RFC 5280, 5.2.3)
    this_time: datetime | None = None
    next_time: datetime | None = None
    listed: int = 0
    applied: str = ""
    tries: int = 0  # to fetch it, since the last success
    fetch_time: datetime | None = None  # None: at once, if there is a place
    why: str = ""
    fix: str = ""
    warn_time: datetime | None = None  # since when people know that it is stale

    def is_stale(self, now: datetime) -> bool:
        """Whether it tells nothing of now any longer."""
        return self.next_time is not None and now >= self.next_time


@dataclass(frozen=True, slots=True)
class Read:
    """What a list says of itself, and of certificates by their serial numbers."""

    number: int
    this_time: datetime
    next_time: datetime
    revoked: dict[int, Revoked]


@dataclass(frozen=True, slots=True)
class Felt:
    """What a list says of a key's certificate, and what came of it. `suspended` is whether the card
    is suspended because of that; `waits`, whether the card has still to feel what it says now.
    """

    key_id: str
    card_id: str
    authority_id: str
    revoked: Revoked
    on_list: bool = True
    waits: bool = True
    suspended: bool = False

    @property
    def is_hold(self) -> bool:
        """Whether the authority can take it back."""
        return self.revoked.reason is RevocationReason.CERTIFICATE_HOLD


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a list that was brought."""

    number: str
    listed: int
    is_new: bool


@dataclass(frozen=True, slots=True)
class ListErrand:
    """A list that is to be fetched by a process without keys."""

    authority_id: str
    tries: int  # with this one
    url: str


@unique
class Fetched(StrEnum):
    """What came of an errand."""

    HERE = "here"
    WRONG = "wrong"
    UNTRIED = "untried"


@dataclass(frozen=True, slots=True)
class ListAnswer:
    """What a place has answered. The texts hold nothing that it has written."""

    fetched: Fetched
    document: bytes = b""
    why: str = ""
    fix: str = ""


def place(url: str) -> tuple[str, int, str]:
    """Host, port and target of an address. Raises InvalidInput if lists are not fetched there: they
    are signed, so HTTP alone does (RFC 5280, 8).
    """
    found = URL.fullmatch(url)
    host = "" if found is None else found["host"].removeprefix("[").removesuffix("]")
    port = HTTP_PORT if found is None else int(found["port"] or HTTP_PORT)
    known = hosts.number(host) is not None or hosts.domain(host) == host
    if found is None or not known or port >= 1 << 16 or len(url) > LONGEST_URL:
        raise InvalidInput(
            "url is not where a revocation list is: give one such as "
            "http://crl.example.org/ca.crl, in lower case up to the path"
        )
    return host, port, found["target"]


def pause(tries: int) -> timedelta:
    """How long to wait after the last of so many tries in vain."""
    return min(FIRST_PAUSE * (1 << min(max(tries - 1, 0), 10)), LONGEST_PAUSE)


def next_fetch(read: Read, now: datetime) -> datetime:
    """When to fetch again after a list came: before it is stale, if that is sooner."""
    half = max((read.next_time - now) / 2, FIRST_PAUSE)
    return now + min(FETCH_TIME, half)

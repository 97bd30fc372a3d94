"""External authorities that are asked by EST (RFC 7030): where, and what comes of it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum, unique

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields import hosts

URL = re.compile(
    r"(?P<issuance>cis\+)?https://(?P<host>[a-z0-9.-]+|\[[0-9a-f:.]+\])(:(?P<port>[1-9][0-9]{0,4}))?"
    r"(?P<path>(/[A-Za-z0-9._~%-]*)*)",
    re.ASCII,
)
WELL_KNOWN = "/.well-known/est"  # RFC 7030, 3.2.2
ISSUANCE = "/cis"
HTTPS_PORT = 443
LONGEST_URL = 300
LONGEST_USER = 100
LONGEST_PASSWORD = 200
LARGEST_PEM = 64 * 1024
LEASE_TIME = timedelta(minutes=5)  # more than the requests of a portion take
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(hours=1)
SOONEST, LATEST = timedelta(seconds=1), timedelta(days=1)  # that an authority puts us off
LONGEST_WHY = 300
MOST_BETWEEN = 10  # certificates of authorities that come with an answer


@dataclass(frozen=True, slots=True)
class EstServer:
    """Where an authority is asked. Certificates are PEM: those by which the server is known, and
    the keystore's own there, with those above it; empty if it has a name and password alone.
    """

    url: str
    anchors: bytes
    user: str
    certificate: bytes
    any_subject: bool  # whether the authority may name others than it is asked to

    def __post_init__(self) -> None:
        """Raise InvalidInput for an address that is none, or a name that is too long."""
        _ = self.place
        name = self.user.encode()
        # A colon ends the name (RFC 7617, 2).
        if len(name) > LONGEST_USER or ":" in self.user or not _is_shown(self.user):
            raise InvalidInput(
                f"user has more than {LONGEST_USER} bytes, or a colon, or what cannot be shown"
            )
        for what, pem in (("anchors", self.anchors), ("certificate", self.certificate)):
            if len(pem) > LARGEST_PEM:
                raise InvalidInput(f"{what} has {len(pem)} bytes: at most {LARGEST_PEM} go")

    @property
    def place(self) -> tuple[str, int]:
        """Host and port. Raises InvalidInput if the address is none of EST."""
        found = URL.fullmatch(self.url)
        host = "" if found is None else found["host"].removeprefix("[").removesuffix("]")
        port = HTTPS_PORT if found is None else int(found["port"] or HTTPS_PORT)
        known = hosts.number(host) is not None or hosts.domain(host) == host
        if found is None or not known or port >= 1 << 16 or len(self.url) > LONGEST_URL:
            raise InvalidInput(
                "url is not the address of an EST server: give one such as "
                "https://est.example.org, in lower case, without user and query"
            )
        return host, port

    @property
    def path(self) -> str:
        """Of all operations; the well-known one, if the address has none."""
        found = URL.fullmatch(self.url)
        own = ISSUANCE if self.is_issuance else WELL_KNOWN
        return (found["path"].rstrip("/") if found else "") or own

    @property
    def is_issuance(self) -> bool:
        """Whether the authority is asked by a card issuance service instead of EST."""
        return self.url.startswith("cis+")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What proves the keystore to an EST server, besides the names in EstServer."""

    password: str = field(default="", repr=False)
    private: bytes = field(default=b"", repr=False)  # PEM, of the certificate


@dataclass(frozen=True, slots=True)
class Errand:
    """A certificate that an authority is to be asked for, by a process without keys."""

    key_id: str
    tries: int  # with this one
    csr: bytes  # PKCS#10, DER
    trusted: bytes  # the authority's certificate, DER
    server: EstServer
    credentials: Credentials
    renews: bool = False  # whether the key takes the place of one that has a certificate
    # For a card issuance service alone: whose card it is, by number and name, and which
    person: str = ""
    holder: str = ""
    card_serial: str = ""


@unique
class Said(StrEnum):
    """What an authority has answered."""

    ISSUED = "issued"
    LATER = "later"  # it has not decided yet
    WRONG = "wrong"  # anything that is of no use, or nothing
    UNTRIED = "untried"  # it was not asked


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an errand. The texts say why there is no certificate, and what to do; they hold
    nothing that the authority has written.
    """

    said: Said
    certificate: bytes = b""  # DER, of the key that was asked for
    between: tuple[bytes, ...] = ()  # DER, of authorities
    seconds: int = 0  # after which the authority wants to be asked again
    why: str = ""
    fix: str = ""


def pause(answer: Answer, tries: int) -> timedelta:
    """How long to wait after an answer to the last of so many tries."""
    if answer.said is Said.UNTRIED:
        return timedelta(0)
    if answer.said is Said.LATER and answer.seconds > 0:
        return min(max(timedelta(seconds=min(answer.seconds, 10**9)), SOONEST), LATEST)
    return min(FIRST_PAUSE * (1 << min(max(tries - 1, 0), 10)), LONGEST_PAUSE)


def sealed_context(authority_id: str) -> str:
    """What sealed credentials belong to."""
    return f"EST {authority_id}"


def password(text: str) -> str:
    """A password as it can be sent; raises InvalidInput, without it."""
    if len(text.encode()) > LONGEST_PASSWORD or not _is_shown(text):
        raise InvalidInput(
            f"password has more than {LONGEST_PASSWORD} bytes, or what cannot be shown"
        )
    return text


def _is_shown(text: str) -> bool:
    return not text or text.isprintable()

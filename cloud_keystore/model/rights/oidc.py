"""Log-in by an OpenID provider (OpenID Connect Core 1.0): which one a keystore knows, and what goes
to it and comes back. Pure.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields import hosts

STATE_TIME = timedelta(minutes=10)  # within which the browser comes back from the provider
ANSWER_TIME = timedelta(minutes=1)  # within which the provider says who has come back
LEASE_TIME = timedelta(seconds=30)  # more than the questions of a portion take
FRESH_SECONDS = 60  # how long before a log-in begins somebody may have logged in at the provider
SKEW = timedelta(seconds=30)  # between the clocks of keystore and provider
BROWSER_BYTES = 32
TIME_BYTES, DRAWN_BYTES, MAC_BYTES = 8, 24, 32
LONGEST_URL = 1000
LONGEST_CODE = 2000
LONGEST_SUBJECT = 255  # Core, 2
LARGEST_TOKEN = 16 * 1024
LARGEST_KEYS = 64 * 1024  # characters of a JSON Web Key Set
LONGEST_CLIENT = 200
LONGEST_SECRET = 1000
PREFIX = "ccoidc_"  # by which it is not taken for another code
HTTPS, HTTP = 443, 80
URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9.-]+|\[[0-9a-f:.]+\])(:(?P<port>[1-9][0-9]{0,4}))?"
    r"(?P<path>/[^?#\\]*)?(?P<query>\?[^#\\]*)?",
    re.ASCII,
)
_FORM = re.compile(PREFIX + r"[A-Za-z0-9_-]{86}", re.ASCII)
_PURPOSE = b"cloudcard log-in by OpenID\0"
_START = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class OidcTerms:
    """The provider of an organisation. Files are the secret of the keystore there, and PEM by which
    the provider is known (empty: what this computer knows).
    """

    issuer: str
    client_id: str
    secret: str
    roots: str = ""

    def __post_init__(self) -> None:
        """Raise InvalidInput for what cannot be one."""
        place(self.issuer, "the issuer of an OpenID provider")
        if not is_plain(self.client_id, LONGEST_CLIENT):
            raise InvalidInput(
                f"the client identifier has 1 to {LONGEST_CLIENT} characters of ASCII, as the "
                "provider has given it"
            )


@dataclass(frozen=True, slots=True)
class Place:
    """Where something of a provider is."""

    host: str
    port: int
    target: str  # path and query
    is_plain: bool  # without TLS, within this computer


@dataclass(frozen=True, slots=True)
class OidcState:
    """What a browser takes to the provider and brings back. The keystore does not keep it, and
    knows it again by its MAC.
    """

    create_time: datetime
    drawn: bytes
    mac: bytes = field(repr=False)

    @property
    def coded(self) -> bytes:
        """What the MAC is over."""
        passed = (self.create_time - _START) // _MICROSECOND
        return passed.to_bytes(TIME_BYTES) + self.drawn

    def __str__(self) -> str:
        return PREFIX + encoded(self.coded + self.mac)

    @classmethod
    def parse(cls, text: str) -> OidcState | None:
        """Read one; None for a text that is none."""
        if _FORM.fullmatch(text) is None:
            return None
        try:
            raw = base64.urlsafe_b64decode(text.removeprefix(PREFIX) + "==")
            create_time = _START + int.from_bytes(raw[:TIME_BYTES]) * _MICROSECOND
        except (binascii.Error, OverflowError):
            return None
        at = TIME_BYTES + DRAWN_BYTES
        found = cls(create_time, raw[TIME_BYTES:at], raw[at:])
        return found if str(found) == text else None

    @property
    def sha256(self) -> bytes:
        """What the keystore keeps of it once it has come back."""
        return sha256(str(self).encode()).digest()

    def is_fresh(self, now: datetime) -> bool:
        """Whether it still begins a visit."""
        return self.create_time <= now < self.create_time + STATE_TIME


@dataclass(frozen=True, slots=True)
class Returned:
    """A code with which a browser has come back, until its visit begins or cannot."""

    id: str  # of the state, SHA-256
    create_time: datetime  # of the state
    return_time: datetime
    drawn: bytes
    sealed: bytes = field(repr=False)  # the code
    tries: int = 0
    next_time: datetime | None = None
    end_time: datetime | None = None  # when the provider has said who it is, or that it does not
    subject: str | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True)
class OidcErrand:
    """A code that a process without keys is to exchange for an ID token."""

    id: str
    tries: int  # with this one
    redirect_uri: str
    code: str = field(repr=False)
    verifier: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class OidcAnswer:
    """What came of it: a token, or why there is none, in words that hold nothing that the provider
    has written.
    """

    token: str = field(default="", repr=False)
    access_token: str = field(default="", repr=False)
    why: str = ""


@dataclass(frozen=True, slots=True)
class ProviderFacts:
    """What a provider has said of itself, and its keys, a JSON Web Key Set."""

    issuer: str
    authorization_endpoint: str
    keys: str
    names_itself: bool  # whether each response has its issuer (RFC 9207)


def place(url: str, what: str) -> Place:
    """Where an address leads: by https, or within this computer by http. Raises InvalidInput."""
    found = URL.fullmatch(url) if is_plain(url, LONGEST_URL) else None
    host = "" if found is None else found["host"].removeprefix("[").removesuffix("]")
    number = hosts.number(host) if host else None
    known = bool(host) and (number is not None or hosts.domain(host) == host)
    here = host == "localhost" or (number is not None and number.is_loopback)
    plain = found is not None and found["scheme"] == "http"
    port = int((found and found["port"]) or (HTTP if plain else HTTPS))
    if found is None or not known or port >= 1 << 16 or (plain and not here):
        raise InvalidInput(
            f"{what} is an address such as https://login.example.org, in lower case up to the "
            "path, without user and fragment (http:// within this computer alone)"
        )
    target = f"{found['path'] or '/'}{found['query'] or ''}"
    return Place(host, port, target, plain)


def is_plain(text: str, longest: int) -> bool:
    """Whether a text is ASCII that can be shown, without spaces, and not longer."""
    printable = text.isascii() and text.isprintable() and " " not in text
    return 0 < len(text) <= longest and printable


def browser_sha256(kept: str) -> bytes:
    """What custody is told of the browser, which keeps the rest itself."""
    return sha256(_PURPOSE + kept.encode()).digest()


def sealed_context(own: str) -> str:
    """What a sealed code belongs to."""
    return f"OpenID code {own}"


def encoded(raw: bytes) -> str:
    """Base64url without padding (RFC 7515, 2)."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")

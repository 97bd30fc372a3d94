"""Codes with which an operator's browser comes back from the port at which it has shown a card.
Pure.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256

CODE_TIME = timedelta(minutes=1)  # within which the browser comes back
USE_TIME = timedelta(minutes=2)  # within which the card's key was used, for the browser's TLS
BROWSER_BYTES = 32
LARGEST_CERTIFICATE = 8 * 1024  # bytes of DER
TIME_BYTES, DRAWN_BYTES, MAC_BYTES = 8, 24, 32
HEAD_BYTES = TIME_BYTES + DRAWN_BYTES + MAC_BYTES
PREFIX = "cccard_"  # by which it is not taken for another code
_FORM = re.compile(PREFIX + r"[A-Za-z0-9_-]+", re.ASCII)
_LONGEST = len(PREFIX) + (HEAD_BYTES + LARGEST_CERTIFICATE) * 4 // 3 + 1
_PURPOSE = b"cloudcard log-in by card\0"
_START = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class CardCode:
    """A code. The keystore does not keep it, and knows it again by its MAC."""

    create_time: datetime
    drawn: bytes
    certificate: bytes  # that the card has shown, DER
    mac: bytes = field(repr=False)

    @property
    def coded(self) -> bytes:
        """What the MAC is over."""
        passed = (self.create_time - _START) // _MICROSECOND
        return passed.to_bytes(TIME_BYTES) + self.drawn + self.certificate

    def __str__(self) -> str:
        coded = self.coded
        raw = coded[: TIME_BYTES + DRAWN_BYTES] + self.mac + self.certificate
        return PREFIX + base64.urlsafe_b64encode(raw).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> CardCode | None:
        """Read one; None for a text that is none."""
        if len(text) > _LONGEST or _FORM.fullmatch(text) is None:
            return None
        body = text.removeprefix(PREFIX)
        try:
            raw = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
            create_time = _START + int.from_bytes(raw[:TIME_BYTES]) * _MICROSECOND
        except (binascii.Error, OverflowError):
            return None
        if len(raw) <= HEAD_BYTES:
            return None
        at = TIME_BYTES + DRAWN_BYTES
        return cls(create_time, raw[TIME_BYTES:at], raw[HEAD_BYTES:], raw[at:HEAD_BYTES])

    @property
    def sha256(self) -> bytes:
        """What the keystore keeps of it once it has begun a visit."""
        return sha256(str(self).encode()).digest()

    def is_fresh(self, now: datetime) -> bool:
        """Whether it still begins a visit."""
        return self.create_time <= now < self.create_time + CODE_TIME


def browser_sha256(secret: str) -> bytes:
    """What the port of cards is told of the browser, which keeps the secret itself."""
    return sha256(_PURPOSE + secret.encode()).digest()

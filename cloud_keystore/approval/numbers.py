"""The number that a workstation shows, and the holder types on the device."""

from __future__ import annotations

from hashlib import sha256

DOMAIN = b"cloudcard number v1\0"
NUMBERS = 100


def commitment(salt: bytes, number: str) -> bytes:
    """What the payload says of the number, 32 bytes: it tells nothing to whoever does not know the
    32 secret bytes of the salt, and fits no other number.
    """
    return sha256(DOMAIN + salt + number.encode("ascii")).digest()

"""The text of a QR code: the id of an operation, a sign-in or a seat, and a secret that only the
screen shows.

All characters are of QR's alphanumeric mode, so that the code stays small.
"""

from __future__ import annotations

import base64
import binascii
from uuid import UUID

from cloud_keystore.model.errors import InvalidInput

PREFIX = "CLOUDCARD:1:"
SIGN_IN_PREFIX = "CLOUDCARD:IN:1:"
SEAT_PREFIX = "CLOUDCARD:SEAT:1:"
SECRET_BYTES = 16


def text(operation_id: str, secret: bytes) -> str:
    """Encode the text of an operation's code."""
    return _text(PREFIX, operation_id, secret)


def sign_in_text(sign_in_id: str, secret: bytes) -> str:
    """Encode the text of a sign-in's code."""
    return _text(SIGN_IN_PREFIX, sign_in_id, secret)


def seat_text(seat_id: str, secret: bytes) -> str:
    """Encode the text of the code that a shared device shows."""
    return _text(SEAT_PREFIX, seat_id, secret)


def is_sign_in(scanned: str) -> bool:
    """Whether a code is a sign-in's."""
    return scanned.strip().startswith(SIGN_IN_PREFIX)


def _text(prefix: str, name: str, secret: bytes) -> str:
    raw = UUID(name).bytes + secret
    return prefix + base64.b32encode(raw).decode("ascii").rstrip("=")


def parse(scanned: str) -> tuple[str, bytes]:
    """Decode a code of an operation or a sign-in into id and secret; raises InvalidInput for any
    other text.
    """
    scanned = scanned.strip()
    return _parsed(scanned, SIGN_IN_PREFIX if is_sign_in(scanned) else PREFIX, "workstation")


def parse_seat(scanned: str) -> tuple[str, bytes]:
    """Decode the code of a shared device into id and secret; raises InvalidInput for any other
    text.
    """
    return _parsed(scanned.strip(), SEAT_PREFIX, "shared device")


def _parsed(scanned: str, prefix: str, shown_by: str) -> tuple[str, bytes]:
    problem = InvalidInput(
        f"this QR code is not from cloudcard: scan the code that the {shown_by} shows now"
    )
    if not scanned.startswith(prefix):
        raise problem
    body = scanned.removeprefix(prefix)
    try:
        raw = base64.b32decode(body + "=" * (-len(body) % 8))
    except (binascii.Error, ValueError):
        raise problem from None
    if len(raw) != 16 + SECRET_BYTES:
        raise problem
    return str(UUID(bytes=raw[:16])), raw[16:]

"""The text of a QR code: the operation's id, and a secret that only the screen shows.

All characters are of QR's alphanumeric mode, so that the code stays small.
"""

from __future__ import annotations

import base64
import binascii
from uuid import UUID

from cloud_keystore.model.errors import InvalidInput

PREFIX = "CLOUDCARD:1:"
SECRET_BYTES = 16


def text(operation_id: str, secret: bytes) -> str:
    """Encode the text of an operation's code."""
    raw = UUID(operation_id).bytes + secret
    return PREFIX + base64.b32encode(raw).decode("ascii").rstrip("=")


def parse(scanned: str) -> tuple[str, bytes]:
    """Decode a code into operation id and secret; raises InvalidInput for any other text."""
    scanned = scanned.strip()
    problem = InvalidInput(
        "this QR code is not from cloudcard: scan the code that the workstation shows now"
    )
    if not scanned.startswith(PREFIX):
        raise problem
    body = scanned.removeprefix(PREFIX)
    try:
        raw = base64.b32decode(body + "=" * (-len(body) % 8))
    except (binascii.Error, ValueError):
        raise problem from None
    if len(raw) != 16 + SECRET_BYTES:
        raise problem
    return str(UUID(bytes=raw[:16])), raw[16:]

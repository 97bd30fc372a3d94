"""Request ids, by which the keystore recognises a repeated request."""

from __future__ import annotations

from card_os.uses import REQUEST_ID_BYTES
from cloud_keystore.model.errors import InvalidInput

REUSED = "request_id was used for something else: make another one"


def check_request_id(request_id: bytes) -> None:
    """Raise InvalidInput unless a request id has its length; callers make it at random."""
    if len(request_id) != REQUEST_ID_BYTES:
        raise InvalidInput(f"request_id has {len(request_id)} bytes: give {REQUEST_ID_BYTES}")

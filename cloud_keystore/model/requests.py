"""Request ids, by which the keystore recognises a repeated request."""

from __future__ import annotations

from cloud_keystore.model.errors import InvalidInput

REQUEST_ID_BYTES = 16


def check_request_id(request_id: bytes) -> None:
    """Raise InvalidInput unless the request id has 16 bytes; the caller makes it at random."""
    if len(request_id) != REQUEST_ID_BYTES:
        raise InvalidInput(f"request_id has {len(request_id)} bytes: give {REQUEST_ID_BYTES}")

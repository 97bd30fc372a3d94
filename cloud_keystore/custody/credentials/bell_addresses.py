"""The addresses of bells, sealed: who has one can ring."""

from __future__ import annotations

import base64
import json

from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.model.outbox.bells import Address


def context(device_id: str) -> str:
    """What the address of a device's bell is sealed as."""
    return f"bell {device_id}"


def close(seal: Seal, device_id: str, address: Address) -> bytes:
    """The address of a device's bell, sealed."""
    keys = (base64.b64encode(each).decode() for each in (address.public_key, address.secret))
    return seal.close(json.dumps([address.endpoint, *keys]).encode(), context(device_id))


def open_(seal: Seal, device_id: str, sealed: bytes) -> Address:
    """The address of a device's bell. Raises SealBroken."""
    endpoint, *keys = json.loads(seal.open(sealed, context(device_id)))
    return Address(endpoint, *(base64.b64decode(each) for each in keys))

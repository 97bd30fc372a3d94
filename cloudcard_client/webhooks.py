"""Checks what a keystore sends to a webhook (docs/rest.md, Standard Webhooks 1.0)."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass

PREFIX = "whsec_"
TOLERANCE_SECONDS = 300  # by which the sender's clock may differ


class NotGenuine(Exception):
    """A request is not from the keystore, or an old one is sent again: answer with 401."""


@dataclass(frozen=True)
class Happened:
    """Something that has happened. The same can come again, with the same `id`."""

    id: str
    type: str  # such as "card.revoked"
    timestamp: str
    data: Mapping[str, str]  # identifiers of what it is about


def verify(
    secret: str, headers: Mapping[str, str], body: bytes, now: float | None = None
) -> Happened:
    """What a request to a webhook tells, once its signature and time are checked. `body` is what
    came, byte for byte. Raises NotGenuine.
    """
    fields = {name.lower(): value for name, value in headers.items()}
    own, sent = fields.get("webhook-id", ""), fields.get("webhook-timestamp", "")
    if not own or not (sent.isascii() and sent.isdigit()):
        raise NotGenuine("webhook-id or webhook-timestamp is missing")
    if abs((time.time() if now is None else now) - int(sent[:20])) > TOLERANCE_SECONDS:
        raise NotGenuine("it was sent long ago, or a clock is wrong")
    mac = hmac.digest(_key(secret), f"{own}.{sent}.".encode() + body, "sha256")
    expected = b"v1," + base64.b64encode(mac)
    given = fields.get("webhook-signature", "").encode().split(b" ")
    # All of them, so that the time does not tell which one is right.
    if sum(hmac.compare_digest(expected, each) for each in given) == 0:
        raise NotGenuine("no signature is by this secret")
    said = json.loads(body)
    return Happened(own, said["type"], said["timestamp"], said["data"])


def _key(secret: str) -> bytes:
    """The bytes of a secret; raises ValueError for a text that is none."""
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("this is no secret of a webhook: it begins with whsec_") from None

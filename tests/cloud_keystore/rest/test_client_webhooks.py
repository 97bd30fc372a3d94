"""A program that gets what a webhook is told believes what is by its keystore and of now alone."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from cloud_keystore.model.outbox.webhooks import secret_text, signatures
from cloudcard_client import NotGenuine, verify

NOW = 1_796_000_000
KEY = bytes(range(32))
SECRET = secret_text(KEY)
BODY = json.dumps(
    {"type": "card.revoked", "timestamp": "2026-11-29T21:04:05Z", "data": {"card": "1"}}
).encode()


def headers(*keys: bytes, body: bytes = BODY, seconds: int = NOW) -> dict[str, str]:
    return {
        "Webhook-Id": "0192",
        "Webhook-Timestamp": str(seconds),
        "Webhook-Signature": signatures(keys or (KEY,), "0192", seconds, body),
    }


def test_what_is_told() -> None:
    told = verify(SECRET, headers(), BODY, NOW)
    assert (told.id, told.type, told.data) == ("0192", "card.revoked", {"card": "1"})
    assert verify(SECRET, headers(bytes(32), KEY), BODY, NOW) == told
    assert verify(SECRET, headers(), BODY, NOW + 299) == told


@pytest.mark.parametrize(
    "given",
    [
        {},
        {**headers(), "Webhook-Id": "0193"},
        {**headers(), "Webhook-Timestamp": "now"},
        {**headers(), "Webhook-Timestamp": "9" * 5000},
        {**headers(), "Webhook-Timestamp": str(NOW + 1)},
        {**headers(), "Webhook-Signature": ""},
        {**headers(), "Webhook-Signature": "v1,é"},
        {**headers(), "Webhook-Signature": headers()["Webhook-Signature"].replace("v1", "v2")},
        headers(bytes(32)),
        headers(body=BODY + b" "),
        headers(seconds=NOW - 301),
        headers(seconds=NOW + 301),
    ],
)
def test_what_is_not_believed(given: Mapping[str, str]) -> None:
    """The attack: somebody else posts to the program, or posts again what was sent long ago."""
    with pytest.raises(NotGenuine):
        verify(SECRET, given, BODY, NOW)


def test_a_text_that_is_no_secret_is_the_programs_own_fault() -> None:
    with pytest.raises(ValueError, match="whsec_"):
        verify("secret!", headers(), BODY, NOW)

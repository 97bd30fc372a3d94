"""Settings that are wrong are refused with what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloud_keystore.config import Settings
from cloud_keystore.model.approval_keys import RelyingParty
from cloud_keystore.model.errors import InvalidInput


@pytest.mark.parametrize(
    ("public_host", "rp_id", "origin", "expected"),
    [
        ("127.0.0.1", "", "", ("localhost", "https://localhost")),
        ("::1", "", "", ("localhost", "https://localhost")),
        ("keystore", "", "", ("keystore", "https://keystore")),
        ("K.Example.org", "", "", ("k.example.org", "https://k.example.org")),
        ("10.0.0.1", "example.org", "", ("example.org", "https://example.org")),
        (
            *("k.example.org", "example.org", "https://k.example.org:8443"),
            ("example.org", "https://k.example.org:8443"),
        ),
        ("127.0.0.1", "", "http://localhost:8000", ("localhost", "http://localhost:8000")),
    ],
)
def test_whom_passkeys_are_made_for(
    public_host: str, rp_id: str, origin: str, expected: tuple[str, str]
) -> None:
    settings = Settings(
        Path(), public_host=public_host, webauthn_rp_id=rp_id, webauthn_origin=origin
    )
    assert settings.relying_party == RelyingParty(*expected)


@pytest.mark.parametrize("rp_id", ["10.0.0.1", "Example.org", "https://a.b", "a..b", "-a.b", "a b"])
def test_a_domain_that_is_none(rp_id: str) -> None:
    with pytest.raises(InvalidInput, match="not a domain"):
        Settings(Path(), webauthn_rp_id=rp_id)


@pytest.mark.parametrize(
    "origin",
    [
        *("http://example.org", "https://example.org/", "https://example.org/path", "example.org"),
        *(
            "https://example.org.evil.example",
            "https://evilexample.org",
            "https://user@example.org",
        ),
        *("https://example.org:0", "https://example.org\n"),
    ],
)
def test_an_origin_of_somebody_else(origin: str) -> None:
    with pytest.raises(InvalidInput, match="not an origin of"):
        Settings(Path(), webauthn_rp_id="example.org", webauthn_origin=origin)

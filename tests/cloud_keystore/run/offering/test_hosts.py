"""By which names the service is reached."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloud_keystore.config import Address, Settings, Web
from cloud_keystore.run.offering.hosts import log_in_page, log_in_party


def settings(listen: str, *, host: str = "127.0.0.1", tls: bool = False, at: str = "") -> Settings:
    """Those of a keystore with pages."""
    name, _, port = listen.rpartition(":")
    file = Path("web.pem") if tls else None
    web = Web(Address(name, int(port)), file, file)
    return Settings(data=Path("data"), public_host=host, web=web, webauthn_origin=at)


@pytest.mark.parametrize(
    ("given", "origin"),
    [
        (settings("127.0.0.1:8080"), "http://localhost:8080"),
        (settings("127.0.0.1:8080", host="cards.example.org"), "https://cards.example.org"),
        (settings("0.0.0.0:8443", host="cards.example.org"), "https://cards.example.org:8443"),
        (settings("0.0.0.0:443", host="cards.example.org", tls=True), "https://cards.example.org"),
        (
            settings("127.0.0.1:8080", host="cards.example.org", at="https://ra.cards.example.org"),
            "https://ra.cards.example.org",
        ),
    ],
)
def test_passkeys_of_operators_work_where_the_pages_are(given: Settings, origin: str) -> None:
    party = log_in_party(given)
    assert party.origin == origin
    assert party.id == given.relying_party.id
    assert party.origin in given.web_origins or ":443/" in log_in_page(given)


def test_without_pages_there_is_no_page_to_log_in(tmp_path: Path) -> None:
    assert log_in_page(Settings(data=tmp_path)) == ""
    assert log_in_party(Settings(data=tmp_path)).id == "localhost"

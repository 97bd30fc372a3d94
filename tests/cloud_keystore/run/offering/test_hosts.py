"""By which names the service is reached."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cloud_keystore.config import Address, Settings, Web
from cloud_keystore.run.offering.hosts import (
    cards_origin,
    log_in_origin,
    log_in_page,
    log_in_party,
    oidc_log_in,
)


def settings(
    listen: str,
    *,
    host: str = "127.0.0.1",
    tls: bool = False,
    at: str = "",
    cards: Address | None = None,
) -> Settings:
    """Those of a keystore with pages."""
    name, _, port = listen.rpartition(":")
    file = Path("web.pem") if tls else None
    web = Web(Address(name, int(port)), file, file, cards)
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
    assert party.origin in given.web_origins


def test_without_pages_there_is_no_page_to_log_in(tmp_path: Path) -> None:
    assert log_in_page(Settings(data=tmp_path)) == ""
    assert log_in_party(Settings(data=tmp_path)).id == "localhost"


@pytest.mark.parametrize(
    ("listen", "host", "port", "cards", "back"),
    [
        ("0.0.0.0:443", "cards.example.org", 8444, "https://cards.example.org:8444", ""),
        ("0.0.0.0:8443", "cards.example.org", 443, "https://cards.example.org", ":8443"),
        ("0.0.0.0:443", "192.0.2.1", 8444, "https://192.0.2.1:8444", ""),
        ("[::]:443", "2001:db8::1", 443, "https://[2001:db8::1]", ""),
        ("[::]:443", "2001:db8::1", 8444, "https://[2001:db8::1]:8444", ""),
    ],
)
def test_cards_are_shown_at_the_same_host(
    listen: str, host: str, port: int, cards: str, back: str
) -> None:
    """As browsers name both: without a port that is the usual one."""
    given = settings(listen, host=host, tls=True, cards=Address("0.0.0.0", port))
    assert cards_origin(given) == cards
    assert log_in_origin(given) == cards.removesuffix(f":{port}") + back
    # Of the page that is printed, the redirect URI is told to a provider.
    assert oidc_log_in(given)[1] == f"{log_in_page(given)}/openid/answer"


def test_cards_are_shown_where_a_proxy_and_this_computer_have_the_pages() -> None:
    at = Address("127.0.0.1", 8444)
    here = settings("127.0.0.1:8080", cards=at)
    assert (log_in_origin(here), cards_origin(here)) == (
        "http://localhost:8080",
        "https://localhost:8444",
    )
    proxy = settings(
        "127.0.0.1:8080", host="cards.example.org", at="https://ra.cards.example.org", cards=at
    )
    assert log_in_origin(proxy) == "https://ra.cards.example.org"
    named = replace(proxy, webauthn_origin="https://ra.cards.example.org:443")
    assert log_in_page(named) == log_in_page(proxy)
    assert cards_origin(proxy) == "https://ra.cards.example.org:8444"


def test_without_a_port_for_cards_there_is_none(tmp_path: Path) -> None:
    assert cards_origin(settings("0.0.0.0:443", tls=True)) == ""
    assert cards_origin(Settings(data=tmp_path)) == ""
    assert log_in_origin(Settings(data=tmp_path)) == ""

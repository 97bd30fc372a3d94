"""A person logs in to a web page with the card."""

from __future__ import annotations

from pathlib import Path

import pytest

from card_os.piv.names import KeyRef
from cloudcard_tools.shared import pcsc
from cloudcard_tools.shared.processes import Nursery
from support import chromium, nginx, nss
from support.authority import Authority
from support.chromium import Person
from support.nginx import Nginx
from support.system_cards import ALGORITHMS, PIN, LocalCard, on_cards


@pytest.fixture
def server(servers: Nursery, tmp_path: Path, authority: Authority) -> Nginx:
    return nginx.start(servers, tmp_path, authority)


@pytest.fixture
def home(tmp_path: Path, server: Nginx) -> Path:
    """Of a user whose browser knows the card."""
    home = tmp_path / "home"
    nss.make(home / ".pki" / "nssdb", server.authority)
    return home


def test_no_login_without_a_card(
    virtual_readers: pcsc.Client, servers: Nursery, server: Nginx, home: Path
) -> None:
    assert not virtual_readers.present(0)  # the first test here: the card of the others comes later
    with chromium.opened(servers, home) as (page, screen), Person(screen, PIN) as person:
        page.goto(server.url, timeout=30_000)
        assert "No required SSL certificate was sent" in page.inner_text("body")
    assert person.asked == 0


@on_cards(*ALGORITHMS)
def test_a_login_with_the_card(
    card: LocalCard, servers: Nursery, server: Nginx, home: Path
) -> None:
    with chromium.opened(servers, home) as (page, screen), Person(screen, PIN) as person:
        page.goto(server.url, timeout=30_000)
        assert page.inner_text("p") == nginx.said("Ada 9A", "TLSv1.3")
        page.screenshot(path=home / "page.png")
    assert person.asked == 1
    assert set(card.used) == {KeyRef.AUTHENTICATION}

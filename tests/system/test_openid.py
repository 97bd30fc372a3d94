"""Somebody logs in at the simulated CIS2, in Chromium and with the card, for an OpenID party that
others wrote.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from card_os.piv.names import Algorithm, KeyRef
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.shared.processes import Nursery
from cloudcard_tools.simulate.cis2 import places
from support import chromium, nss
from support.authority import Authority
from support.chromium import Person
from support.openid_party import Party
from support.simulators import CLIENT, revocation_list
from support.system_cards import PIN, LocalCard, on_cards

# The party fetches keys without a look at the server's certificate, whatever it is told.
pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")


class Home(BaseHTTPRequestHandler):
    """Where the party has people come back to."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Back</title>")

    def log_message(self, *_: object) -> None:
        pass


@dataclass
class Provider:
    """The simulators, and a party that is registered there."""

    card_url: str
    trust: Path
    party: Party


@pytest.fixture
def returns() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Home) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://localhost:{server.server_port}/callback"
        server.shutdown()
        thread.join()


@pytest.fixture
def provider(servers: Nursery, tmp_path: Path, authority: Authority, returns: str) -> Provider:
    main, cards = free_ports(2)
    trust = tmp_path / "data" / "authority.pem"
    party = Party(f"https://localhost:{main}{places.REALM}", trust, returns)
    client = {"client_id": CLIENT, "redirect_uris": [returns], "jwks": party.jwks}
    (tmp_path / "clients.json").write_text(json.dumps([client]))
    (tmp_path / "cards.crl").write_bytes(revocation_list(authority).public_bytes(Encoding.DER))
    servers.start_python(
        "simulators",
        *("-m", "cloudcard_tools", "simulate", "nhs", "--data", str(tmp_path / "data")),
        *("--clients", str(tmp_path / "clients.json"), "--crl", str(tmp_path / "cards.crl")),
        *("--authority", str(authority.write(tmp_path))),
        *("--listen", f"127.0.0.1:{main}", "--card-listen", f"127.0.0.1:{cards}"),
    ).wait_for("Trust this", timeout=60)
    return Provider(f"https://localhost:{cards}{places.CARD}", trust, party)


@on_cards(Algorithm.RSA_2048, Algorithm.ECC_P256)
def test_a_card_logs_in_for_a_party(
    card: LocalCard, servers: Nursery, tmp_path: Path, provider: Provider
) -> None:
    """The PIN once, a role, and key 9A alone; the party checks what it gets."""
    home = tmp_path / "home"
    nss.make(home / ".pki" / "nssdb", provider.trust)
    before = len(card.used)
    with chromium.opened(servers, home) as (page, screen):
        page.goto(provider.party.begin(), timeout=60_000)
        waiting = page.locator("input[name=waiting]").first.get_attribute("value")
        # The person looks for dialogs over an empty page.
        page.goto("about:blank")
        with Person(screen, PIN) as person:
            page.goto(f"{provider.card_url}?waiting={waiting}", timeout=60_000)
        page.locator("input[name=role]").nth(1).check()
        page.get_by_role("button", name="Continue").click()
        page.wait_for_url(f"{provider.party.returns}?*", timeout=60_000)
        found = provider.party.finish(page.url)
    claims, info = found["id_token"], found["userinfo"]
    assert claims["authentication_assurance_level"] == "3"  # type: ignore[index]
    roles = [each["person_roleid"] for each in info["nhsid_nrbac_roles"]]  # type: ignore[index]
    assert claims["selected_roleid"] == roles[1]  # type: ignore[index]
    assert person.asked == 1
    assert set(card.used[before:]) == {KeyRef.AUTHENTICATION}

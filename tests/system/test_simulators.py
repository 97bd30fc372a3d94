"""A card in the virtual reader logs in at the simulated provider: curl brings the client
certificate, and the card's key proves it.
"""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives.serialization import Encoding

from card_os.piv.names import KeyRef
from cloudcard_tools.demo.programs import run
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.shared.processes import Nursery
from cloudcard_tools.simulate.cis2 import places
from cloudcard_tools.simulate.cis2.places import Places
from support.authority import Authority
from support.openssl_engine import configure, uri
from support.simulators import authorize_url, registered, revocation_list, waiting_in
from support.system_cards import ALGORITHMS, LocalCard, on_cards

KEY = KeyRef.AUTHENTICATION


@on_cards(*ALGORITHMS)
def test_a_card_in_the_reader_logs_in(
    card: LocalCard, servers: Nursery, tmp_path: Path, authority: Authority
) -> None:
    """The whole way: authorise, mutual TLS with key 9A, and the code for the client."""
    (tmp_path / "cards.crl").write_bytes(revocation_list(authority).public_bytes(Encoding.DER))
    (tmp_path / "clients.json").write_text(json.dumps(registered()))
    main, cards = free_ports(2)
    servers.start_python(
        "simulators",
        *("-m", "cloudcard_tools", "simulate", "nhs", "--data", str(tmp_path / "data")),
        *("--clients", str(tmp_path / "clients.json"), "--crl", str(tmp_path / "cards.crl")),
        *("--authority", str(authority.write(tmp_path))),
        *("--listen", f"127.0.0.1:{main}", "--card-listen", f"127.0.0.1:{cards}"),
    ).wait_for("Trust this", timeout=60)
    at = Places("localhost", main, cards)
    jar = str(tmp_path / "cookies")

    def curl(url: str, *options: str) -> str:
        trust = ("--cacert", str(tmp_path / "data" / "authority.pem"))
        cookies = ("--cookie", jar, "--cookie-jar", jar)
        ended = run(
            ["curl", "--silent", "--show-error", *trust, *cookies, *options, url],
            **configure(tmp_path),
        )
        assert ended.code == 0, ended.errors
        return ended.output

    page = curl(authorize_url(at))
    own = ("--cert-type", "ENG", "--cert", uri(KEY, "cert"), "--key-type", "ENG", "--key", uri(KEY))
    there = ("--output", str(tmp_path / "answer"), "--write-out", "%{redirect_url}")
    url = f"{at.at_card(places.CARD)}?waiting={waiting_in(page)}"
    before = len(card.used)
    returned = curl(curl(url, "--engine", "pkcs11", *own, *there), *there)
    assert parse_qs(urlsplit(returned).query)["code"], (tmp_path / "answer").read_text()
    assert card.used[before:] == [KEY]

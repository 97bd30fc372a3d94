"""A card in the virtual reader logs in at the simulated broker, over PKCS#11."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from card_os.piv.names import Algorithm, KeyRef
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.shared import pcsc
from cloudcard_tools.shared.processes import Nursery
from cloudcard_tools.simulate.broker.broker import ASSERTION
from support.authority import Authority
from support.simulators import registered, revocation_list
from support.system_cards import PIN, LocalCard, inserted, on_cards


@dataclass
class Broker:
    """The simulators as a process."""

    url: str
    trust: Path

    def command(self, *more: str) -> list[str]:
        own = ["--broker", self.url, "--trust", str(self.trust), "--pin-stdin", "--json"]
        return [sys.executable, "-m", "cloudcard_tools", "spine", "login", *own, *more]

    def login(self, *more: str, pin: str = PIN) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*more), input=f"{pin}\n", capture_output=True, text=True, timeout=60
        )

    def assertion(self, ticket: str) -> int:
        """The status of what an application is told of a ticket."""
        url = f"{self.url}{ASSERTION}?token={quote(ticket, safe='')}"
        try:
            context = ssl.create_default_context(cafile=self.trust)
            with urlopen(url, context=context, timeout=20) as answer:
                return int(answer.status)
        except HTTPError as error:
            return error.code


@pytest.fixture
def broker(servers: Nursery, tmp_path: Path, authority: Authority) -> Broker:
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
    return Broker(f"https://localhost:{main}", tmp_path / "data" / "authority.pem")


def test_a_removed_card_ends_its_ticket(
    virtual_readers: pcsc.Client, authority: Authority, broker: Broker
) -> None:
    with inserted(virtual_readers, Algorithm.ECC_P256, authority):
        agent = subprocess.Popen(
            broker.command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert agent.stdin is not None
        assert agent.stdout is not None
        agent.stdin.write(f"{PIN}\n")
        agent.stdin.flush()
        text = ""
        while not text.endswith("\n}\n"):
            line = agent.stdout.readline()
            assert line, agent.communicate()
            text += line
        ticket = json.loads(text)["ticket"]
        assert broker.assertion(ticket) == 200
    out, error = agent.communicate(timeout=60)
    assert agent.returncode == 1
    assert "not in the reader any more" in out + error
    assert broker.assertion(ticket) == 403


@on_cards(Algorithm.RSA_2048, Algorithm.ECC_P256)
def test_a_card_in_the_reader_gets_a_ticket(card: LocalCard, broker: Broker) -> None:
    """By key 9A alone, and in a role of its holder."""
    before = len(card.used)
    ended = broker.login("--once")
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert broker.assertion(told["ticket"]) == 200
    assert card.used[before:] == [KeyRef.AUTHENTICATION]
    chosen = told["roles"][1]["id"]
    again = json.loads(broker.login("--once", "--role", chosen, "--digest", "sha1").stdout)
    assert again["role"] == chosen
    wrong = broker.login("--once", "--role", "1")
    assert wrong.returncode == 1
    assert "there is no role 1" in wrong.stdout

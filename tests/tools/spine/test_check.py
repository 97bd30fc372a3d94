"""`cloudcard spine check`: whose a ticket is, and why it is nobody's."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from cloudcard_tools.shared.processes import Nursery
from support.brokers import Simulated, simulated


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulated]:
    folder = tmp_path_factory.mktemp("broker")
    with Nursery(folder / "logs") as nursery:
        yield simulated(folder, nursery)


def check(at: Simulated, ticket: str, *more: str) -> subprocess.CompletedProcess[str]:
    own = ["--broker", at.url, "--trust", str(at.trust), *more]
    return subprocess.run(
        [sys.executable, "-m", "cloudcard_tools", "spine", "check", *own],
        input=f"{ticket}\n",
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_whose_a_ticket_is(at: Simulated) -> None:
    """SPINE-01."""
    done = check(at, at.ticket(), "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["person"], told["name"], told["service"]) == (
        "555073168108",
        "LOVELACE Ada",
        "live",
    )
    assert len(told["roles"]) == 3


def test_a_ticket_that_has_ended_is_nobodys(at: Simulated) -> None:
    """SPINE-02: one clear message, without the ticket."""
    ticket = at.ticket()
    at.leave(ticket)
    done = check(at, ticket, "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["reason"] == "BROKER_REFUSED"
    assert "log in again" in done.stdout
    assert ticket not in done.stderr + done.stdout


def test_a_broker_that_is_down(at: Simulated) -> None:
    """SPINE-02."""
    ticket = at.ticket()
    at.switch("down")
    done = check(at, ticket, "--json")
    at.switch("")
    assert json.loads(done.stdout)["error"]["reason"] == "BROKER_UNREACHABLE"

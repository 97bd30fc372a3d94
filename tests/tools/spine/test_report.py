"""A workstation tells a keystore of a log-in; the keystore's own process asks the broker, here the
simulated one, over HTTPS.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from cloudcard_tools.ra.command import ra
from cloudcard_tools.shared.processes import Nursery
from support.brokers import Simulated, simulated
from support.keystore_process import KeystoreProcess
from support.polling import until
from support.simulators import card


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with Nursery(tmp_path_factory.mktemp("logs")) as nursery:
        yield nursery


@pytest.fixture(scope="module")
def at(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    return simulated(tmp_path_factory.mktemp("broker"), nursery)


@pytest.fixture(scope="module")
def keystore(
    at: Simulated, nursery: Nursery, tmp_path_factory: pytest.TempPathFactory
) -> KeystoreProcess:
    options = ("--spine", at.url, "--spine-roots", str(at.trust))
    return KeystoreProcess(tmp_path_factory.mktemp("keystore"), nursery, options)


def told(keystore: KeystoreProcess, *words: str) -> dict[str, object]:
    operator = str(keystore.folder / "operator")
    done = CliRunner().invoke(ra, [*words, "--json", "--identity", operator])
    assert done.exit_code == 0, done.output
    found: dict[str, object] = json.loads(done.stdout)
    return found


def report(workstation: Path, serial: str, ticket: str) -> subprocess.CompletedProcess[str]:
    own = ["--card", serial, "--identity", str(workstation), "--json"]
    return subprocess.run(
        [sys.executable, "-m", "cloudcard_tools", "spine", "report", *own],
        input=f"{ticket}\n",
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_log_in_is_counted(keystore: KeystoreProcess, at: Simulated) -> None:
    """SPINE-01, COM-07, USER-16: from the workstation to what the registration authority sees."""
    user_id, phone = keystore.holder("Ada Byron")
    serial = keystore.issue(user_id)
    keystore.set_passcode(serial, phone)
    keystore.workstation("ward")
    number = told(keystore, "user", "show", user_id)["uuid12"]
    ticket = at.ticket(card(at.authority, f"{number}_Ada_Lovelace"))
    done = report(keystore.folder / "ward", serial, ticket)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout) == {"card": serial, "told": True}

    until(lambda: told(keystore, "card", "show", serial)["spine_logins"] == 1)
    shown = told(keystore, "card", "show", serial)
    assert shown["spine_login"]
    assert shown["user_display_name"] == "LOVELACE Ada"
    logs = b"".join(each.read_bytes() for each in keystore.folder.rglob("*.log"))
    assert ticket.encode() not in logs


def test_a_ticket_that_is_none(keystore: KeystoreProcess) -> None:
    """SPINE-02: one clear message."""
    keystore.workstation("desk")
    done = report(keystore.folder / "desk", "1500000000000017", "")
    assert done.returncode == 1
    assert "ticket is not one of a log-in" in json.loads(done.stdout)["error"]["message"]

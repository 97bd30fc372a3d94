"""The service units in the guides are units that systemd accepts."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import pytest

from cloudcard.workstation.v1 import workstation_pb2_grpc
from cloudcard_tools.authenticator.phone import Phone
from cloudcard_tools.shared import identity, processes
from cloudcard_tools.shared.processes import Nursery
from support.guides import DOCS, blocks
from support.keystore_process import KeystoreProcess, Workstation

AGENT = DOCS.parent / "drivers" / "linux" / "systemd" / "cloudcard-reader.service"
NAMED = re.compile(r"^# /etc/systemd/\w+/(\S+\.service)", re.MULTILINE)
UNITS = {
    found[1]: block.text
    for page in sorted(DOCS.glob("*.md"))
    for block in blocks(page.read_text())
    if (found := NAMED.match(block.text))
}
SECONDS = 60
EXPOSED = 20  # tenths of what `systemd-analyze security` prints
# Debian has libseccomp for its own Python alone.
SYSTEM_PYTHON = "/usr/bin/python3"
CONFINED = str(Path(__file__).parents[1] / "support" / "confined.py")


def complaints(name: str, text: str, folder: Path) -> str:
    """What systemd says about a unit, with a program that exists here."""
    path = folder / name
    path.write_text(re.sub(r"/(opt/cloudcard|usr)/bin/cloudcard", "/bin/true", text))
    kind = ["--user"] if "reader" in name else []
    ended = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *kind, path],
        capture_output=True,
        text=True,
        env={**os.environ, "XDG_RUNTIME_DIR": str(folder)},
        timeout=SECONDS,
        check=False,
    )
    return ended.stderr if ended.returncode == 0 else f"{ended.returncode}: {ended.stderr}"


def test_both_guides_have_one() -> None:
    assert set(UNITS) == {"cloudcard.service", "cloudcard-reader@.service"}


@pytest.mark.parametrize("name", UNITS)
def test_systemd_takes_it(name: str, tmp_path: Path) -> None:
    assert complaints(name, UNITS[name], tmp_path) == ""


def test_systemd_takes_the_agents(tmp_path: Path) -> None:
    text = AGENT.read_text()
    assert complaints(AGENT.name, text, tmp_path) == ""
    assert {"Type=notify", "Restart=on-failure", "WatchdogSec=30"} <= set(text.splitlines())


def test_the_keystores_unit_leaves_little_exposed(tmp_path: Path) -> None:
    path = tmp_path / "cloudcard.service"
    path.write_text(UNITS[path.name].replace("/opt/cloudcard/bin/cloudcard", "/bin/true"))
    command = ["systemd-analyze", "security", "--offline=yes", f"--threshold={EXPOSED}", path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stdout


def test_a_keystore_works_under_the_filter_of_its_unit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It makes its keys and a card, asks a phone, and signs."""
    unit = UNITS["cloudcard.service"]
    filters = re.findall(r"^SystemCallFilter=(\S+)", unit, re.MULTILINE)
    assert "MemoryDenyWriteExecute=yes" in unit
    launch, pids = processes.launch, list[int]()

    def confined(
        command: Sequence[str], errors: IO[bytes], environment: Mapping[str, str]
    ) -> processes.Process:
        prefix = [SYSTEM_PYTHON, CONFINED, *filters, "--"]
        begun = launch([*prefix, *command], errors, environment)
        pids.append(begun.pid)
        return begun

    with Nursery(tmp_path / "logs") as nursery:
        with monkeypatch.context() as patched:
            patched.setattr(processes, "launch", confined)
            keystore = KeystoreProcess(tmp_path, nursery)
        assert "Seccomp:\t2" in Path(f"/proc/{pids[0]}/status").read_text()
        user, phone = keystore.holder("ada")
        serial, pc = keystore.card(user, phone), keystore.workstation("ward")
        with identity.channel(pc) as channel, identity.channel(phone) as other:
            stub = workstation_pb2_grpc.WorkstationServiceStub(channel)
            desk, holder = Workstation(stub, serial), Phone(phone, other)
            asked = desk.create(os.urandom(16))
            holder.approve(holder.find(asked.id), asked.number)
            assert desk.perform(asked.id)


def test_a_mistake_is_found(tmp_path: Path) -> None:
    [unit] = [text for name, text in UNITS.items() if "@" not in name]
    said = complaints("own.service", unit.replace("LimitCORE", "LimitCOER"), tmp_path)
    assert "Unknown key" in said

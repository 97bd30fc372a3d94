"""The guide's card in the real reader: OpenSC talks to it, and what was recorded replays."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from cloudcard_tools.demo.programs import must
from cloudcard_tools.demo.stage import wait_for_card
from cloudcard_tools.shared.processes import Nursery
from cloudcard_tools.trace.replay.replaying import replay
from support.guides import DOCS, blocks, run_by

ROOT = Path(__file__).parents[2]
[INSERTS], [ASKS], [OWN_KEYS] = (block.commands for block in run_by("applications.md", __file__))
[VAULT] = [
    block.text
    for block in blocks((DOCS / "applications.md").read_text())
    if "class Vault" in block.text
]


def test_the_example_in_the_reader(
    nursery: Nursery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "hello.trace"
    _, *words = shlex.split(INSERTS)
    options = [str(path) if each == "hello.trace" else each for each in words]
    monkeypatch.chdir(ROOT / "examples")
    monkeypatch.syspath_prepend(ROOT / "examples")
    reader = nursery.start_python("reader", "-m", "cloudcard_tools", *options, "--verbose")
    reader.wait_for("Card hello_card:new_card is in the reader")
    wait_for_card(0)
    said = must(shlex.split(ASKS))
    assert "Hello, Ada! You" in said
    must(["opensc-tool", "--reader", "0", "--send-apdu", "80:10:01:00:01:41"])
    nursery.stop("reader")
    assert "GREET has no parameters" in path.read_text()
    assert replay(path, application="hello_card:new_card").passed


def test_a_key_service_of_its_own(
    nursery: Nursery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vault_card.py").write_text(VAULT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    _, *words = shlex.split(OWN_KEYS)
    reader = nursery.start_python("reader", "-m", "cloudcard_tools", *words)
    reader.wait_for("Card vault_card:new_card is in the reader")
    wait_for_card(0)
    said = must(["opensc-tool", "--reader", "0", "--send-apdu", f"0030010006{b'sesame'.hex()}"])
    assert "forty thieves" in said
    nursery.stop("reader")
    assert "? own vault.open 01" in (tmp_path / "vault.trace").read_text()

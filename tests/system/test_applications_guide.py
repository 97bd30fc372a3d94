"""The guide's card in the real reader: OpenSC talks to it, and what was recorded replays."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from cloudcard_tools.demo.programs import must
from cloudcard_tools.shared.processes import Nursery
from cloudcard_tools.trace.replay.replaying import replay
from support.guides import run_by

ROOT = Path(__file__).parents[2]
[INSERTS], [ASKS] = (block.commands for block in run_by("applications.md", __file__))


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
    said = must(shlex.split(ASKS))
    assert "Hello, Ada! You" in said
    must(["opensc-tool", "--reader", "0", "--send-apdu", "80:10:01:00:01:41"])
    nursery.stop("reader")
    assert "GREET has no parameters" in path.read_text()
    assert replay(path, application="hello_card:new_card").passed

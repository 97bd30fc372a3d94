"""The guide's card in the real reader: OpenSC talks to it, and what was recorded replays."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from cloudcard_tools.demo.programs import must
from cloudcard_tools.shared.processes import Nursery
from cloudcard_tools.trace.replay.replaying import replay

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "applications.md").read_text()


def command(program: str) -> list[str]:
    """The guide's first command line of a program."""
    found = re.search(rf"^{program} .*$", GUIDE, re.MULTILINE)
    assert found is not None
    return shlex.split(found[0])[1:]


def test_the_example_in_the_reader(
    nursery: Nursery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "hello.trace"
    options = [str(path) if each == "hello.trace" else each for each in command("cloudcard reader")]
    monkeypatch.chdir(ROOT / "examples")
    monkeypatch.syspath_prepend(ROOT / "examples")
    reader = nursery.start_python("reader", "-m", "cloudcard_tools", *options, "--verbose")
    reader.wait_for("Card hello_card:new_card is in the reader")
    said = must(["opensc-tool", *command("opensc-tool")])
    assert "Hello, Ada! You" in said
    must(["opensc-tool", "--reader", "0", "--send-apdu", "80:10:01:00:01:41"])
    nursery.stop("reader")
    assert "GREET has no parameters" in path.read_text()
    assert replay(path, application="hello_card:new_card").passed

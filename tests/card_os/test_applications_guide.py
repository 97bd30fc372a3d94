"""The guide to applications: every block of it does what it says, and its card is the example."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from support.guides import run_by

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "applications.md").read_text()
EXAMPLE = ROOT / "examples" / "hello_card.py"
FILES = ("hello_card.py", "test_hello_card.py", "vault_card.py")
PROGRAMS = {
    "cloudcard": ("-m", "cloudcard_tools"),
    "pytest": ("-m", "pytest", "-p", "no:cacheprovider", "-p", "no:cloudcard_traces"),
}
TALK = """
import sys
from contextlib import ExitStack
from pathlib import Path
from card_os import drive
from cloudcard_tools.shared.application import card_factory, key_service
from cloudcard_tools.trace.record.recording import recorded_application
from reader_bridge.tasks import Cancellation

card, keys, path, *apdus = sys.argv[1:]
service = key_service(keys or None)
with recorded_application(card_factory(card), Path(path)) as taped:
    def perform(request):
        taped.recorder.asked()
        result = service.perform(request, Cancellation())
        taped.recorder.answered(result)
        return result
    for apdu in apdus:
        taped.recorder.sent(bytes.fromhex(apdu))
        response = drive(taped.card.exchange(bytes.fromhex(apdu)), perform)
        taped.recorder.received(response)
        print(response.hex())
"""


def blocks(language: str) -> list[str]:
    """What the guide shows in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files that the guide has one save."""
    for name, text in zip(FILES, blocks("python"), strict=True):
        assert f"`{name}`" in GUIDE
        (tmp_path / name).write_text(text)
    return tmp_path


def run(folder: Path, *command: str) -> str:
    ended = ending(folder, *command)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def ending(folder: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A program that has ended, or Python with other options."""
    options = (*PROGRAMS.get(program, (program,)), *arguments)
    return subprocess.run(
        [sys.executable, *options], cwd=folder, capture_output=True, text=True, check=False
    )


def talk(folder: Path, card: str, keys: str, path: str, *apdus: str) -> list[str]:
    """What a card says that is recorded as `cloudcard reader --record` does."""
    return run(folder, "-c", TALK, card, keys, path, *apdus).splitlines()


def test_its_card_is_the_example() -> None:
    assert blocks("python")[0] == EXAMPLE.read_text()
    assert len(EXAMPLE.read_text().splitlines()) <= 90


def test_commands_in_process(folder: Path) -> None:
    hello = ["00A4040006F048454C4C4F", "801000000341646100", "8010010003416461"]
    assert talk(folder, "hello_card:new_card", "", "hello.trace", *hello)[1:] == [
        b"Hello, Ada! You are number 1.".hex() + "9000",
        "6a86",
    ]
    trace = (folder / "hello.trace").read_text()
    assert "# GREET has no parameters" in trace
    assert "@ card" not in trace
    lines = [line for block in run_by("applications.md", __file__) for line in block.commands]
    tests, replays, shows = lines
    assert "2 passed" in run(folder, *shlex.split(tests), "-p", "no:xdist")
    assert "1 of 1 traces the same, 3 commands" in run(folder, *shlex.split(replays))
    shown = run(folder, *shlex.split(shows))
    assert "GREET P1-P2 0000 (Ada)" in shown
    assert "(Hello, Ada! You are number 1.)" in shown
    assert "# GREET has no parameters" in shown


def test_a_request_of_its_own(folder: Path) -> None:
    word = b"sesame".hex()
    opened = f"0030010006{word}"
    card, keys = "vault_card:new_card", "vault_card:Keeper"
    said = talk(folder, card, keys, "vault.trace", opened, "0030020101")
    assert said == [b"forty thieves".hex() + "9000", "6a86"]
    trace = (folder / "vault.trace").read_text()
    assert "? own vault.open 01\n" in trace
    assert word not in trace
    assert b"forty".hex() not in trace
    replay = ("cloudcard", "trace", "replay", "vault.trace", "--application", "vault_card:new_card")
    assert "1 of 1 traces the same" in run(folder, *replay)
    assert "? vault.open, 1 byte 01" in run(folder, "cloudcard", "trace", "show", "vault.trace")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hello_card", "names no function"),
        ("nothing_here:new_card", "cannot be imported"),
        ("hello_card:missing", "has no function missing"),
        ("hello_card:Hello", "fails: "),
        ("hello_card:in_words", "fails: "),
    ],
)
def test_what_makes_no_card(folder: Path, name: str, said: str) -> None:
    (folder / "some.trace").write_text("cloudcard trace 1\n> 00\n")
    ended = ending(folder, "cloudcard", "trace", "show", "some.trace", "--application", name)
    assert ended.returncode == 1
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr

"""Prompts in another process: good ones, bad ones, and ones that end."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from reader_bridge.prompter import Outcome, Prompt, Withdraw
from reader_bridge.prompts import program
from reader_bridge.prompts.program import Launch, ProgramPrompter
from support.polling import until
from support.prompts import BOTH, prompt, unheard

SECONDS = 60.0
HEAR = """
import json, sys
log = open(sys.argv[1], "ab", buffering=0)
def say(**fields):
    print(json.dumps(fields), flush=True)
def hear():
    line = sys.stdin.buffer.readline()
    log.write(line or b"end")
    return json.loads(line) if line else sys.exit()
"""
READY = HEAR + 'hear(); say(event="ready", version=1)\n'
PATIENT = READY + "while True: hear()\n"


class Terminal:
    """What is shown when no program shows it."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def show(self, prompt: Prompt, _withdraw: Withdraw) -> None:
        self.seen.append(f"show {prompt.operation_id}")

    def clear(self, operation_id: str, outcome: Outcome) -> None:
        self.seen.append(f"clear {operation_id} {outcome.value}")


class Programs:
    """Starts prompters, and knows what their programs heard."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.terminal = Terminal()
        self._folder = folder
        self._stack = stack

    def prompter(self, *sources: str) -> ProgramPrompter:
        launches = [
            Launch(f"p{place}", (sys.executable, "-c", source, str(self._log(place))))
            for place, source in enumerate(sources)
        ]
        made = ProgramPrompter(launches, self.terminal)
        self._stack.callback(made.close)
        return made

    def heard(self, place: int = 0) -> str:
        return self._log(place).read_text() if self._log(place).exists() else ""

    def _log(self, place: int) -> Path:
        return self._folder / f"heard-{place}"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Programs]:
    for patience in ("READY_SECONDS", "END_SECONDS"):
        monkeypatch.setattr(program, patience, SECONDS)
    with ExitStack() as stack:
        yield Programs(tmp_path, stack)


def soon(holds: Callable[[], bool]) -> None:
    until(holds, SECONDS)


def test_a_program_is_told_what_waits_and_how_it_ends(programs: Programs) -> None:
    prompter = programs.prompter(PATIENT)
    prompter.show(BOTH, unheard)
    prompter.show(prompt("second"), unheard)
    soon(lambda: '"second"' in programs.heard())
    prompter.clear("id", Outcome.APPROVED)
    prompter.clear("unknown", Outcome.APPROVED)
    soon(lambda: '"outcome": "approved"' in programs.heard())
    prompter.close()
    begin, first, second, ended, end = programs.heard().splitlines()
    assert begin == '{"event": "begin", "version": 1}'
    assert '"operation": "id"' in first
    assert '"operation": "second"' in second
    assert '"operation": "id"' in ended
    assert end == "end"
    assert programs.terminal.seen == []


def test_who_cancels_there_withdraws_the_operation(programs: Programs) -> None:
    source = READY + 'say(event="cancel", operation=hear()["operation"])\nhear()\n'
    withdrawn = threading.Event()
    programs.prompter(source).show(BOTH, withdrawn.set)
    assert withdrawn.wait(SECONDS)


def test_malformed_lines_are_answered_and_harm_nobody(programs: Programs) -> None:
    source = (
        READY
        + """
hear()
print("no JSON", flush=True)
print(json.dumps({"event": "cancel"}), flush=True)
print(json.dumps({"event": "cancel", "operation": "of nobody"}), flush=True)
print(json.dumps({"event": "of later"}), flush=True)
sys.stdout.buffer.write(b"x" * 200000 + b"\\n" + bytes(range(128, 200)) + b"\\n")
sys.stdout.flush()
say(event="refused", text="no answer to this")
say(event="cancel", operation="id")
while True: hear()
"""
    )
    withdrawn = threading.Event()
    prompter = programs.prompter(source)
    prompter.show(BOTH, withdrawn.set)
    assert withdrawn.wait(SECONDS)
    soon(lambda: programs.heard().count("refused") == 4)
    prompter.close()
    refused = [line for line in programs.heard().splitlines() if "refused" in line]
    words = ("not JSON", "operation is missing", "longer than", "not JSON")
    assert [word in line for word, line in zip(words, refused, strict=True)] == [True] * 4


@pytest.mark.parametrize(
    "useless",
    [
        "import sys; sys.exit(1)",
        HEAR + 'hear(); say(event="failed", text="there is no screen")\n',
        HEAR + 'hear(); say(event="failed", text="there is no screen"); hear()\n',
        HEAR + "while True: hear()\n",
    ],
)
def test_one_that_cannot_show_anything_is_followed_by_the_next(
    programs: Programs, useless: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "while" in useless or useless.endswith("hear()\n"):  # it says nothing
        monkeypatch.setattr(program, "READY_SECONDS", 0.2)
        monkeypatch.setattr(program, "END_SECONDS", 0.2)
        prompter = programs.prompter(useless)
        prompter.show(BOTH, unheard)
        soon(lambda: programs.terminal.seen == ["show id"])
        return
    prompter = programs.prompter(useless, PATIENT)
    prompter.show(BOTH, unheard)
    soon(lambda: '"approval"' in programs.heard(1))


def test_without_any_the_terminal_shows_it(programs: Programs) -> None:
    prompter = programs.prompter("import sys; sys.exit(1)")
    prompter.show(BOTH, unheard)
    soon(lambda: programs.terminal.seen == ["show id"])
    prompter.clear("id", Outcome.DENIED)
    soon(lambda: programs.terminal.seen == ["show id", "clear id denied"])


def test_a_program_that_is_missing(tmp_path: Path) -> None:
    terminal = Terminal()
    prompter = ProgramPrompter([Launch("missing", (str(tmp_path / "missing"),))], terminal)
    prompter.show(BOTH, unheard)
    soon(lambda: terminal.seen == ["show id"])
    prompter.close()


def test_one_that_ends_hands_over_what_waits(programs: Programs) -> None:
    prompter = programs.prompter(READY + "hear()\n", PATIENT)
    prompter.show(BOTH, unheard)
    soon(lambda: '"operation": "id"' in programs.heard(1))
    prompter.clear("id", Outcome.EXPIRED)
    soon(lambda: '"expired"' in programs.heard(1))


def test_one_that_ends_in_peace_is_started_again(programs: Programs) -> None:
    """As with a desktop's log-off and log-in, while the agent runs."""
    prompter = programs.prompter(READY + "hear(); hear()\n")
    for number in range(2):
        prompter.show(prompt(str(number)), unheard)
        soon(lambda number=number: programs.heard().count('"approval"') == number + 1)
        prompter.clear(str(number), Outcome.APPROVED)
        soon(lambda number=number: programs.heard().count('"decided"') == number + 1)
        soon(lambda number=number: prompter.ended == number + 1)
    assert programs.terminal.seen == []


def test_the_time_that_is_left_counts_from_when_it_was_asked() -> None:
    waits = program.Open(BOTH, unheard, since=100.0)
    assert (waits.line(150.0)["seconds"], waits.line(150.0)["qr_seconds"]) == (70.0, 10.0)
    assert waits.line(999.0)["seconds"] == 0.0

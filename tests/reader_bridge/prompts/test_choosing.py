"""Which way to show prompts is taken."""

from __future__ import annotations

import io
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from reader_bridge.prompter import Outcome
from reader_bridge.prompts import choosing, desktop
from reader_bridge.prompts.file import FilePrompter
from reader_bridge.prompts.program import ProgramPrompter
from reader_bridge.prompts.terminal import TerminalPrompter
from support.polling import until
from support.prompts import BOTH, unheard

FORMS = ("auto", "gtk", "tk", "notify", "terminal", "file:/run/x", "command:my prompt")
NOTHING: Mapping[str, str] = {}


@pytest.mark.parametrize("wanted", FORMS)
def test_a_choice(wanted: str) -> None:
    assert choosing.check(wanted) == wanted


@pytest.mark.parametrize("wanted", ["", "qt", "file:", "command:", "command: ", "gtk:", "file"])
def test_no_choice(wanted: str) -> None:
    with pytest.raises(ValueError, match="gtk, tk, notify"):
        choosing.check(wanted)


def test_a_command_whose_quotes_are_open() -> None:
    with pytest.raises(ValueError, match="quotation"):
        choosing.check("command:say 'what")


@pytest.mark.parametrize(
    ("wanted", "ours", "terminal", "tried"),
    [
        ("auto", True, True, ["gtk", "tk", "notify"]),
        ("auto", True, False, ["gtk", "tk", "notify"]),
        ("auto", False, True, []),
        ("auto", False, False, ["notify"]),
        ("gtk", True, True, ["gtk"]),
        ("tk", True, True, ["tk"]),
        ("gtk", False, True, []),  # another user's screen, or none
        ("notify", False, True, ["notify"]),
        ("terminal", True, True, []),
    ],
)
def test_what_is_tried(
    wanted: str, ours: bool, terminal: bool, tried: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desktop, "is_ours", lambda _environment: ours)
    assert choosing.kinds(wanted, NOTHING, terminal=terminal) == tried


def test_the_terminal_and_a_file(tmp_path: Path) -> None:
    with choosing.opened("terminal", io.StringIO(), NOTHING) as prompter:
        assert isinstance(prompter, TerminalPrompter)
    with choosing.opened(f"file:{tmp_path / 'x'}", io.StringIO(), NOTHING) as prompter:
        assert isinstance(prompter, FilePrompter)


def test_a_program_of_the_users_own(tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    source = f"import sys; open({str(heard)!r}, 'w').write(sys.stdin.readline())"
    command = shlex.join((sys.executable, "-c", source))
    out = io.StringIO()
    with choosing.opened(f"command:{command}", out, NOTHING) as prompter:
        assert isinstance(prompter, ProgramPrompter)
        prompter.show(BOTH, unheard)
        until(lambda: "Type the number 42" in out.getvalue(), 60)  # it ended without `ready`
        prompter.clear("id", Outcome.EXPIRED)
    assert "begin" in heard.read_text()


def test_our_program_runs_with_the_systems_python() -> None:
    launch = choosing.own("gtk")
    assert launch.command[0] == "/usr/bin/python3"
    assert launch.command[-1] == "gtk"

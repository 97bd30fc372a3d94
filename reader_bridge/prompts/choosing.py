"""Which prompter shows operations: as the option says, or what works here."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from reader_bridge import prompt_program
from reader_bridge.prompter import Prompter
from reader_bridge.prompts import desktop
from reader_bridge.prompts.file import FilePrompter
from reader_bridge.prompts.program import Launch, ProgramPrompter
from reader_bridge.prompts.terminal import TerminalPrompter

AUTO, TERMINAL = "auto", "terminal"
WINDOWS = ("gtk", "tk")  # in the order in which they are tried
NOTIFY = "notify"
FILE, COMMAND = "file:", "command:"
FORMS = "auto, gtk, tk, notify, terminal, file:PATH or command:PROGRAM"

# The system's Python has GTK's bindings, which no environment of ours has.
SYSTEM_PYTHON = Path("/usr/bin/python3")
FOLDER = Path(prompt_program.__file__).parent


def check(wanted: str) -> str:
    """Return the choice. Raises ValueError, which says the forms, if it is none."""
    kind, _, value = wanted.partition(":")
    if wanted in (AUTO, *WINDOWS, NOTIFY, TERMINAL):
        return wanted
    if f"{kind}:" == FILE and value:
        return wanted
    if f"{kind}:" == COMMAND:
        try:
            words = shlex.split(value)
        except ValueError as error:
            raise ValueError(f"{wanted}: {error}") from None
        if words:
            return wanted
    raise ValueError(f"{wanted} is not {FORMS}")


@contextmanager
def opened(wanted: str, out: TextIO, environment: Mapping[str, str]) -> Iterator[Prompter]:
    """The prompter of a choice, for the time of the block. Raises ValueError if it is none."""
    check(wanted)
    terminal = TerminalPrompter(out)
    if wanted.startswith(FILE):
        yield FilePrompter(Path(wanted.removeprefix(FILE)))
        return
    launches = (
        [Launch(wanted, shlex.split(wanted.removeprefix(COMMAND)))]
        if wanted.startswith(COMMAND)
        else [own(kind) for kind in kinds(wanted, environment, terminal=out.isatty())]
    )
    if not launches:
        yield terminal
        return
    programs = ProgramPrompter(launches, terminal)
    try:
        yield programs
    finally:
        programs.close()


def kinds(wanted: str, environment: Mapping[str, str], *, terminal: bool) -> list[str]:
    """The kinds of our own program to try, in this order; none means the terminal.

    A screen of another user is never used, whatever the choice.
    """
    windows = list(WINDOWS) if desktop.is_ours(environment) else []
    if wanted == AUTO:
        if not windows and terminal:
            return []
        return [*windows, NOTIFY]
    if wanted in windows or wanted == NOTIFY:
        return [wanted]
    return []


def own(kind: str) -> Launch:
    """Our own program, showing prompts in that way."""
    python = str(SYSTEM_PYTHON) if SYSTEM_PYTHON.exists() else sys.executable
    return Launch(kind, (python, "-I", "-B", str(FOLDER), kind))

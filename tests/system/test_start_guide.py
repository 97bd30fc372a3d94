"""docs/start.md, typed literally into terminals of 80 columns, shows what it says."""

from __future__ import annotations

import os
import re
import sys
from contextlib import ExitStack
from pathlib import Path

from cloudcard_tools.shared import pcsc
from support.guides import DOCS, Block, run_by, shows
from support.terminal import PROMPT, Terminal

TEXT = (DOCS / "start.md").read_text()
PLACE = re.compile(r"\((first|second|third|fourth) terminal")
PASSCODE = "135790"
# Commands that stay, and what says that they are at work.
STAYING = {
    "cloudcard serve": r"First operator.*\n",
    "cloudcard authenticator watch": r"Watching for requests.*\n",
    "cloudcard reader --card SERIAL": r"in the reader.*\n",
}
QUESTIONS = {r"6 to 8 digits: ": PASSCODE, r"The same again: ": PASSCODE}


class Person:
    """Somebody who types what the guide says, and takes its words in capitals from the screen."""

    def __init__(self, folder: Path, terminals: ExitStack) -> None:
        programs = Path(sys.executable).parent
        environment = {
            **os.environ,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "CLOUDCARD_HOME": str(folder / "home"),
        }
        self._terminals = {
            name: terminals.enter_context(Terminal(folder, environment))
            for name in ("first", "second", "third", "fourth")
        }
        self._tokens: list[str] = []
        self._serials: list[str] = []

    def play(self, place: str, block: Block) -> str:
        """All that a block of commands shows."""
        return "".join(self._type(self._terminals[place], line) for line in block.commands)

    def _type(self, terminal: Terminal, line: str) -> str:
        typed = line
        if re.search(r"enrol TOKEN\b", line):  # the phone's first, as they were printed
            typed = line.replace("TOKEN", self._tokens.pop(0))
        if "SERIAL" in line:
            typed = line.replace("SERIAL", self._serials[-1])
        if line in STAYING:
            terminal.type(typed)
            terminal.expect(r"\n")  # the line itself
            return terminal.expect(STAYING[line])
        if line.startswith("pkcs11-tool"):
            return self._sign(terminal, typed)
        shown = terminal.run(typed, QUESTIONS)
        self._tokens += re.findall(r"\bcc1\.\S+", shown)
        self._serials += re.findall(r"^Card +(\d{16})$", shown, re.MULTILINE)
        return shown

    def _sign(self, application: Terminal, line: str) -> str:
        """The passcode twice, then the number of the workstation on the phone, which shows this."""
        application.type(line)
        application.expect("enter User PIN: ")
        application.answer(PASSCODE)
        application.expect("context specific PIN: ")
        application.answer(PASSCODE)
        asked = self._terminals["fourth"].expect(r"number \d\d on your phone")
        rings = self._terminals["third"].expect("there is one guess.*\n.*: ")
        self._terminals["third"].type(asked.split()[-4])
        application.expect(PROMPT)
        return rings


def test_the_guide_typed_literally(virtual_readers: pcsc.Client, tmp_path: Path) -> None:
    compared = 0
    with ExitStack() as terminals:
        person = Person(tmp_path, terminals)
        for block in run_by("start.md", __file__):
            seen = person.play(PLACE.findall(TEXT[: block.at])[-1], block)
            assert shows(block.shown, seen), seen
            compared += bool(block.shown)
    assert compared == 6
    virtual_readers.wait_for_absence(0)

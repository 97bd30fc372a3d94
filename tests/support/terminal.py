"""Terminals of 80 columns, as a reader of a guide has them: with a shell, or for one command."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from support import warm_starts
from support.polling import until

ROWS, COLUMNS = 24, 80
PROMPT = "ready>"
ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|[()][A-Z0-9]|[=>])|\r")
# Standard input becomes the session's terminal, whose end ends it, even under nohup. Programs do
# that: code of ours between fork and exec is not safe in a process with threads of gRPC.
OWN_TERMINAL = ("env", "--default-signal=HUP", "setsid", "--ctty")
SECONDS = 40.0
# A character can come in two pieces.
DECODER = codecs.getincrementaldecoder("utf-8")

SIZE = {"TERM": "xterm", "LINES": str(ROWS), "COLUMNS": str(COLUMNS)}
NO_QUESTIONS: Mapping[str, str] = {}


def opened() -> tuple[int, int]:
    """Both ends of a new terminal."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    return master, slave


def show(
    *arguments: str,
    folder: Path,
    environment: Mapping[str, str],
    answers: Mapping[str, str] = NO_QUESTIONS,
) -> tuple[int, str]:
    """Run `cloudcard` in a terminal, without a shell; returns its exit status and what is shown.
    Questions that match are answered, each once.
    """
    master, slave = opened()
    streams = (slave, os.dup(slave), os.dup(slave))
    whole = {**os.environ, **environment, **SIZE}
    process = warm_starts.fork(arguments, whole, str(folder), streams)
    shown, unanswered, decoder = "", dict(answers), DECODER()
    try:
        while more := _read(master):
            shown = ESCAPES.sub("", shown + decoder.decode(more))
            for question in [each for each in unanswered if re.search(each, shown)]:
                os.write(master, unanswered.pop(question).encode() + b"\n")
        process.join(SECONDS)
        assert process.exitcode is not None, f"{arguments} has not ended:\n{shown}"
    except TimeoutError:
        process.kill()
        raise AssertionError(f"{arguments} waits for something:\n{shown}") from None
    finally:
        os.close(master)
    return process.exitcode, shown


def _read(master: int) -> bytes:
    """What a terminal shows next; nothing when its program has ended. Raises TimeoutError."""
    ready, _, _ = select.select([master], [], [], SECONDS)
    if not ready:
        raise TimeoutError
    try:
        return os.read(master, 4096)
    except OSError:  # Linux: nobody has the other end any more
        return b""


class Terminal:
    """Lines are typed into it, and what it shows is read. It hangs up when its block ends."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._master, slave = opened()
        self._shell = subprocess.Popen(
            [*OWN_TERMINAL, "bash", "--norc", "--noprofile", "--noediting", "-i"],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=folder,
            env={**environment, **SIZE, "PS1": PROMPT},
        )
        os.close(slave)
        self._unread, self._decoder = "", DECODER()
        self.expect(PROMPT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._master)
        self._shell.send_signal(signal.SIGHUP)
        self._shell.wait(10)

    def answer(self, line: str) -> None:
        """Type a line once it is hidden: the program that hides it forgets what was typed before,
        and it may have asked before that.
        """
        until(self._hides, SECONDS)
        self.type(line)

    def type(self, line: str) -> None:
        """Type a line, and Enter."""
        os.write(self._master, line.encode() + b"\n")

    def run(self, line: str, answers: Mapping[str, str] = NO_QUESTIONS) -> str:
        """What a command shows until it has ended; questions that match, and hide the answer, are
        answered.
        """
        self.type(line)
        self.expect(r"\n")  # the line itself
        shown = ""
        while True:
            found = self.expect("|".join((PROMPT, *answers)))
            shown += found
            if found.endswith(PROMPT):
                return shown.removesuffix(PROMPT)
            for question, answer in answers.items():
                if re.search(f"(?:{question})$", found):
                    self.answer(answer)

    def expect(self, pattern: str, seconds: float = SECONDS) -> str:
        """What is shown up to the end of a match. Raises AssertionError if it does not come."""
        deadline = time.monotonic() + seconds
        while (match := re.search(pattern, self._unread)) is None:
            ready, _, _ = select.select([self._master], [], [], deadline - time.monotonic())
            assert ready, f"{pattern!r} is not shown, but:\n{self._unread}"
            more = self._decoder.decode(os.read(self._master, 4096))
            self._unread = ESCAPES.sub("", self._unread + more)
        shown, self._unread = self._unread[: match.end()], self._unread[match.end() :]
        return shown

    def _hides(self) -> bool:
        """Whether what is typed is not shown."""
        return not termios.tcgetattr(self._master)[3] & termios.ECHO

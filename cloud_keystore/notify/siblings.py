"""Wake-ups between the workers of one keystore, by way of their supervisor.

A worker hears topics on its standard input and says its own on its standard output; the supervisor
copies what one says to all others. A hint like any other: one that is lost costs a poll. The input
is a lifeline too: its end means that the supervisor has gone.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from cloud_keystore.notify.wakeups import Wakeups

READY = b"ready\n"  # no line of topics: what a worker says when it serves
LONGEST_LINE = 4096  # PIPE_BUF of Linux: a pipe takes it whole or not at all


@dataclass(frozen=True, slots=True)
class Siblings:
    """A worker's way to the others."""

    number: int  # of this worker, from 0
    hears: int  # file descriptors
    says: int

    @classmethod
    def of_this_process(cls, number: int) -> Siblings:
        """Take standard input and output for this; what is printed goes to standard error."""
        says = os.dup(sys.stdout.fileno())
        os.set_blocking(says, False)
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        return cls(number, sys.stdin.fileno(), says)

    def listen(self, wakeups: Wakeups) -> None:
        """Wake whom others wake, on a thread; end this process when the supervisor has gone."""
        loop = asyncio.get_running_loop()
        listening = threading.Thread(
            target=self._listen, args=(wakeups, loop), name="siblings", daemon=True
        )
        listening.start()

    def tell(self, topics: Iterable[str]) -> None:
        """Have the others wake who waits for these topics; never blocks."""
        for line in _lines(topics):
            with suppress(OSError):  # full, as the supervisor is slow, or gone
                os.write(self.says, line)

    def tell_ready(self) -> None:
        """Say that this worker serves."""
        with suppress(OSError):
            os.write(self.says, READY)

    def _listen(self, wakeups: Wakeups, loop: asyncio.AbstractEventLoop) -> NoReturn:
        rest = b""
        while chunk := os.read(self.hears, 1 << 16):  # no buffered file: its lock outlives us
            lines, newline, rest = (rest + chunk).rpartition(b"\n")
            topics = (lines + newline).decode(errors="replace").split()
            with suppress(RuntimeError):  # the loop has closed: nobody waits
                loop.call_soon_threadsafe(wakeups.wake_here, topics)
        # At once: the data folder may have a new owner soon, who must find nobody at work.
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("a killed process does not go on")


def _lines(topics: Iterable[str]) -> Iterator[bytes]:
    line = b""
    for topic in topics:
        word = topic.encode() + b" "
        if len(line) + len(word) >= LONGEST_LINE:
            yield line + b"\n"
            line = b""
        line += word
    if line:
        yield line + b"\n"

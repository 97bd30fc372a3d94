"""Wake-ups between the workers of one keystore, through their supervisor.

A process reads topics from a pipe and writes its own to another; the supervisor copies what one
process writes to all others in which somebody waits. Wake-ups are hints, and a lost one only
costs a poll. The end of the input also tells a worker that its supervisor has ended.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from cloud_keystore.notify.wakeups import Wakeups

READY = b"ready\n"  # no line of topics: a worker writes it when it serves
ALIVE = b"alive\n"  # nor is this, which it writes each second from then on
ENDING = b"ending\n"  # nor this, which it writes when it ends in order
ALIVE_SECONDS = 1.0
EVERYBODY = "*"  # the topic by which all wake up
LONGEST_LINE = 4096  # PIPE_BUF of Linux: a pipe takes such a line whole or not at all


@dataclass(frozen=True, slots=True)
class Siblings:
    """A worker's connection to the other workers."""

    number: int  # of this worker, from 0
    hears: int  # file descriptors
    says: int

    def listen(self, wakeups: Wakeups | None) -> None:
        """Pass on the wake-ups of others, on a thread, if anybody waits here; end this process when
        the supervisor has ended.
        """
        loop = asyncio.get_running_loop()
        listening = threading.Thread(
            target=self._listen, args=(wakeups, loop), name="siblings", daemon=True
        )
        listening.start()

    def tell(self, topics: Iterable[str]) -> None:
        """Send topics to the other workers, which wake their callers; never blocks."""
        for line in _lines(topics):
            # The pipe is full because the supervisor is slow, or the supervisor has ended.
            with suppress(OSError):
                os.write(self.says, line)

    def tell_ready(self) -> None:
        """Tell the supervisor that this worker serves."""
        with suppress(OSError):
            os.write(self.says, READY)

    def tell_end(self) -> None:
        """Tell the supervisor that this process ends in order, and is silent from now on."""
        # The pipe stays open: the number of its descriptor must not come to mean a file.
        with suppress(OSError):
            os.write(self.says, ENDING)

    async def keep_telling(self) -> None:
        """Tell the supervisor each second that this worker goes on, until cancelled."""
        while True:
            with suppress(OSError):
                os.write(self.says, ALIVE)
            await asyncio.sleep(ALIVE_SECONDS)

    def _listen(self, wakeups: Wakeups | None, loop: asyncio.AbstractEventLoop) -> NoReturn:
        rest = b""
        # Not through a buffered file, whose lock this thread would still hold at the process's end
        while chunk := os.read(self.hears, 1 << 16):
            lines, newline, rest = (rest + chunk).rpartition(b"\n")
            topics = (lines + newline).decode(errors="replace").split()
            if wakeups is None:
                continue
            with suppress(RuntimeError):  # the loop has closed: nobody waits
                if EVERYBODY in topics:
                    loop.call_soon_threadsafe(wakeups.wake_all)
                loop.call_soon_threadsafe(wakeups.wake_here, topics)
        # At once, because the data folder can soon have a new owner, which must be the only one.
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

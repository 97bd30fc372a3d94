"""A pcscd of the tests' own, with our driver alone; and applications that use it.

libpcsclite reads once in a process where pcscd is, so each application is a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO, cast

from cloudcard_tools.bench import own_pcscd
from support import application
from support.polling import until


@dataclass(frozen=True)
class OwnPcscd(own_pcscd.OwnPcscd):
    """A pcscd whose applications do what the tests say."""

    @contextmanager
    def application(self) -> Iterator[Application]:
        """A program that does what it is told."""
        with self._started("serve") as process:
            yield Application(process)

    @contextmanager
    def watching(self, slot: int) -> Iterator[Watcher]:
        """A program that tells each event of a reader."""
        with self._started("watch", name(slot)) as process:
            yield Watcher(process)

    @contextmanager
    def hammering(self, slot: int) -> Iterator[None]:
        """A program that connects to each card and sends it the number in its ATR until it goes."""
        with self._started("hammer", name(slot)):
            yield

    @contextmanager
    def _started(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        process = subprocess.Popen(
            [sys.executable, application.__file__, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **self.environment},
        )
        with process:
            try:
                yield process
            finally:
                process.kill()


def name(slot: int) -> str:
    """How applications see a slot's reader."""
    return f"Cloudcard {slot} {slot:02X} 00"


class Application:
    """A process that uses cards."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._in, self._out = cast("TextIO", process.stdin), cast("TextIO", process.stdout)

    def begin(self, what: str, *arguments: object) -> None:
        """Ask for something."""
        print(json.dumps([what, *arguments]), file=self._in, flush=True)

    def end(self) -> object:
        """What came of it. Raises AssertionError with PC/SC's own words."""
        answer = json.loads(self._out.readline())
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def ask(self, what: str, *arguments: object) -> object:
        self.begin(what, *arguments)
        return self.end()

    def connect(self, slot: int) -> None:
        self.ask("connect", name(slot))

    def transmit(self, command: bytes) -> bytes:
        return bytes.fromhex(str(self.ask("transmit", command.hex())))

    def median_us(self, command: bytes, count: int) -> float:
        """The median time of a command."""
        return float(str(self.ask("median_us", command.hex(), count)))


@dataclass
class Watcher:
    """The events of a reader: what, and when in seconds of the monotonic clock."""

    process: subprocess.Popen[str]
    events: list[tuple[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        self.wait_for(1)  # how the reader is at the start

    def wait_for(self, count: int, seconds: float = 60.0) -> None:
        """Wait until so many events were seen in all."""
        until(lambda: len(self.events) >= count, seconds)

    def _read(self) -> None:
        for line in cast("TextIO", self.process.stdout):
            what, when = json.loads(line)
            self.events.append((what, when))


@contextmanager
def running(folder: Path, library: Path, slots: int) -> Iterator[OwnPcscd]:
    """A pcscd with so many of our readers, for the time of the block."""
    run = folder / "run"
    run.mkdir(exist_ok=True)
    readers = "".join(own_pcscd.slot(run, library, number) for number in range(slots))
    with own_pcscd.running(run, readers, folder / "pcscd.log") as started:
        own = OwnPcscd(started.folder, started.process)
        with own.application() as program:
            assert program.ask("readers") == [name(slot) for slot in range(slots)]
        yield own

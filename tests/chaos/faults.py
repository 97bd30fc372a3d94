"""What goes wrong: processes are killed and stopped, disks fill up, clocks are stepped, and the
database's server is restarted.
"""

from __future__ import annotations

import os
import random
import signal
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from cloudcard_tools.bench.families import children
from cloudcard_tools.bench.town import Town
from cloudcard_tools.shared.processes import Nursery, ProcessFailed
from support.postgres import Server

READY = "Keystore ready"
READY_SECONDS = 60.0
SHORT, LONG = 1.0, 6.0  # seconds of a pause
FULL_SECONDS = 1.5
STEP_SECONDS = (-20, 0, 20)  # of the wall clock; replicas may differ by a minute

Fault = Callable[[], float]  # returns the moment from which people may expect to be served


@dataclass
class Stage:
    """The keystores of a town, and the ways to hurt them."""

    town: Town
    nursery: Nursery
    clock: Path
    server: Server | None = None
    disk: Path | None = None  # a small one of its own
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def faults(self) -> Mapping[str, Fault]:
        """By name; those that this stage has."""
        return {
            "kill": self.kill,
            "pause": self.pause,
            "clock step": self.step,
            **({"full disk": self.fill} if self.disk is not None else {}),
            **({"database restart": self.restart_database} if self.server is not None else {}),
        }

    def kill(self) -> float:
        """Kill one process of a keystore, or a whole keystore, and start again what nobody else
        does.
        """
        name = self._any()
        victim = random.choice([self.nursery[name].pid, *children(self.nursery[name].pid)])
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
        began = time.monotonic()
        if victim == self.nursery[name].pid:
            self._start(name)
        return began

    def pause(self) -> float:
        """Stop one process for a while. Others go on where there are others."""
        name = self._any()
        own = self.nursery[name].pid
        victim = random.choice(children(own) or [own])
        began = time.monotonic()
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGSTOP)
            time.sleep(random.uniform(SHORT, LONG))
            os.kill(victim, signal.SIGCONT)
        return began

    def step(self) -> float:
        """Step the wall clock of all processes."""
        step = random.choice(STEP_SECONDS) * 1_000_000_000
        with self.clock.open("r+b") as file:
            file.write(struct.pack("=q", step))
        return time.monotonic()

    def fill(self) -> float:
        """Fill the disk for a while."""
        assert self.disk is not None
        filler = self.disk / "filler"
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while file.write(bytes(1 << 16)):
                pass
        time.sleep(FULL_SECONDS)
        filler.unlink()
        return time.monotonic()

    def restart_database(self) -> float:
        """Restart the server, in order or as after a crash."""
        assert self.server is not None
        self.server.stop(random.choice(("fast", "immediate")))
        self.server.start()
        return time.monotonic()

    def heal(self) -> None:
        """Let everything run as it should."""
        with self.clock.open("r+b") as file:
            file.write(struct.pack("=q", 0))
        for name in self._names():
            if self.nursery[name].returncode is not None:
                self._start(name)

    def tend(self) -> None:
        """Start what has ended by itself: a supervisor gives up when its workers end again and
        again.
        """
        for name in self._names():
            if self.nursery[name].returncode is not None:
                self.counts["gave up"] = self.counts.get("gave up", 0) + 1
                self._start(name)

    def _start(self, name: str) -> None:
        for _ in range(3):
            with suppress(ProcessFailed):
                self.nursery.restart(name).wait_for(READY, READY_SECONDS)
                return
        raise AssertionError(f"{name} does not start: {self.nursery[name].tail()}")

    def _names(self) -> list[str]:
        return [f"keystore-{number}" for number in range(self.town.replicas)]

    def _any(self) -> str:
        return random.choice(self._names())


@contextmanager
def small_disk(folder: Path, room: int) -> Iterator[Path | None]:
    """A disk of so many bytes of its own at a folder, where the system allows it; else None."""
    folder.mkdir(parents=True, mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={room},mode=700", "chaos", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)

"""A pcscd beside the computer's own, with our driver alone; and applications that use it.

Its folder takes the place of pcscd's in a mount namespace. Applications find its socket there by a
variable that libpcsclite reads once in a process, so each is a process of its own.
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

from cloudcard_tools.shared import pcscd
from support import application
from support.polling import until

VARIABLE = "PCSCLITE_CSOCK_NAME"
START_SECONDS = END_SECONDS = 10.0
IN_ITS_PLACE = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'


@dataclass
class OwnPcscd:
    """A running pcscd."""

    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def handler_socket(self) -> Path:
        return self.folder / "reader.sock"

    @property
    def environment(self) -> dict[str, str]:
        """For programs that use it."""
        return {**os.environ, VARIABLE: str(self.folder / pcscd.SOCKET.name)}

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
            env=self.environment,
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

    def wait_for(self, count: int, seconds: float = 10.0) -> None:
        """Wait until so many events were seen in all."""
        until(lambda: len(self.events) >= count, seconds)

    def _read(self) -> None:
        for line in cast("TextIO", self.process.stdout):
            what, when = json.loads(line)
            self.events.append((what, when))


@contextmanager
def running(folder: Path, library: Path, slots: int) -> Iterator[OwnPcscd]:
    """A pcscd with so many of our readers, for the time of the block."""
    run, conf = folder / "run", folder / "reader.conf.d"
    run.mkdir()
    conf.mkdir()
    (conf / "cloudcard").write_text("\n".join(reader(run, library, slot) for slot in range(slots)))
    process = _start(run, conf, folder / "pcscd.log")
    own = OwnPcscd(run, process)
    try:
        until(lambda: process.poll() is not None or _is_ready(own, slots), START_SECONDS)
        assert process.poll() is None, (folder / "pcscd.log").read_text()
        yield own
    finally:
        cast("subprocess.Popen[bytes]", process).terminate()
        try:
            process.wait(END_SECONDS)
        finally:
            process.kill()
            process.communicate()


def reader(run: Path, library: Path, slot: int) -> str:
    """A reader in pcscd's configuration, as the driver's Makefile writes it."""
    return (
        f'FRIENDLYNAME "Cloudcard {slot}"\nDEVICENAME {run}/reader.sock:{slot}\n'
        f"LIBPATH {library}\nCHANNELID {slot}\n"
    )


def _is_ready(own: OwnPcscd, slots: int) -> bool:
    if not (own.folder / pcscd.SOCKET.name).is_socket():
        return False
    with own.application() as program:
        return program.ask("readers") == [name(slot) for slot in range(slots)]


def _start(run: Path, conf: Path, log: Path) -> subprocess.Popen[bytes]:
    path = pcscd.program()
    assert path is not None
    user = [] if os.geteuid() == 0 else ["--user", "--map-current-user", "--keep-caps"]
    options = f"--config {conf} {pcscd.options(path)}"
    with log.open("ab") as output:
        return subprocess.Popen(
            [
                *("unshare", *user, "--mount", "sh", "-c", IN_ITS_PLACE, "sh"),
                *(str(run), str(pcscd.SOCKET.parent), "sh", "-c", pcscd.TIED_TO_PIPE, "sh"),
                *(path, str(pcscd.SOCKET), str(pcscd.PID_FILE), options),
            ],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
        )

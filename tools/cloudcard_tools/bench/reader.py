"""Measures our own driver beside vpcd: commands, insertions, removals, and an idle pcscd.

A pcscd of the bench's own has all readers: two of ours, vpcd's, and one whose driver answers in
pcscd itself, which is the floor. Applications and cards are separate processes, and take turns, so
that other work of the computer slows all of them down equally.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TextIO, cast

import click

from cloudcard_tools.bench import own_pcscd, reader_echo
from cloudcard_tools.bench.apdu import GET_DISCOVERY, SELECT_PIV, pin
from cloudcard_tools.bench.own_pcscd import OwnPcscd
from cloudcard_tools.bench.timing import WARM_UP, machine, median_us
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.shared.processes import Nursery
from reader_bridge.carriers.handler_socket import HandlerSocket

DRIVER = Path(__file__).parents[3] / "drivers" / "linux" / "ifd"
VPCD_READERS = Path("/etc/reader.conf.d/vpcd")
ROUNDS = 6
EVENTS = 30  # insertions in a round
ECHO_BYTES = 64  # as the floor's response
SETTLE_SECONDS = 3.0  # after the last application has gone
SEEN_SECONDS = 10.0
FLOOR, VPCD, OURS, ECHO = "Floor", "Virtual PCD", "Cloudcard 0", "Cloudcard 1"
PROGRAMS = ("libifdcloudcard.so", "libfloor.so", "application")

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Result:
    """Medians of commands in microseconds; of events, and their 99th percentiles, in ms."""

    card_ours_us: float
    card_vpcd_us: float
    floor_us: float
    echo_ours_us: float
    insert_ms: float
    insert_p99_ms: float
    remove_ms: float
    remove_p99_ms: float
    idle_cpu_percent: float
    count: int  # of commands to each card
    events: int  # insertions, and removals
    machine: str

    def goals(self) -> Iterator[tuple[str, float, float]]:
        """What is wanted: a title, what was measured, and the most that it may be."""
        yield "our driver / vpcd, the same card", self.card_ours_us / self.card_vpcd_us, 0.8
        yield "echo behind our driver / floor", self.echo_ours_us / self.floor_us, 2.2
        yield "insertion, ms", self.insert_ms, 2
        yield "insertion, 99th percentile, ms", self.insert_p99_ms, 20
        yield "removal, ms", self.remove_ms, 2
        yield "removal, 99th percentile, ms", self.remove_p99_ms, 20
        yield "idle pcscd, percent of a core", self.idle_cpu_percent, 1


def measure(folder: Path, count: int, done: Progress) -> Result:
    """Measure everything; logs go to `folder`. Raises ClickException if a part is missing."""
    programs = build(folder / "build")
    run = folder / "run"
    run.mkdir()
    port = free_ports(1)[0]
    with (
        own_pcscd.running(run, readers(run, programs, port), folder / "pcscd.log") as own,
        Nursery(folder / "logs") as nursery,
    ):
        _start_cards(nursery, own, port)
        durations = _by_turns(own, programs["application"], count, done)
        nursery.stop("ours")
        insertions, removals = _events(own, programs["application"], done)
        idle = _idle_percent(own.process.pid, SETTLE_SECONDS)
        done(1)
    return Result(
        card_ours_us=median_us(durations[OURS]),
        card_vpcd_us=median_us(durations[VPCD]),
        floor_us=median_us(durations[FLOOR]),
        echo_ours_us=median_us(durations[ECHO]),
        insert_ms=round(median(insertions), 3),
        insert_p99_ms=round(p99(insertions), 3),
        remove_ms=round(median(removals), 3),
        remove_p99_ms=round(p99(removals), 3),
        idle_cpu_percent=idle,
        count=len(durations[OURS]),
        events=len(insertions),
        machine=machine(),
    )


def steps() -> int:
    """How often a measurement says that a part is done."""
    return 4 * ROUNDS + ROUNDS + 1


def build(folder: Path) -> Mapping[str, Path]:
    """Build the drivers and the application. Raises ClickException outside of a checkout."""
    if not DRIVER.is_dir():
        raise click.ClickException("this bench needs the repository, with drivers/linux/ifd")
    command = ["make", "--silent", "--directory", str(DRIVER), f"BUILD={folder}", "bench"]
    made = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if made.returncode != 0:
        raise click.ClickException(f"the driver cannot be built (make setup): {made.stderr}")
    return {name: folder / name for name in PROGRAMS}


def readers(run: Path, programs: Mapping[str, Path], port: int) -> str:
    """pcscd's configuration. Raises ClickException if vpcd is not installed."""
    try:
        vpcd = re.search(r"^LIBPATH\s+(\S+)", VPCD_READERS.read_text(), re.MULTILINE)
    except OSError:
        vpcd = None
    if vpcd is None:
        raise click.ClickException("vpcd is not installed: apt-get install vsmartcard-vpcd")
    ours = programs["libifdcloudcard.so"]
    return (
        own_pcscd.slot(run, ours, 0)
        + own_pcscd.slot(run, ours, 1)
        + own_pcscd.reader(FLOOR, "/dev/null:0", programs["libfloor.so"], 100)
        + own_pcscd.reader(VPCD, f"/dev/null:{port:#x}", Path(vpcd[1]), port)
    )


def p99(values: list[float]) -> float:
    """The value below which 99 of 100 are."""
    return sorted(values)[len(values) * 99 // 100]


def _start_cards(nursery: Nursery, own: OwnPcscd, port: int) -> None:
    """The same kind of card behind both drivers, and an echo behind ours."""
    card = (sys.executable, "-m", "cloudcard_tools", "reader", "--local", "--algorithm", "p256")
    ours = ("--via", f"handler:{own.handler_socket}", "--slot", "0")
    for name, way in (("ours", ours), ("vpcd", ("--port", str(port)))):
        agent = nursery.start(name, *card, *way, "--no-hold-pcscd", "--json")
        agent.wait_for_json(event="inserted", timeout=30)
        pin(agent.pid)
    echo = (reader_echo.__file__, str(own.handler_socket), "1", str(ECHO_BYTES))
    pin(nursery.start("echo", sys.executable, *echo).pid)


class _Application:
    """The measuring program, connected to one card."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._in, self._out = cast("TextIO", process.stdin), cast("TextIO", process.stdout)

    def transmit(self, command: bytes, count: int) -> list[int]:
        """Send a command so often; the nanoseconds of each. Raises ClickException."""
        print(count, command.hex(), file=self._in, flush=True)
        durations = [int(each) for each in self._out.readline().split()]
        if len(durations) != count:
            raise click.ClickException("the measuring program has lost its card")
        return durations


@contextmanager
def _application(own: OwnPcscd, program: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(  # noqa: S603 (built here)
        [str(program), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **own.environment},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def _by_turns(own: OwnPcscd, program: Path, count: int, done: Progress) -> Mapping[str, list[int]]:
    """The durations of commands to each card, in nanoseconds."""
    found: dict[str, list[int]] = {OURS: [], VPCD: [], FLOOR: [], ECHO: []}
    for _ in range(ROUNDS):
        for reader, durations in found.items():
            with _connected(own, program, reader) as application:
                application.transmit(SELECT_PIV, WARM_UP)
                application.transmit(GET_DISCOVERY, WARM_UP)
                durations += application.transmit(GET_DISCOVERY, max(count // ROUNDS, 1))
            done(1)
    return found


@contextmanager
def _connected(own: OwnPcscd, program: Path, reader: str) -> Iterator[_Application]:
    """The measuring program, once pcscd sees the card: vpcd's after up to 0.4 s."""
    with _watching(own, program, reader) as seen:
        seen.wait_for("in")
    with _application(own, program, "transmit", reader) as process:
        yield _Application(process)


class _Watch:
    """What the measuring program tells of a reader."""

    def __init__(self, out: TextIO) -> None:
        self._events: list[tuple[str, int]] = []
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, args=(out,), daemon=True)
        self._thread.start()

    def wait_for(self, what: str) -> int:
        """When a reader was last seen to be "in" or "out", in nanoseconds, once it is. Raises
        ClickException if that takes too long.
        """
        with self._changed:
            if not self._changed.wait_for(
                lambda: self._events and self._events[-1][0] == what, SEEN_SECONDS
            ):
                raise click.ClickException(f"pcscd has not seen that the card is {what}")
            return self._events[-1][1]

    def _read(self, out: TextIO) -> None:
        for line in out:
            what, when = line.split()
            with self._changed:
                self._events.append((what, int(when)))
                self._changed.notify()


@contextmanager
def _watching(own: OwnPcscd, program: Path, reader: str) -> Iterator[_Watch]:
    with _application(own, program, "watch", reader) as process:
        yield _Watch(cast("TextIO", process.stdout))


def _events(own: OwnPcscd, program: Path, done: Progress) -> tuple[list[float], list[float]]:
    """How long pcscd takes to tell applications of insertions and of removals, in ms."""
    carrier = HandlerSocket(own.handler_socket, 0)
    insertions, removals = [], []
    with _watching(own, program, OURS) as seen:
        seen.wait_for("out")
        for _ in range(ROUNDS):
            for _ in range(EVENTS):
                with carrier.endpoint() as sock:
                    begun = time.monotonic_ns()
                    carrier.insert(sock, reader_echo.ATR, lambda _: None, threading.Event())
                    insertions.append((seen.wait_for("in") - begun) / 1e6)
                    begun = time.monotonic_ns()
                removals.append((seen.wait_for("out") - begun) / 1e6)
            done(1)
    return insertions, removals


def _idle_percent(process: int, seconds: float) -> float:
    """How much of a core a process uses, some seconds after its last client has gone."""
    time.sleep(seconds)
    before = _cpu_seconds(process)
    time.sleep(seconds)
    return round(100 * (_cpu_seconds(process) - before) / seconds, 2)


def _cpu_seconds(process: int) -> float:
    """Its time in user and kernel mode (proc(5))."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

"""Chaos: kills, pauses, full disks, clock steps and restarts of the database, while clients use
approvals and sessions all the while.

`make chaos` plays it against a keystore with workers, and against two replicas on PostgreSQL, and
ends with 1 if anything that must hold did not. `--steps N` kills processes of a keystore at its
first, second, third … step instead, N times.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from chaos import clients, judging
from chaos.clients import Held, Reader
from chaos.faults import Stage, small_disk
from chaos.steps import VICTIMS, Steps
from cloudcard.registry.v1 import identities_pb2
from cloudcard.registry.v1.identities_pb2_grpc import IdentityServiceStub
from cloudcard_tools.bench.town import Town
from cloudcard_tools.enrolment import spending
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.caller import service
from cloudcard_tools.shared.processes import Nursery
from support import namespaces
from support.postgres import server

HOOKS = Path(__file__).parent / "hooks"
INSIDE = "CHAOS_INSIDE"  # the namespaces, where disks may be mounted
SIGNERS, USERS = 3, 2  # cards with approvals, and with sessions
BETWEEN = (0.3, 2.0)  # seconds between faults
SETTLED_SECONDS = 3.0  # after the last fault
# Of the disk that fills up, in bytes: the database of the time that is played has to fit, too.
ROOM, ROOM_A_SECOND = 64 << 20, 1 << 19
TOLD_SECONDS = 60.0  # between two words on how far it is


@dataclass
class Report:
    """What happened on one stage."""

    stage: str
    seconds: float
    operations: int = 0
    uses: int = 0
    without_result: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    recovery: dict[str, tuple[float, float]] = field(default_factory=dict)  # median, most
    wrong: list[str] = field(default_factory=list)

    def time(
        self, faults: Iterable[str], happened: Iterable[tuple[str, float]], held: Held
    ) -> None:
        """Note how often each fault happened, and how soon people were served after its moment."""
        happened = [*happened]
        for fault in faults:
            times = [recovery(held, moment) for which, moment in happened if which == fault]
            self.faults[fault] = len(times)
            found = [each for each in times if each is not None]
            if found:
                self.recovery[fault] = (statistics.median(found), max(found))

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"{self.stage}, {self.seconds:.0f} s:"
        yield (
            f"  {self.operations} operations and {self.uses} uses answered, "
            f"{self.without_result} ended without a result"
        )
        for name, count in self.faults.items():
            timed = self.recovery.get(name)
            after = (
                f", served again after {timed[0]:.2f} s (most {timed[1]:.2f} s)" if timed else ""
            )
            yield f"  {name}: {count}{after}"
        yield f"  violations: {len(self.wrong)}"
        yield from (f"    {each}" for each in self.wrong[:50])


@contextmanager
def workers(folder: Path, seconds: float) -> Iterator[Stage]:
    """A keystore of two workers on SQLite, on a small disk."""
    room = ROOM + round(seconds * ROOM_A_SECOND)
    with small_disk(folder / "disk", room) as disk, Nursery(folder / "logs") as nursery:
        clock = new_clock(folder)
        town = Town(folder / "disk", nursery, ("--workers", "2", "--log-format", "json")).open()
        yield Stage(town, nursery, clock, disk=disk)


@contextmanager
def replicas(folder: Path, _seconds: float) -> Iterator[Stage]:
    """Two keystores on one PostgreSQL."""
    with server() as running, Nursery(folder / "logs") as nursery:
        clock = new_clock(folder)
        options = ("--database", running.new_database(), "--log-format", "json")
        yield Stage(Town(folder, nursery, options, 2).open(), nursery, clock, server=running)


STAGES = {"workers": workers, "replicas": replicas}


@dataclass
class Telling:
    """Tells once a minute how far a stage is."""

    stage: str
    held: Held
    began: float = field(default_factory=time.monotonic)
    _told: int = 0

    def tell(self, so_far: str) -> None:
        """Tell it, if it is time."""
        minute = int((time.monotonic() - self.began) / TOLD_SECONDS)
        if minute > self._told:
            self._told = minute
            answered = f"{len(self.held.results)} operations, {len(self.held.uses)} uses"
            print(f"{self.stage}: {so_far}, {answered}", file=sys.stderr, flush=True)


def new_clock(folder: Path) -> Path:
    """The file that says by how much the programs' clocks are stepped."""
    clock = folder / "clock"
    clock.write_bytes(bytes(8))
    os.environ["CHAOS_CLOCK"] = str(clock)
    return clock


def play(name: str, stage: Stage, seconds: float) -> Report:
    """Play for a time, then judge."""
    town, held, ended = stage.town, Held(), threading.Event()
    readers = [Reader(town, held, town.card("p256")) for _ in range(SIGNERS + USERS)]
    for reader in readers:
        reader.give_passcode()

    def turn(number: int) -> Callable[[], None]:
        reader = readers[number]
        return reader.sign if number < SIGNERS else lambda: reader.use_session(ended.is_set)

    threads = [
        threading.Thread(target=clients.keep_busy, args=(reader, turn(number), ended.is_set))
        for number, reader in enumerate(readers)
    ]
    for thread in threads:
        thread.start()
    happened: list[tuple[str, float]] = []
    telling = Telling(name, held)
    while (gone := time.monotonic() - telling.began) < seconds:
        telling.tell(f"{gone:.0f} of {seconds:.0f} s, {len(happened)} faults")
        time.sleep(random.uniform(*BETWEEN))
        stage.tend()
        # Each kind of fault is met first; by chance afterwards.
        unmet = stage.faults.keys() - {fault for fault, _ in happened}
        fault = random.choice(sorted(unmet or stage.faults))
        happened.append((fault, stage.faults[fault]()))
    stage.heal()
    time.sleep(SETTLED_SECONDS)
    ended.set()
    for thread in threads:
        thread.join()
    report = Report(name, seconds)
    report.operations, report.uses = len(held.results), len(held.uses)
    report.without_result = held.without_result
    report.time(stage.faults, happened, held)
    report.faults |= stage.counts
    report.wrong = judge(stage.town, held, stage.clock.parent)
    return report


def play_steps(folder: Path, count: int) -> Report:
    """Kill a keystore at one step after the other, then judge."""
    with Nursery(folder / "logs") as nursery:
        killed = Steps(folder, nursery)
        telling = Telling("steps", killed.held)
        killed.run(count, lambda number: telling.tell(f"{number} of {count} kills"))
        report = Report("steps", time.monotonic() - telling.began)
        report.operations, report.uses = len(killed.held.results), len(killed.held.uses)
        report.without_result = killed.held.without_result
        report.time(VICTIMS, killed.kills, killed.held)
        report.faults["enrolled"] = killed.enrolled
        report.faults["issued"] = len({*killed.held.cards.values()})
        report.wrong = judge(killed.town, killed.held, folder)
    if len(killed.kills) < count:
        report.wrong.append(f"{count - len(killed.kills)} of {count} steps were not reached")
    return report


def recovery(held: Held, moment: float) -> float | None:
    """How long after a moment a call was answered that began after it."""
    return min((end - moment for began, end in held.answers if began >= moment), default=None)


def judge(town: Town, held: Held, folder: Path) -> list[str]:
    """Compare what clients hold with the journal, which an auditor exports to a folder and
    verifies.
    """
    operator = identity.load(town.folder / "operator")
    with service(operator, IdentityServiceStub) as identities:
        asked = identities_pb2.CreateAuditorRequest(display_name="Grace")
        token = identities.CreateAuditor(asked).token.text
    auditor, export = folder / "auditor", folder / "journal"
    spending.enrol(token, auditor, "auditor")
    time.sleep(SETTLED_SECONDS)  # all entries get their places
    entries = judging.exported(auditor, export)
    return judging.judged(held, entries) + judging.verified(auditor, export)


def main() -> int:
    """Play what was asked for; 1 if something is wrong."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of chaos, in all")
    parser.add_argument("--stage", choices=STAGES, action="append", help="only this one")
    parser.add_argument("--steps", type=int, default=0, help="kills at chosen steps, instead")
    parser.add_argument("--seed", type=int, default=None, help="choose the same faults again")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    said = parser.parse_args()
    if INSIDE not in os.environ and namespaces.interpreter() is not None:
        os.environ[INSIDE] = "yes"
        again = [*namespaces.prefix(), sys.executable, "-m", "chaos", *sys.argv[1:]]
        return subprocess.run(again, check=False).returncode
    random.seed(said.seed)
    os.environ["PYTHONPATH"] = os.pathsep.join((str(HOOKS), os.environ.get("PYTHONPATH", "")))
    reports: list[Report] = []
    names = ["steps"] if said.steps else said.stage or list(STAGES)
    for name in names:
        with tempfile.TemporaryDirectory(prefix="chaos-") as made, ExitStack() as stack:
            if said.steps:
                reports.append(play_steps(Path(made), said.steps))
            else:
                seconds = said.seconds / len(names)
                stage = stack.enter_context(STAGES[name](Path(made), seconds))
                reports.append(play(name, stage, seconds))
        if not said.json:
            print("\n".join(reports[-1].lines()), flush=True)
    if said.json:
        print(json.dumps([vars(each) for each in reports]))
    return int(any(each.wrong for each in reports))


if __name__ == "__main__":
    sys.exit(main())

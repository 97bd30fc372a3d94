"""Kills processes of a keystore before its first, second, third … change of the database or commit,
while people sign, use sessions, enrol and get cards: all, custody, or those that face the network.
"""

from __future__ import annotations

import mmap
import os
import signal
import struct
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import grpc
from sqlalchemy import Engine, event

from chaos.clients import PAUSE_SECONDS, GaveUp, Held, Line, Operator, Reader, keep_busy
from cloudcard.registry.v1 import identities_pb2
from cloudcard.registry.v1.identities_pb2_grpc import IdentityServiceStub
from cloudcard_tools.bench.families import children
from cloudcard_tools.bench.town import Town
from cloudcard_tools.enrolment import spending
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.processes import Nursery
from support import warm_starts

STEPS = 60  # of which one is chosen in turn: those of a start, and of what people do together
STRIDE = 7  # from one to the next, so that deaths while it starts do not follow each other
LIFE_SECONDS = 60.0  # of a keystore that does not come so far
SERVED_SECONDS = 10.0  # until somebody has to be served again
TICK_SECONDS = 0.02
OPTIONS = ("--log-format", "json")
# What is killed: the process that makes the step with its supervisor, and so all; it alone; those
# that face the network.
VICTIMS = ("keystore", "custody", "worker", "enrolment")


class Arms:
    """Which step is to be somebody's last, in memory that the processes of a keystore share."""

    _form = struct.Struct("=iid")

    def __init__(self, place: Path) -> None:
        with place.open("a+b") as file:
            file.truncate(self._form.size)
            self._memory = mmap.mmap(file.fileno(), self._form.size)

    def set(self, victim: str, left: int) -> None:
        """Have a victim killed at the last of so many steps."""
        self._form.pack_into(self._memory, 0, VICTIMS.index(victim), left, 0.0)

    def count(self) -> str | None:
        """Count a step; tells who is to be killed now, until told that it is done."""
        victim, left, moment = self._form.unpack_from(self._memory)
        if moment:
            return None
        self._form.pack_into(self._memory, 0, victim, left - 1, moment)
        return VICTIMS[victim] if left <= 1 else None

    def done(self) -> None:
        """Note that the victim is killed now."""
        self._form.pack_into(self._memory, 0, 0, 0, time.monotonic())

    @property
    def moment(self) -> float:
        """When the victim was killed (`time.monotonic`); 0 while it lives."""
        return float(self._form.unpack_from(self._memory)[2])


class Counting:
    """Counts changes and commits of a keystore's processes, and kills somebody at one of them."""

    def __init__(self, arms: Arms) -> None:
        self._arms = arms
        self._supervisor = os.getpid()
        self._lock = threading.Lock()

    def statement(self, _connection: object, _cursor: object, text: str, *_: object) -> None:
        """Before a statement; one that only reads is no step."""
        if text.split(None, 1)[0].upper() in {"INSERT", "UPDATE", "DELETE"}:
            self.step()

    def step(self, *_: object) -> None:
        with self._lock:
            victim = self._arms.count()
            if victim is not None and (pids := self._pids(victim)):
                self._arms.done()
                for pid in pids:
                    os.kill(pid, signal.SIGKILL)

    def _pids(self, victim: str) -> list[int]:
        """The processes to kill, this one last; none if there are none at this time of a start."""
        if victim == "keystore":
            return [self._supervisor, os.getpid()]
        if victim == "custody":
            return [os.getpid()]
        return [pid for pid in children(self._supervisor) if name(pid).startswith(victim)]


def name(pid: int) -> str:
    """What a process calls itself; empty if it has ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text()
    return ""


def armed(arguments: Sequence[str], folder: str, streams: Sequence[Connection], arms: Path) -> None:
    """Be a keystore whose processes die at chosen steps; runs in a forked process."""
    counting = Counting(Arms(arms))
    event.listen(Engine, "before_cursor_execute", counting.statement)
    event.listen(Engine, "commit", counting.step)
    warm_starts.become(arguments, dict(os.environ), folder, streams)


class Steps:
    """A town, and a keystore that is killed again and again."""

    def __init__(self, folder: Path, nursery: Nursery) -> None:
        self.nursery = nursery
        self.town = Town(folder, nursery, OPTIONS).open()
        self.held = Held()
        self.kills: list[tuple[str, float]] = []  # who was killed, and when
        self._armed = folder / "armed"
        self._arms = Arms(self._armed)
        self._log = (folder / "log").open("ab")
        self._ended = threading.Event()
        signing, using = (Reader(self.town, self.held, self.town.card("p256")) for _ in range(2))
        signing.give_passcode()
        using.give_passcode()
        issuing = Operator(self.town, self.held)
        self.threads = [
            threading.Thread(target=keep_busy, args=(signing, signing.sign, self._ended.is_set)),
            threading.Thread(
                target=keep_busy,
                args=(using, lambda: using.use_session(self._ended.is_set), self._ended.is_set),
            ),
            threading.Thread(target=self._enrol),
            threading.Thread(target=keep_busy, args=(issuing, issuing.issue, self._ended.is_set)),
        ]
        self.enrolled = 0

    def run(self, count: int, tell: Callable[[int], None]) -> None:
        """Kill so many times, each victim at each step in turn; `tell` hears how often so far."""
        child = self.nursery["keystore-0"]
        arguments = warm_starts.ours(child.command)
        assert arguments is not None
        child.stop()
        for thread in self.threads:
            thread.start()
        keystore = None
        for number in range(count):
            tell(number)
            victim = VICTIMS[number % len(VICTIMS)]
            self._arms.set(victim, 1 + number // len(VICTIMS) * STRIDE % STEPS)
            deadline = time.monotonic() + LIFE_SECONDS
            while not self._arms.moment and time.monotonic() < deadline:
                # The last one may need a while to end, and comes to no further step.
                if keystore is None or not keystore.is_alive():
                    keystore = self._started(arguments)
                time.sleep(TICK_SECONDS)
            if keystore is not None and self._arms.moment:
                self.kills.append((victim, self._arms.moment))
                if victim == "keystore":
                    keystore.join()
                self._until(SERVED_SECONDS, partial(self._gone_or_serves, keystore))
        if keystore is not None:
            keystore.kill()
            keystore.join()
        self.nursery.restart("keystore-0").wait_for("Keystore ready", 60)
        self._ended.set()
        for thread in self.threads:
            thread.join()

    def _started(self, arguments: Sequence[str]) -> ForkServerProcess:
        nothing = os.open(os.devnull, os.O_RDONLY)
        streams = [
            Connection(each) for each in (nothing, *(os.dup(self._log.fileno()) for _ in "12"))
        ]
        process = warm_starts.context.Process(
            target=armed, args=(arguments, str(self.town.folder), streams, self._armed)
        )
        process.start()
        for each in streams:
            each.close()
        return process

    def _gone_or_serves(self, keystore: ForkServerProcess) -> bool:
        """Whether all has ended, as it does with one that dies during the start of all, or a call
        was answered that began after the last kill.
        """
        answered = any(began > self._arms.moment for began, _ in self.held.answers[-100:])
        return answered or not keystore.is_alive()

    @staticmethod
    def _until(seconds: float, reached: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + seconds
        while not (yes := reached()) and time.monotonic() < deadline:
            time.sleep(TICK_SECONDS)
        return yes

    def _enrol(self) -> None:
        """Invite workstations, and enrol each with its one token, however often that fails."""
        operator = identity.load(self.town.folder / "operator")
        line = Line(operator, self.town.addresses, self.held)
        asked = identities_pb2.CreateWorkstationRequest(display_name="late", site="")
        while not self._ended.is_set():
            with suppress(GaveUp):
                token = line.again(
                    lambda channel: (
                        IdentityServiceStub(channel).CreateWorkstation(asked, timeout=5).token.text
                    )
                )
                folder = self.town.folder / f"late-{self.enrolled}"
                while not self._ended.is_set():
                    try:
                        spending.enrol(token, folder, "workstation")
                    except (Failure, grpc.RpcError):
                        time.sleep(PAUSE_SECONDS)
                    else:
                        self.enrolled += 1
                        break
                time.sleep(10 * PAUSE_SECONDS)
        line.close()

"""Kills a keystore before its first, second, third … change of the database or commit, while people
sign, use sessions and enrol; each time it is started again at once.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

import grpc
from sqlalchemy import Engine, event

from chaos.clients import PAUSE_SECONDS, GaveUp, Held, Line, Reader, keep_busy
from cloudcard.registry.v1 import identities_pb2
from cloudcard.registry.v1.identities_pb2_grpc import IdentityServiceStub
from cloudcard_tools.bench.town import Town
from cloudcard_tools.enrolment import spending
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.processes import Nursery
from support import warm_starts

STEPS = 60  # of which one is chosen in turn: those of a start, and of what people do together
LIFE_SECONDS = 20.0  # of a keystore that does not come so far
OPTIONS = ("--log-format", "json")


class Counting:
    """Counts changes and commits, and kills the keystore at one of them: the process that makes it,
    and the supervisor, with which the others end.
    """

    def __init__(self, left: int) -> None:
        self._left = left
        self._supervisor = os.getpid()
        self._lock = threading.Lock()

    def statement(self, _connection: object, _cursor: object, text: str, *_: object) -> None:
        """Before a statement; one that only reads is no step."""
        if text.split(None, 1)[0].upper() in {"INSERT", "UPDATE", "DELETE"}:
            self.step()

    def step(self, *_: object) -> None:
        with self._lock:
            self._left -= 1
            if self._left <= 0:
                for pid in (self._supervisor, os.getpid()):
                    os.kill(pid, signal.SIGKILL)


def armed(arguments: Sequence[str], folder: str, streams: Sequence[Connection], step: int) -> None:
    """Be a keystore that dies at a step; runs in a forked process."""
    counting = Counting(step)
    event.listen(Engine, "before_cursor_execute", counting.statement)
    event.listen(Engine, "commit", counting.step)
    warm_starts.become(arguments, dict(os.environ), folder, streams)


class Steps:
    """A town, and a keystore that is killed again and again."""

    def __init__(self, folder: Path, nursery: Nursery) -> None:
        self.nursery = nursery
        self.town = Town(folder, nursery, OPTIONS).open()
        self.held = Held()
        self.kills = 0
        self._log = (folder / "log").open("ab")
        self._ended = threading.Event()
        signing, using = (Reader(self.town, self.held, self.town.card("p256")) for _ in range(2))
        signing.give_passcode()
        using.give_passcode()
        self.threads = [
            threading.Thread(target=keep_busy, args=(signing, signing.sign, self._ended.is_set)),
            threading.Thread(
                target=keep_busy,
                args=(using, lambda: using.use_session(self._ended.is_set), self._ended.is_set),
            ),
            threading.Thread(target=self._enrol),
        ]
        self.enrolled = 0

    def run(self, count: int) -> None:
        """Kill it so many times."""
        child = self.nursery["keystore-0"]
        arguments = warm_starts.ours(child.command)
        assert arguments is not None
        child.stop()
        for thread in self.threads:
            thread.start()
        for number in range(count):
            self._one(arguments, 1 + number % STEPS)
        self.nursery.restart("keystore-0").wait_for("Keystore ready", 60)
        self._ended.set()
        for thread in self.threads:
            thread.join()

    def _one(self, arguments: Sequence[str], step: int) -> None:
        nothing = os.open(os.devnull, os.O_RDONLY)
        streams = [
            Connection(each) for each in (nothing, *(os.dup(self._log.fileno()) for _ in "12"))
        ]
        process = warm_starts.context.Process(
            target=armed, args=(arguments, str(self.town.folder), streams, step)
        )
        process.start()
        for each in streams:
            each.close()
        process.join(LIFE_SECONDS)
        self.kills += process.exitcode == -signal.SIGKILL
        if process.exitcode is None:
            process.kill()
            process.join()

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

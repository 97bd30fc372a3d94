"""Runs the processes of a keystore, and starts again those that end."""

from __future__ import annotations

import gc
import os
import select
import selectors
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import structlog

from cloud_keystore.hardening import end_with_parent
from cloud_keystore.model.errors import KeystoreError
from cloud_keystore.notify.siblings import (
    ALIVE,
    ALIVE_SECONDS,
    ENDING,
    LONGEST_LINE,
    READY,
    Siblings,
)
from cloudcard_tools.serve.starving import Share

log = structlog.get_logger()

START_SECONDS = 60.0  # until a process has to serve
STOP_SECONDS = 10.0  # until a process has to end, including the time for its calls
STEADY_SECONDS = 10.0  # after which earlier failures no longer count
MOST_FAILURES = 5  # in a row
FIRST_PAUSE = 0.1  # seconds before a process is started again; doubled up to the longest pause
LONGEST_PAUSE = 5.0
# A process that says nothing for so long hangs, and can hold the lock of the database: it is
# killed. While it waits for a processor it does not hang: on a computer that is too busy, another
# one in its place would say as little.
MOST_SILENT = 3.0
MOST_UNREAD = 1 << 20  # bytes of wake-ups that wait for a process; further ones are dropped
STOPPING = (signal.SIGINT, signal.SIGTERM)


class WorkerFailed(KeystoreError):
    """A process does not start, or ends repeatedly. Its last messages are in the log."""


@dataclass(frozen=True, slots=True)
class Part:
    """One process of the keystore: `run` is what it does, and returns its exit status."""

    kind: str  # "worker"
    number: int
    run: Callable[[Siblings], int]
    waits: bool  # whether callers wait in it, who are woken by the others
    rank: int  # when told to stop, those of a higher rank stop after the others have ended

    @property
    def name(self) -> str:
        """Its name in messages."""
        return f"{self.kind} {self.number}"

    @property
    def facts(self) -> Mapping[str, int]:
        """Its name in entries of the log."""
        return {self.kind: self.number}


@dataclass(slots=True)
class _Child:
    """A process that runs."""

    part: Part
    pid: int
    end: int  # descriptors: of its end, and of the pipes from and to it
    says: int
    hears: int
    began: float
    share: Share
    serves: bool = False
    silent: float = 0.0
    ends: bool = False  # it has said that it ends in order
    rest: bytes = b""  # of a line
    unread: bytearray = field(default_factory=bytearray)

    def close(self) -> None:
        for each in (self.end, self.says, self.hears):
            os.close(each)

    def signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.end, number)


@dataclass(slots=True)
class _Past:
    """What has become of a part so far."""

    served: bool = False
    failures: int = 0
    pause: float = FIRST_PAUSE
    next_start: float = 0.0


class Supervisor:
    """The processes of one keystore, forked from this one, which must have a single thread. An
    object is used once.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self._past = {part: _Past() for part in parts}
        self._children: dict[Part, _Child] = {}
        self._selector = selectors.DefaultSelector()
        self._told = False
        self._announced = False
        self._failure: WorkerFailed | None = None

    def run(self, ready: Callable[[], None]) -> None:
        """Run the processes until SIGINT or SIGTERM. Calls `ready` once all serve. Raises
        WorkerFailed after all have ended.
        """
        with self._signals(), self._selector, _shared():
            try:
                self._supervise(ready)
            finally:
                log.info("stopping")
                self._stop()
        if self._failure is not None:
            raise self._failure

    def _supervise(self, ready: Callable[[], None]) -> None:
        ticked = time.monotonic()
        while not (self._told or self._failure):
            self._start_due()
            self._hear(ALIVE_SECONDS / 10)
            now = time.monotonic()
            # In short steps: if this program was stopped too, only one of them has passed.
            self._find_hanging(min(now - ticked, ALIVE_SECONDS), now)
            ticked = now
            if not self._announced and all(past.served for past in self._past.values()):
                self._announced = True
                ready()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Be told to stop by signals during the block."""
        hears, says = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(hears, selectors.EVENT_READ)
        before = {each: signal.signal(each, self._tell) for each in STOPPING}
        woken = signal.set_wakeup_fd(says)
        try:
            yield
        finally:
            signal.set_wakeup_fd(woken)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(hears)
            os.close(says)

    def _tell(self, _number: int, _frame: object) -> None:
        self._told = True

    def _start_due(self) -> None:
        now = time.monotonic()
        for part, past in self._past.items():
            if part not in self._children and past.next_start <= now:
                try:
                    child = _fork(part, self._children.values())
                except OSError as error:
                    log.warning(f"no {part.kind} could be started", error=error.strerror)
                    past.next_start = now + LONGEST_PAUSE
                    continue
                self._children[part] = child
                self._selector.register(child.says, selectors.EVENT_READ, child)
                self._selector.register(child.end, selectors.EVENT_READ, child)

    def _hear(self, seconds: float) -> None:
        """Wait for what the processes say, and for their end."""
        ended: list[_Child] = []
        for key, events in self._selector.select(seconds):
            child = key.data
            if child is None:
                with suppress(BlockingIOError):
                    os.read(key.fd, 1 << 10)
            elif key.fd == child.says:
                self._read(child)
            elif key.fd == child.end:
                ended.append(child)
            elif events & selectors.EVENT_WRITE:
                self._write(child)
        for child in ended:
            self._read(child)
            self._bury(child)

    def _read(self, child: _Child) -> None:
        try:
            chunk = os.read(child.says, 1 << 16)
        except BlockingIOError:
            return
        if not chunk:
            with suppress(KeyError):
                self._selector.unregister(child.says)
            return
        child.silent = 0.0
        *lines, child.rest = (child.rest + chunk).split(b"\n")
        for line in lines:
            self._take(child, line + b"\n")
        if len(child.rest) > LONGEST_LINE:  # it was taken over: none of ours is so long
            child.signal(signal.SIGKILL)

    def _take(self, child: _Child, line: bytes) -> None:
        if line == READY:
            child.serves = self._past[child.part].served = True
            log.info(f"{child.part.kind} serves", pid=child.pid, **child.part.facts)
        elif line == ENDING:
            child.ends = True
        elif line != ALIVE:
            for other in self._children.values():
                if other is not child and other.part.waits:
                    self._pass_on(other, line)

    def _pass_on(self, child: _Child, line: bytes) -> None:
        if len(child.unread) >= MOST_UNREAD:
            return
        waits = bool(child.unread)
        child.unread += line
        # At once, if the pipe takes it: people wait for what it says.
        if not waits and not self._wrote(child):
            self._selector.register(child.hears, selectors.EVENT_WRITE, child)

    def _write(self, child: _Child) -> None:
        if self._wrote(child):
            self._selector.unregister(child.hears)

    def _wrote(self, child: _Child) -> bool:
        """Write what a process has not got yet; whether that was all."""
        try:
            del child.unread[: os.write(child.hears, child.unread)]
        except BlockingIOError:
            return False
        except OSError:  # it has ended
            child.unread.clear()
        return not child.unread

    def _find_hanging(self, seconds: float, now: float) -> None:
        """Kill the processes that hang, and those that do not start."""
        for child in self._children.values():
            late = child.silent > ALIVE_SECONDS
            child.silent += seconds - (child.share.missed(seconds) if late else 0.0)
            if child.serves and child.silent >= (STOP_SECONDS if child.ends else MOST_SILENT):
                log.warning(
                    f"a {child.part.kind} hangs and is killed",
                    seconds=round(child.silent, 1),
                    **child.part.facts,
                )
                child.signal(signal.SIGKILL)
            elif not child.serves and now - child.began > START_SECONDS:
                child.signal(signal.SIGKILL)

    def _bury(self, child: _Child) -> None:
        """Note the end of a process, and when its part is started again."""
        _, status = os.waitpid(child.pid, 0)
        del self._children[child.part]
        for each in (child.says, child.end, child.hears):
            with suppress(KeyError):
                self._selector.unregister(each)
        child.close()
        if self._told or self._failure:
            return
        past, now = self._past[child.part], time.monotonic()
        if not past.served:
            self._failure = WorkerFailed(
                f"{child.part.name} does not start: its own message says why"
            )
            return
        if now - child.began > STEADY_SECONDS:
            past.failures, past.pause = 0, FIRST_PAUSE
        past.failures += 1
        log.warning(
            f"a {child.part.kind} ended",
            code=os.waitstatus_to_exitcode(status),
            pause=past.pause,
            **child.part.facts,
        )
        if past.failures >= MOST_FAILURES:
            self._failure = WorkerFailed(
                f"{child.part.name} ended {past.failures} times in a row: see its log"
            )
        past.next_start = now + past.pause
        past.pause = min(2 * past.pause, LONGEST_PAUSE)

    def _stop(self) -> None:
        """Make all processes end, rank by rank."""
        for rank in sorted({part.rank for part in self._past}):
            deadline = time.monotonic() + STOP_SECONDS
            for child in self._of(rank):
                child.signal(signal.SIGTERM)
            while self._of(rank) and time.monotonic() < deadline:
                self._hear(0.02)
            for child in self._of(rank):
                log.warning(f"a {child.part.kind} does not end and is killed", **child.part.facts)
                child.signal(signal.SIGKILL)
            while self._of(rank):
                self._hear(0.02)

    def _of(self, rank: int) -> list[_Child]:
        return [child for part, child in self._children.items() if part.rank == rank]


@contextmanager
def _shared() -> Iterator[None]:
    """Let processes that are forked in the block share what is there by then: collecting garbage,
    which writes to each object, passes over it.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def run_once(part: Part) -> int:
    """Run a part in a process of its own until it ends; its exit status."""
    child = _fork(part, ())
    try:
        select.select([child.end], [], [])
    except BaseException:
        child.signal(signal.SIGKILL)
        raise
    finally:
        _, status = os.waitpid(child.pid, 0)
        child.close()
    ended = os.waitstatus_to_exitcode(status)
    if ended < 0:
        raise WorkerFailed(f"the process that prepares the keystore was ended by signal {-ended}")
    return ended


def _fork(part: Part, others: Iterable[_Child]) -> _Child:
    hears, to_hear = os.pipe()
    to_say, says = os.pipe()
    parent = os.getpid()
    for each in (sys.stdout, sys.stderr):
        each.flush()
    # A signal that arrives before the process has handlers of its own waits for them.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        pid = os.fork()
    except OSError:
        for each in (hears, to_hear, to_say, says):
            os.close(each)
        raise
    finally:
        if os.getpid() == parent:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if pid == 0:
        for other in others:
            other.close()
        os.close(to_hear)
        os.close(to_say)
        _be(part, Siblings(part.number, hears, says), parent)
    os.close(hears)
    os.close(says)
    for each in (to_hear, to_say):
        os.set_blocking(each, False)
    end = os.pidfd_open(pid)
    return _Child(part, pid, end, to_say, to_hear, time.monotonic(), Share(pid))


def _be(part: Part, siblings: Siblings, parent: int) -> NoReturn:
    """Be the process of a part, which never returns to the supervisor's code."""
    status = 1
    try:
        end_with_parent(parent)
        with suppress(OSError):
            Path("/proc/self/comm").write_text(part.name)  # what ps and top show
        # Ctrl-C then reaches only the supervisor, which stops all processes.
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in STOPPING:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        os.set_blocking(siblings.says, False)
        # What is printed goes to standard error, which is the log.
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        status = part.run(siblings)
    except BaseException:
        traceback.print_exc()
    finally:
        for each in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                each.flush()
        os._exit(status)

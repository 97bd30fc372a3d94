"""Runs several processes of a keystore on the same ports, and starts again those that end."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

import structlog

from cloud_keystore.config import Address
from cloud_keystore.model.errors import KeystoreError
from cloud_keystore.notify.siblings import ALIVE, ALIVE_SECONDS, READY
from cloud_keystore.run.ports import CannotListen, wait_until_free

log = structlog.get_logger()

START_SECONDS = 60.0  # until a worker has to serve
STOP_SECONDS = 10.0  # until a worker has to end, including the time for its calls
STEADY_SECONDS = 10.0  # after which earlier failures no longer count
MOST_FAILURES = 5  # in a row
FIRST_PAUSE = 0.1  # seconds before a worker is started again; doubled up to the longest pause
LONGEST_PAUSE = 5.0
# A worker that says nothing for so long hangs, and can hold the lock of the database: it is killed.
MOST_SILENT = 3.0
MOST_UNREAD = 1 << 20  # bytes of wake-ups that wait for a worker; further ones are dropped


class WorkerFailed(KeystoreError):
    """A worker does not start, or ends repeatedly. Its last messages are in the log."""


@contextmanager
def holding(addresses: Sequence[Address]) -> Iterator[None]:
    """Hold ports for this program's workers during the block. Raises CannotListen if one is taken.

    Workers share a port (SO_REUSEPORT), and any process of the same user could share it too.
    Therefore this first checks that nobody listens. Its own sockets are bound and never listen,
    which makes the same check fail in other processes.
    """
    with ExitStack() as sockets:
        for address in addresses:
            wait_until_free(address)
            for family, host in _resolve(address):
                sockets.enter_context(_bound(family, host, address))
        yield


class Supervisor:
    """The workers of one keystore. An object is used once, in one event loop."""

    def __init__(self, count: int, command: Callable[[int], Sequence[str]]) -> None:
        """`command` returns the command of the worker with a number, counted from 0."""
        self._count = count
        self._command = command
        self._workers: dict[int, Process] = {}
        self._stopping = asyncio.Event()
        self._failure: WorkerFailed | None = None

    async def run(self, ready: Callable[[], None]) -> None:
        """Run the workers until SIGINT or SIGTERM. Calls `ready` once all serve. Raises
        WorkerFailed after all workers have ended.
        """
        loop = asyncio.get_running_loop()
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(each, self._stopping.set)
        started = [asyncio.Event() for _ in range(self._count)]
        async with asyncio.TaskGroup() as tasks:
            for number, event in enumerate(started):
                tasks.create_task(self._keep(number, event))
            announcing = tasks.create_task(_announce(started, ready))
            tasks.create_task(self._stop(announcing))
        if self._failure is not None:
            raise self._failure

    async def _keep(self, number: int, started: asyncio.Event) -> None:
        """Run one worker and its successors."""
        failures, pause = 0, FIRST_PAUSE
        while not self._stopping.is_set():
            began = time.monotonic()
            code = await self._one(number, started)
            if self._stopping.is_set():
                return
            if not started.is_set():
                self._give_up(f"worker {number} does not start: its own message says why")
                return
            if time.monotonic() - began > STEADY_SECONDS:
                failures, pause = 0, FIRST_PAUSE
            failures += 1
            log.warning("a worker ended", worker=number, code=code, pause=pause)
            if failures >= MOST_FAILURES:
                self._give_up(f"worker {number} ended {failures} times in a row: see its log")
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _one(self, number: int, started: asyncio.Event) -> int:
        """Start a worker and wait for its end. Returns its exit status."""
        process = await asyncio.create_subprocess_exec(
            *self._command(number),
            stdin=PIPE,
            stdout=PIPE,
            # Ctrl-C then reaches only the supervisor, which stops all workers.
            start_new_session=True,
        )
        self._workers[number] = process
        if self._stopping.is_set():
            process.terminate()
        try:
            async with asyncio.timeout(START_SECONDS):
                serves = await _pipe(process.stdout).readline() == READY
            if serves:
                log.info("worker serves", worker=number, pid=process.pid)
                started.set()
                await self._relay(number, process)
            return await process.wait()
        except TimeoutError:
            return -signal.SIGKILL
        finally:
            del self._workers[number]
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def _relay(self, number: int, process: Process) -> None:
        """Copy the wake-ups of one worker to all others, until it ends or hangs."""
        output, silent = _pipe(process.stdout), 0.0
        while silent < MOST_SILENT:
            try:
                # In short steps: if this program was stopped too, only one of them has passed.
                async with asyncio.timeout(ALIVE_SECONDS):
                    line = await output.readline()
            except TimeoutError:
                silent += ALIVE_SECONDS
                continue
            if not line:
                return
            silent = 0.0
            for other, worker in self._workers.items():
                if other != number and line != ALIVE:
                    _tell(worker, line)
        log.warning("a worker hangs and is killed", worker=number, seconds=silent)
        process.kill()

    def _give_up(self, why: str) -> None:
        self._failure = WorkerFailed(why)
        self._stopping.set()

    async def _stop(self, announcing: asyncio.Task[None]) -> None:
        """Wait for the order to stop, then make all workers end."""
        await self._stopping.wait()
        announcing.cancel()
        log.info("stopping")
        for process in self._workers.values():
            with suppress(ProcessLookupError):
                process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        while self._workers and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        for number, process in self._workers.items():
            log.warning("a worker does not end and is killed", worker=number)
            with suppress(ProcessLookupError):
                process.kill()


async def _announce(started: Sequence[asyncio.Event], ready: Callable[[], None]) -> None:
    for each in started:
        await each.wait()
    ready()


def _tell(worker: Process, line: bytes) -> None:
    hears = worker.stdin
    if hears is None or hears.is_closing():
        return
    if hears.transport.get_write_buffer_size() < MOST_UNREAD:
        hears.write(line)


def _pipe(stream: asyncio.StreamReader | None) -> asyncio.StreamReader:
    """The pipe, which was asked for."""
    if stream is None:
        raise ValueError("the process has no such pipe")
    return stream


def _resolve(address: Address) -> set[tuple[socket.AddressFamily, str]]:
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise CannotListen(f"cannot listen on {address}: {error.strerror}") from None
    return {(family, str(place[0])) for family, _, _, _, place in found}


def _bound(family: socket.AddressFamily, host: str, address: Address) -> socket.socket:
    """A bound socket that shares its port and does not listen."""
    bound = socket.socket(family)
    try:
        # A process that has just ended must not block the port.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with socket.socket(family) as asking:
            asking.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            asking.bind((host, address.port))
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind((host, address.port))
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            # A name can have several addresses. If this is the only one, the workers report it.
            return bound
        bound.close()
        raise CannotListen(
            f"cannot listen on {address}: is another keystore running there?"
        ) from None
    return bound

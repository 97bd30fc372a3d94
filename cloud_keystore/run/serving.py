"""Runs an open keystore until SIGINT or SIGTERM: all in one process, or each part in its own."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from cloud_keystore import hardening
from cloud_keystore.border.answering import Answering
from cloud_keystore.border.calling import Line, remote
from cloud_keystore.border.table import entries
from cloud_keystore.config import Settings
from cloud_keystore.custody.use.using_sessions import UsingSessions
from cloud_keystore.notify.listening import Relay
from cloud_keystore.notify.siblings import Siblings
from cloud_keystore.notify.telling import Telling
from cloud_keystore.notify.wakeups import Wakeups
from cloud_keystore.observability.traces import from_environment
from cloud_keystore.operations.watching import Watching
from cloud_keystore.rpc.door import Named
from cloud_keystore.rpc.limits import Workers
from cloud_keystore.run import use_cases
from cloud_keystore.run.budgets import Budgets
from cloud_keystore.run.ends import Ends
from cloud_keystore.run.looks import Looks
from cloud_keystore.run.network import Network
from cloud_keystore.run.opening import Parts
from cloud_keystore.run.presence import Presence
from cloud_keystore.run.timekeeping import start_clock
from cloud_keystore.run.upkeep import Upkeep
from cloud_keystore.run.use_cases import EnrolmentUseCases, MainUseCases

log = structlog.get_logger()

UPKEEP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Border:
    """The sockets over which custody is asked, one for each port, in the data folder. They are made
    before the processes, so that calls wait while custody starts again.
    """

    folder: int  # descriptor: the names of sockets are short, and that of the folder can be long

    @classmethod
    def of(cls, data: Path) -> Border:
        """In a data folder. The descriptor stays open until the process ends."""
        return cls(os.open(data, os.O_PATH | os.O_DIRECTORY))

    @property
    def main(self) -> str:
        """The path for what the main port asks, in this process and those that it forks."""
        return f"/proc/self/fd/{self.folder}/custody.sock"

    @property
    def enrolment(self) -> str:
        """The path for what the enrolment port asks."""
        return f"/proc/self/fd/{self.folder}/enrolment.sock"

    @contextmanager
    def listening(self) -> Iterator[tuple[socket.socket, socket.socket]]:
        """Both sockets, in place of what a killed keystore has left; removed after the block."""
        with ExitStack() as stack:
            made = [stack.enter_context(_listening(path)) for path in (self.main, self.enrolment)]
            main, enrolment = made
            yield main, enrolment


def make_ready(parts: Parts) -> None:
    """Do what the owner of a keystore must do once before its processes serve."""
    _Keeping.of(parts, 0).upkeep.sweep_at_start()


async def serve(parts: Parts, ready: Callable[[], None]) -> None:
    """Serve as the keystore's only process; call `ready` when both ports answer. Raises
    CannotListen, CannotProbe.
    """
    loop, stop = asyncio.get_running_loop(), _told_to_stop()
    loop.set_default_executor(Workers(parts.settings.limits))
    wakeups = Wakeups(loop)
    keeping = _Keeping.of(parts, _number(parts, None))
    keeping.upkeep.sweep_at_start()
    network = Network(
        settings=parts.settings,
        clock=parts.clock,
        traces=parts.traces,
        main=keeping.use_cases(wakeups.wake),
        enrolment=use_cases.enrolment_use_cases(parts),
    )
    relaying = asyncio.create_task(_keep_relaying(parts, wakeups))
    with keeping.presence.told():
        upkeep = asyncio.create_task(_keep_up(keeping.upkeep, wakeups.wake, wakeups.wake_own))
        await network.serve(wakeups, stop, ready, None)
        upkeep.cancel()
    relaying.cancel()
    keeping.upkeep.finish()


async def keep_custody(
    parts: Parts, main: socket.socket, enrolment: socket.socket, siblings: Siblings
) -> None:
    """Answer over the border, as a process that holds keys and hears no network."""
    loop, stop = asyncio.get_running_loop(), _told_to_stop()
    telling = Telling(loop, siblings)
    siblings.listen(None)
    process = _number(parts, siblings)
    keeping = _Keeping.of(parts, process)
    # In a database of its own, the process before this one had the same number.
    left = keeping.upkeep.sweep(ended=() if parts.database.is_shared else [process])
    cases = keeping.use_cases(telling.wake)
    answering = (
        (
            main,
            Answering(cases, entries(MainUseCases, use_cases.MAIN), cases.callers.identify),
        ),
        (
            enrolment,
            Answering(
                use_cases.enrolment_use_cases(parts),
                entries(EnrolmentUseCases, use_cases.ENROLMENT),
                None,
            ),
        ),
    )
    relaying = asyncio.create_task(_keep_relaying(parts, telling))
    with keeping.presence.told():
        for listening, each in answering:
            each.listen(listening)
        siblings.tell_ready()
        telling.wake(left)
        tasks = [
            asyncio.create_task(_keep_up(keeping.upkeep, telling.wake, siblings.tell)),
            asyncio.create_task(siblings.keep_telling()),
        ]
        await stop.wait()
        log.info("stopping")
        for task in tasks:
            task.cancel()
        siblings.tell_end()
        for _, each in answering:
            each.close()
    relaying.cancel()
    keeping.upkeep.finish()


async def face_clients(settings: Settings, border: Border, siblings: Siblings) -> None:
    """Serve the main port, as a process without a key of the keystore. Raises CannotListen,
    CannotProbe.
    """
    line = Line(border.main)
    asked = remote(MainUseCases, entries(MainUseCases, use_cases.MAIN), line)
    await _face(settings, siblings, asked, None, line.named)


async def face_newcomers(settings: Settings, border: Border, siblings: Siblings) -> None:
    """Serve the enrolment port, as a process without a key of the keystore but that of the port.
    Raises CannotListen.
    """
    table = entries(EnrolmentUseCases, use_cases.ENROLMENT)
    cases = remote(EnrolmentUseCases, table, Line(border.enrolment))
    await _face(settings, siblings, None, cases, None)


async def _face(
    settings: Settings,
    siblings: Siblings,
    main: MainUseCases | None,
    enrolment: EnrolmentUseCases | None,
    named: Named | None,
) -> None:
    readable = hardening.program_files()
    if not hardening.confine(readable):
        log.warning("this system does not keep the process from the keystore's files")
    elif any(settings.data.resolve().is_relative_to(each) for each in readable):
        log.warning("the data folder is among the program's files: move it elsewhere")
    loop, stop = asyncio.get_running_loop(), _told_to_stop()
    loop.set_default_executor(Workers(settings.limits))
    wakeups = Wakeups(loop)
    siblings.listen(wakeups)
    telling = asyncio.create_task(siblings.keep_telling())
    with ExitStack() as closing:
        traces = from_environment(os.environ)
        closing.callback(traces.close)
        network = Network(settings, start_clock(), traces, main, enrolment, named)
        await network.serve(wakeups, stop, siblings.tell_ready, siblings)
        telling.cancel()
        siblings.tell_end()


@dataclass(frozen=True, slots=True)
class _Keeping:
    """What a process of custody does beside answering."""

    parts: Parts
    sessions: UsingSessions
    presence: Presence
    upkeep: Upkeep

    @classmethod
    def of(cls, parts: Parts, process: int) -> _Keeping:
        """For the process with a number, which no other process on the database has."""
        sessions = UsingSessions(
            database=parts.database,
            seal=parts.seal,
            clock=parts.clock,
            random=os.urandom,
            custody=parts.custody,
            process=process,
        )
        presence = Presence(parts.database, process)
        upkeep = Upkeep(
            database=parts.database,
            clock=parts.clock,
            seal=parts.seal,
            holder=parts.holder,
            token=parts.token,
            journal=parts.log,
            sessions=sessions,
            watching=Watching(parts.database, time.monotonic),
            ends=Ends(
                database=parts.database,
                seal=parts.seal,
                clock=parts.clock,
                authorities=parts.authorities,
                monotonic=time.monotonic,
            ),
            budgets=Budgets(parts.database, parts.clock),
            presence=presence,
        )
        return cls(parts, sessions, presence, upkeep)

    def use_cases(self, wake: Callable[[Iterable[str]], None]) -> MainUseCases:
        """The use cases of the main port, which wake those who wait."""
        looks = Looks(self.parts.database, self.upkeep.ends, self.upkeep.budgets)
        return use_cases.main_use_cases(self.parts, self.sessions, looks, wake)


def _told_to_stop() -> asyncio.Event:
    """An event that is set by SIGINT and SIGTERM."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # Windows' event loop has no signal handlers
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    return stop


def _number(parts: Parts, siblings: Siblings | None) -> int:
    """The number of this process, which no other process on the database has."""
    if parts.database.is_shared:
        return int.from_bytes(os.urandom(4)) >> 1  # databases have signed numbers
    return 0 if siblings is None else siblings.number


async def _keep_relaying(parts: Parts, wakeups: Wakeups | Telling) -> None:
    if parts.database.is_shared:
        relay = Relay(parts.database.parameters, wakeups)
        wakeups.tell_others = relay.tell
        await relay.run()


async def _keep_up(
    upkeep: Upkeep,
    wake: Callable[[Iterable[str]], None],
    wake_here: Callable[[Iterable[str]], None],
) -> None:
    while True:
        await asyncio.sleep(UPKEEP_SECONDS)
        for task in upkeep.tasks(wake, wake_here):
            try:
                await asyncio.to_thread(task)
            # The next run can succeed; no decision depends on the upkeep.
            except Exception:
                log.exception("the upkeep failed")


@contextmanager
def _listening(path: str) -> Iterator[socket.socket]:
    with suppress(FileNotFoundError):
        os.unlink(path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)  # for this user alone, as all that is in the data folder
        listening.listen(socket.SOMAXCONN)
        try:
            yield listening
        finally:
            with suppress(FileNotFoundError):
                os.unlink(path)

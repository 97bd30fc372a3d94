"""Serves an open keystore on its ports until SIGINT or SIGTERM."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable

import structlog

from cloud_keystore.config import Address
from cloud_keystore.custody.use.using_sessions import UsingSessions
from cloud_keystore.notify.listening import Relay
from cloud_keystore.notify.siblings import Siblings
from cloud_keystore.notify.wakeups import Wakeups
from cloud_keystore.observability.metrics import Metrics
from cloud_keystore.operations.watching import Watching
from cloud_keystore.rpc.health import Health
from cloud_keystore.rpc.limits import Limiter, Workers
from cloud_keystore.run.budgets import Budgets
from cloud_keystore.run.ends import Ends
from cloud_keystore.run.opening import Parts
from cloud_keystore.run.pages import Pages
from cloud_keystore.run.ports import Ports
from cloud_keystore.run.presence import Presence
from cloud_keystore.run.tending import Tending
from cloud_keystore.run.upkeep import Upkeep
from cloud_keystore.run.wiring import SERVICES
from cloud_keystore.web.probe import Probe

log = structlog.get_logger()

UPKEEP_SECONDS = 1.0
GRACE_SECONDS = 5.0  # for calls under way when the service is told to stop


def make_ready(parts: Parts) -> None:
    """Do what the owner of a keystore must do once before its workers serve."""
    _upkeep(parts, _sessions(parts, 0), Presence(parts.database, 0)).sweep_at_start()


async def serve(parts: Parts, ready: Callable[[], None], siblings: Siblings | None = None) -> None:
    """Serve until SIGINT or SIGTERM, as the keystore's only process or as one of several workers;
    call `ready` when both ports answer. Raises CannotListen, CannotProbe.
    """
    settings, loop, stop = parts.settings, asyncio.get_running_loop(), _told_to_stop()
    loop.set_default_executor(Workers(settings.limits))
    process = _number(parts, siblings)
    presence = Presence(parts.database, process)
    wakeups, sessions, metrics = Wakeups(loop), _sessions(parts, process), Metrics()
    upkeep = _upkeep(parts, sessions, presence)
    pages = Pages(parts.database, metrics, (upkeep.ends.measure, upkeep.budgets.measure))
    if siblings is None:
        upkeep.sweep_at_start()
        left: set[str] = set()
    else:
        siblings.listen(wakeups)
        # In a database of its own, the worker before this one had the same number.
        left = upkeep.sweep(ended=() if parts.database.is_shared else [process])
    others = [asyncio.create_task(_keep_relaying(parts, wakeups, siblings))]
    limiter = Limiter(settings.limits, time.monotonic, metrics)
    ports = Ports(
        parts=parts,
        limiter=limiter,
        metrics=metrics,
        shared=siblings is not None,
    )
    health = Health(SERVICES, pages.database_answers, limiter.connections.heard)
    tending = Tending(parts.database, settings, limiter.connections)
    servers = [ports.main(sessions, wakeups, health), ports.enrolment()]
    probe = _start_probe(settings.http_listen, pages, siblings)
    await health.look()
    with presence.told():
        for server in servers:
            await server.start()
        tasks = [
            asyncio.create_task(health.keep_looking()),
            asyncio.create_task(_keep_up(upkeep, wakeups)),
            asyncio.create_task(tending.keep_tending()),
        ]
        pages.serving.set()
        ready()
        wakeups.wake(left)
        if siblings is not None:
            others.append(asyncio.create_task(siblings.keep_telling()))
        await stop.wait()
        log.info("stopping")
        pages.serving.clear()
        for task in tasks:
            task.cancel()
        health.stop()
        # Streams end now, while calls under way can finish: clients continue at other processes.
        wakeups.close()
        await asyncio.gather(*(server.stop(GRACE_SECONDS) for server in servers))
    for task in others:
        task.cancel()
    upkeep.finish()
    if probe is not None:
        probe.stop()


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


def _sessions(parts: Parts, process: int) -> UsingSessions:
    return UsingSessions(
        database=parts.database,
        seal=parts.seal,
        clock=parts.clock,
        random=os.urandom,
        custody=parts.custody,
        process=process,
    )


def _upkeep(parts: Parts, sessions: UsingSessions, presence: Presence) -> Upkeep:
    return Upkeep(
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


def _start_probe(first: Address | None, pages: Pages, siblings: Siblings | None) -> Probe | None:
    """Health and metrics over HTTP, each worker on a port of its own."""
    if first is None:
        return None
    number = 0 if siblings is None else siblings.number
    probe = Probe(Address(first.host, first.port + number), pages.by_path())
    probe.start()
    return probe


async def _keep_relaying(parts: Parts, wakeups: Wakeups, siblings: Siblings | None) -> None:
    if parts.database.is_shared:
        relay = Relay(parts.database.parameters, wakeups)
        wakeups.tell_others = relay.tell
        await relay.run()
    elif siblings is not None:
        wakeups.tell_others = siblings.tell


async def _keep_up(upkeep: Upkeep, wakeups: Wakeups) -> None:
    while True:
        await asyncio.sleep(UPKEEP_SECONDS)
        for task in upkeep.tasks(wakeups.wake, wakeups.wake_own):
            try:
                await asyncio.to_thread(task)
            # The next run can succeed; no decision depends on the upkeep.
            except Exception:
                log.exception("the upkeep failed")

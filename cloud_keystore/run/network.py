"""Serves the ports of a keystore, wherever the use cases behind them are."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import grpc
import structlog

from cloud_keystore.config import Address, Settings
from cloud_keystore.custody.use.using_sessions import Used, UseRequest
from cloud_keystore.model.clock import Clock
from cloud_keystore.notify.siblings import Siblings
from cloud_keystore.notify.wakeups import Wakeups
from cloud_keystore.observability.metrics import Metrics
from cloud_keystore.observability.traces import Traces
from cloud_keystore.plain.probe import CannotProbe, Probe
from cloud_keystore.rpc.door import Named
from cloud_keystore.rpc.gathering import Ask
from cloud_keystore.rpc.health import Health
from cloud_keystore.rpc.limits import Limiter
from cloud_keystore.run.faces.est import EstPort
from cloud_keystore.run.faces.status import listen
from cloud_keystore.run.offering import hosts
from cloud_keystore.run.offering.card_log_ins import CardUseCases
from cloud_keystore.run.offering.rest import RestUseCases
from cloud_keystore.run.offering.use_cases import (
    EnrolmentUseCases,
    EstUseCases,
    MainUseCases,
    StatusUseCases,
)
from cloud_keystore.run.offering.web import WebUseCases
from cloud_keystore.run.offering.wiring import SERVICES
from cloud_keystore.run.pages import Pages
from cloud_keystore.run.ports import Ports
from cloud_keystore.run.tending import Tending

log = structlog.get_logger()

GRACE_SECONDS = 5.0  # for calls under way when the service is told to stop


class Face(Protocol):
    """An open port that speaks HTTP."""

    async def keep_certified(self) -> None:
        """Renew its certificate in time, until cancelled."""

    async def close(self) -> None:
        """Close it."""


@dataclass(frozen=True, slots=True)
class Network:
    """What a process that faces the network has: one port or all."""

    settings: Settings
    clock: Clock
    traces: Traces
    main: MainUseCases | None
    enrolment: EnrolmentUseCases | None
    status: StatusUseCases | None
    named: Named | None = None  # see Door
    ask_uses: Ask[UseRequest, Used] | None = None  # see Gatherer
    rest: RestUseCases | None = None
    est: EstUseCases | None = None
    web: WebUseCases | None = None
    web_tls: ssl.SSLContext | None = None  # of a certificate that an operator gave
    cards: CardUseCases | None = None
    cards_tls: ssl.SSLContext | None = None  # of the same, and another one

    async def serve(
        self,
        wakeups: Wakeups,
        stop: asyncio.Event,
        ready: Callable[[], None],
        siblings: Siblings | None,
    ) -> None:
        """Serve until `stop`; call `ready` when the ports answer. Raises CannotListen,
        CannotProbe.
        """
        metrics = Metrics()
        limiter = Limiter(self.settings.limits, time.monotonic, metrics)
        ports = Ports(
            settings=self.settings,
            clock=self.clock,
            traces=self.traces,
            limiter=limiter,
            metrics=metrics,
            shared=siblings is not None,
        )
        servers: list[grpc.aio.Server] = []
        looked_after = listener = None
        faces: list[Face] = []
        if self.rest is not None and self.settings.rest_listen is not None:
            from cloud_keystore.run.faces.rest import Api  # late, because it takes half a second

            at = self.settings.rest_listen
            faces.append(await Api.start(at, self.rest, limiter, metrics, self.clock))
        if self.est is not None and self.settings.est_listen is not None:
            at = self.settings.est_listen
            faces.append(await EstPort.start(at, self.est, limiter, self.clock))
        if self.web is not None and self.settings.web is not None:
            from cloud_keystore.run.faces.web import Site  # late, as above

            given = self.settings, self.web, self.web_tls
            faces.append(await Site.start(*given, limiter, metrics, self.clock, wakeups))
        if self.cards is not None and hosts.cards_origin(self.settings):
            from cloud_keystore.run.faces.cards import CardPort  # late, as above

            shown = self.settings, self.cards, self.cards_tls
            faces.append(await CardPort.start(*shown, limiter, metrics, self.clock))
        if self.status is not None:
            listener = await listen(self.settings.status_listen, self.status, limiter, self.clock)
        if self.enrolment is not None:
            servers.append(ports.enrolment(self.enrolment))
        if self.main is None:
            looked_after = _LookedAfter(*self._shown(metrics, siblings))
        if self.main is not None:
            pages = Pages(self.main.looks, metrics)
            health = Health(SERVICES, pages.is_ready, limiter.connections.heard, self.clock)
            servers.append(ports.main(self.main, wakeups, health, self.named, self.ask_uses))
            probe = _start_probe(self.settings.http_listen, pages, siblings)
            looked_after = _LookedAfter(pages, health, probe)
            await health.look()
        callers = None if self.main is None else self.main.callers
        tending = Tending(callers, self.settings, limiter.connections)
        for server in servers:
            await server.start()
        tasks = [asyncio.create_task(tending.keep_tending())]
        tasks += [asyncio.create_task(each.keep_certified()) for each in faces]
        if looked_after is not None:
            tasks += looked_after.begin()
        ready()
        await stop.wait()
        log.info("stopping")
        for task in tasks:
            task.cancel()
        if looked_after is not None:
            looked_after.end()
        # Streams end now, while calls under way can finish: clients continue at other processes.
        wakeups.close()
        if listener is not None:
            listener.close()
        for each in faces:
            await each.close()
        await asyncio.gather(*(server.stop(GRACE_SECONDS) for server in servers))
        if looked_after is not None:
            looked_after.close()

    def _shown(
        self, metrics: Metrics, siblings: Siblings | None
    ) -> tuple[Pages, None, Probe | None]:
        """The pages of a process that does not serve the main port. It goes on without them,
        because nobody has named the address.
        """
        pages = Pages(None, metrics)
        try:
            return pages, None, _start_probe(self.settings.http_listen, pages, siblings)
        except CannotProbe as error:
            log.warning("the metrics of this process are not shown", reason=str(error))
            return pages, None, None


@dataclass(frozen=True, slots=True)
class _LookedAfter:
    """What tells others how a process is; the main port has health too."""

    pages: Pages
    health: Health | None
    probe: Probe | None

    def begin(self) -> list[asyncio.Task[None]]:
        """Tell that calls are served."""
        self.pages.serving.set()
        health = self.health
        return [] if health is None else [asyncio.create_task(health.keep_looking())]

    def end(self) -> None:
        """Tell that no more calls are served."""
        self.pages.serving.clear()
        if self.health is not None:
            self.health.stop()

    def close(self) -> None:
        """Tell nothing more."""
        if self.probe is not None:
            self.probe.stop()


def _start_probe(first: Address | None, pages: Pages, siblings: Siblings | None) -> Probe | None:
    """Health and metrics over HTTP, each worker on a port of its own."""
    if first is None:
        return None
    number = 0 if siblings is None else siblings.number
    probe = Probe(Address(first.host, first.port + number), pages.by_path())
    probe.start()
    return probe

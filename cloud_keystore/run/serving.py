"""Runs an open keystore until SIGINT or SIGTERM: all in one process, or each part in its own."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from threading import BoundedSemaphore
from typing import TypeVar

import structlog

from cloud_keystore.border.answering import Answering
from cloud_keystore.border.awaiting import Groups
from cloud_keystore.border.calling import Line, remote
from cloud_keystore.border.sockets import Socket, Sockets
from cloud_keystore.border.table import Access, methods
from cloud_keystore.cards.external.heeding import Heeding
from cloud_keystore.config import Settings
from cloud_keystore.custody.backends.probing import Probe
from cloud_keystore.custody.use.using_sessions import Used, UseRequest, UsingSessions
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.notify.listening import Relay
from cloud_keystore.notify.siblings import Siblings
from cloud_keystore.notify.telling import Telling
from cloud_keystore.notify.wakeups import Wakeups
from cloud_keystore.observability.traces import from_environment
from cloud_keystore.operations.watching import Watching
from cloud_keystore.pki.revocation.publishing import Publishing
from cloud_keystore.rpc.door import Named
from cloud_keystore.rpc.gathering import Ask
from cloud_keystore.rpc.limits import Workers
from cloud_keystore.run.budgets import Budgets
from cloud_keystore.run.confining import confine
from cloud_keystore.run.ends import Ends
from cloud_keystore.run.faces.own_tls import certificate
from cloud_keystore.run.looks import Looks
from cloud_keystore.run.mailing import keep_sending
from cloud_keystore.run.network import Network
from cloud_keystore.run.offering import access, hosts, sending, use_cases
from cloud_keystore.run.offering.calling import keep_calling
from cloud_keystore.run.offering.card_log_ins import CARDS, CardUseCases
from cloud_keystore.run.offering.rest import RestUseCases, rest_use_cases
from cloud_keystore.run.offering.sending import MailUseCases, OutsideUseCases
from cloud_keystore.run.offering.use_cases import (
    EnrolmentUseCases,
    EstUseCases,
    MainUseCases,
    StatusUseCases,
    new_issuing,
    new_spares,
)
from cloud_keystore.run.offering.web import WebUseCases, web_use_cases
from cloud_keystore.run.opening import Parts
from cloud_keystore.run.presence import Presence
from cloud_keystore.run.stopping import told_to_stop
from cloud_keystore.run.timekeeping import start_clock
from cloud_keystore.run.upkeep import Upkeep, keep_up

log = structlog.get_logger()

T = TypeVar("T")

STATUS_CALLS = 2  # of strangers at the same time, so that there is room for those with an identity
MAIL_CALLS = 3  # the process that sends makes one after another: for people, webhooks and pages
OUTSIDE_CALLS = 1  # so does the one that calls authorities
LAST_SECONDS = 5.0  # for what is on its way when such a process is told to stop


def make_ready(parts: Parts) -> None:
    """Do what the owner of a keystore must do once before its processes serve."""
    Keeping.of(parts, 0).upkeep.sweep_at_start()


async def serve(parts: Parts, ready: Callable[[], None]) -> None:
    """Serve as the keystore's only process; call `ready` when both ports answer. Raises
    CannotListen, CannotProbe.
    """
    loop, stop = asyncio.get_running_loop(), told_to_stop()
    loop.set_default_executor(Workers(parts.settings.limits))
    wakeups = Wakeups(loop)
    keeping = Keeping.of(parts, _number(parts, None))
    keeping.upkeep.sweep_at_start()
    main = keeping.use_cases(wakeups.wake)
    enrolment = use_cases.enrolment_use_cases(parts)
    network = Network(
        settings=parts.settings,
        clock=parts.clock,
        traces=parts.traces,
        main=main,
        enrolment=enrolment,
        status=keeping.status_use_cases(),
        rest=rest_use_cases(main),
        est=use_cases.est_use_cases(main, enrolment),
        web=web_use_cases(main, enrolment.enrolment),
        web_tls=certificate(parts.settings.web),
        cards=CardUseCases.of(main),
        cards_tls=certificate(parts.settings.web),
    )
    relaying = asyncio.create_task(_keep_relaying(parts, wakeups))
    with keeping.presence.told():
        tasks = [asyncio.create_task(keep_up(keeping.upkeep, wakeups.wake, wakeups.wake_own))]
        if parts.settings.sends:
            send = keep_sending(sending.mail_use_cases(parts), parts.settings)
            tasks.append(asyncio.ensure_future(send(stop)))
        if hosts.calls(parts.settings):
            call = keep_calling(sending.outside_use_cases(parts, main), parts.settings)
            tasks.append(asyncio.ensure_future(call(stop)))
        await network.serve(wakeups, stop, ready, None)
        for task in tasks:
            task.cancel()
    relaying.cancel()
    keeping.upkeep.finish()


async def keep_custody(parts: Parts, sockets: Sockets, siblings: Siblings) -> None:
    """Answer over the border, as a process that holds keys and hears no network."""
    loop, stop = asyncio.get_running_loop(), told_to_stop()
    telling = Telling(loop, siblings)
    siblings.listen(None)
    process = _number(parts, siblings)
    keeping = Keeping.of(parts, process)
    # In a database of its own, the process before this one had the same number.
    left = keeping.upkeep.sweep(ended=() if parts.database.is_shared else [process])
    cases = keeping.use_cases(telling.wake)
    places = BoundedSemaphore(parts.settings.limits.threads)
    settings, known = parts.settings, cases.callers.identify

    def answering(
        place: Socket,
        asked: object,
        table: Mapping[str, Access],
        most: BoundedSemaphore = places,
        caller: Callable[[bytes, Role | None], Identity] | None = None,
    ) -> tuple[Socket, Answering]:
        made = methods(type(asked), table)
        return place, Answering(asked, made, caller, bytes(place.secret), most)

    newcomers, strangers = use_cases.enrolment_use_cases(parts), keeping.status_use_cases()
    answered = [
        answering(sockets.main, cases, access.MAIN, caller=known),
        answering(sockets.enrolment, newcomers, access.ENROLMENT),
        answering(sockets.status, strangers, access.STATUS, BoundedSemaphore(STATUS_CALLS)),
    ]
    if settings.rest_listen is not None:
        rest = rest_use_cases(cases)
        answered.append(answering(sockets.rest, rest, access.REST, caller=known))
    if settings.est_listen is not None:
        est, few = use_cases.est_use_cases(cases, newcomers), BoundedSemaphore(STATUS_CALLS)
        answered.append(answering(sockets.est, est, access.EST, few, known))
    if settings.web is not None:
        web = web_use_cases(cases, newcomers.enrolment)
        answered.append(answering(sockets.web, web, access.WEB, caller=web.identify))
        if settings.web.cards is not None:
            shown, few = CardUseCases.of(cases), BoundedSemaphore(STATUS_CALLS)
            answered.append(answering(sockets.cards, shown, CARDS, few))
    if settings.sends:
        letters, one = sending.mail_use_cases(parts), BoundedSemaphore(MAIL_CALLS)
        answered.append(answering(sockets.mail, letters, access.MAIL, one))
    if hosts.calls(settings):
        errands, one = sending.outside_use_cases(parts, cases), BoundedSemaphore(OUTSIDE_CALLS)
        answered.append(answering(sockets.outside, errands, access.OUTSIDE, one))
    relaying = asyncio.create_task(_keep_relaying(parts, telling))
    with keeping.presence.told():
        for place, each in answered:
            each.listen(place.listening)
        siblings.tell_ready()
        telling.wake(left)
        tasks = [
            asyncio.create_task(keep_up(keeping.upkeep, telling.wake, siblings.tell)),
            asyncio.create_task(siblings.keep_telling()),
        ]
        await stop.wait()
        log.info("stopping")
        for task in tasks:
            task.cancel()
        siblings.tell_end()
        for _, each in answered:
            each.close()
    relaying.cancel()
    keeping.upkeep.finish()


async def face_clients(settings: Settings, custody: Socket, siblings: Siblings) -> None:
    """Serve the main port, as a process without a key of the keystore. Raises CannotListen,
    CannotProbe.
    """
    table = methods(MainUseCases, access.MAIN, access.BRIEF)
    at = custody.path, bytes(custody.secret)
    line, uses = Line(*at), Groups[UseRequest, Used](*at, table["using_sessions.use_all"])
    main = remote(MainUseCases, table, line)
    await _face(settings, siblings, main=main, named=line.named, ask_uses=uses.ask)


async def face_newcomers(settings: Settings, custody: Socket, siblings: Siblings) -> None:
    """Serve the enrolment port, as a process without a key of the keystore but that of the port.
    Raises CannotListen.
    """
    cases = _asked(EnrolmentUseCases, access.ENROLMENT, custody)
    await _face(settings, siblings, enrolment=cases)


async def face_strangers(settings: Settings, custody: Socket, siblings: Siblings) -> None:
    """Serve the port for whoever checks cards, as a process without a key of the keystore. Raises
    CannotListen.
    """
    await _face(settings, siblings, status=_asked(StatusUseCases, access.STATUS, custody))


async def face_programs(settings: Settings, custody: Socket, siblings: Siblings) -> None:
    """Serve the REST API, as a process without a key of the keystore. Raises CannotListen."""
    await _face(settings, siblings, rest=_asked(RestUseCases, access.REST, custody))


async def face_workstations(settings: Settings, custody: Socket, siblings: Siblings) -> None:
    """Serve EST, as a process without a key of the keystore. Raises CannotListen."""
    await _face(settings, siblings, est=_asked(EstUseCases, access.EST, custody))


async def face_people(settings: Settings, custody: Socket, siblings: Siblings) -> None:
    """Serve the pages for people, as a process without a key of the keystore. Raises CannotListen,
    and InvalidInput for a certificate that cannot be used.
    """
    tls = certificate(settings.web)
    cases = _asked(WebUseCases, access.WEB, custody)
    await _face(settings, siblings, web=cases, web_tls=tls)


async def face_cards(settings: Settings, custody: Socket, siblings: Siblings) -> None:
    """Serve the port at which operators show their cards, as a process of its own, without a key
    of the keystore. Raises as `face_people` does.
    """
    tls = certificate(settings.web)
    await _face(settings, siblings, cards=_asked(CardUseCases, CARDS, custody), cards_tls=tls)


async def send_mail(settings: Settings, custody: Socket, siblings: Siblings) -> None:
    """Send what people, pages and webhooks are told, as a process without a key of the keystore,
    which nobody can call.
    """
    if not settings.sends:
        return
    cases = _asked(MailUseCases, access.MAIL, custody)
    await _keep_at(settings, siblings, keep_sending(cases, settings))


async def call_authorities(settings: Settings, custody: Socket, siblings: Siblings) -> None:
    """Ask authorities outside of the keystore for certificates and revocation lists, as a process
    without a key of the keystore, which nobody can call.
    """
    cases = _asked(OutsideUseCases, access.OUTSIDE, custody)
    await _keep_at(settings, siblings, keep_calling(cases, settings))


def _asked(use_cases: type[T], table: Mapping[str, Access], custody: Socket) -> T:
    """Use cases that custody has, for a process of one port."""
    line = Line(custody.path, bytes(custody.secret))
    return remote(use_cases, methods(use_cases, table, access.BRIEF), line)


async def _keep_at(
    settings: Settings, siblings: Siblings, work: Callable[[asyncio.Event], Awaitable[None]]
) -> None:
    """Do what calls others until told to stop."""
    confine(settings)
    stop = told_to_stop()
    siblings.listen(None)
    telling = asyncio.create_task(siblings.keep_telling())
    siblings.tell_ready()
    working = asyncio.ensure_future(work(stop))
    await stop.wait()
    log.info("stopping")
    await asyncio.wait([working], timeout=LAST_SECONDS)
    working.cancel()
    telling.cancel()
    siblings.tell_end()


async def _face(
    settings: Settings,
    siblings: Siblings,
    *,
    main: MainUseCases | None = None,
    enrolment: EnrolmentUseCases | None = None,
    status: StatusUseCases | None = None,
    rest: RestUseCases | None = None,
    est: EstUseCases | None = None,
    web: WebUseCases | None = None,
    web_tls: ssl.SSLContext | None = None,
    cards: CardUseCases | None = None,
    cards_tls: ssl.SSLContext | None = None,
    named: Named | None = None,
    ask_uses: Ask[UseRequest, Used] | None = None,
) -> None:
    confine(settings)
    loop, stop = asyncio.get_running_loop(), told_to_stop()
    loop.set_default_executor(Workers(settings.limits))
    wakeups = Wakeups(loop)
    siblings.listen(wakeups)
    telling = asyncio.create_task(siblings.keep_telling())
    with ExitStack() as closing:
        traces = from_environment(os.environ)
        closing.callback(traces.close)
        grpc = (settings, start_clock(), traces, main, enrolment, status, named, ask_uses)
        network = Network(*grpc, rest, est, web, web_tls, cards, cards_tls)
        await network.serve(wakeups, stop, siblings.tell_ready, siblings)
        telling.cancel()
        siblings.tell_end()


@dataclass(frozen=True, slots=True)
class Keeping:
    """What a process of custody does beside answering."""

    parts: Parts
    sessions: UsingSessions
    presence: Presence
    publishing: Publishing
    upkeep: Upkeep

    @classmethod
    def of(cls, parts: Parts, process: int) -> Keeping:
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
        publishing = Publishing(
            database=parts.database,
            clock=parts.clock,
            authorities=parts.authorities,
            random=os.urandom,
            monotonic=time.monotonic,
        )
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
            publishing=publishing,
            heeding=Heeding(parts.database, parts.clock, os.urandom),
            presence=presence,
            spares=new_spares(parts, process),
            issuing=partial(new_issuing, parts, process),
            keep_time=timedelta(days=parts.settings.limits.keep_days),
            survey_time=timedelta(days=parts.settings.limits.survey_days),
        )
        return cls(parts, sessions, presence, publishing, upkeep)

    def use_cases(self, wake: Callable[[Iterable[str]], None]) -> MainUseCases:
        """The use cases of the main port, which wake those who wait."""
        parts, upkeep = self.parts, self.upkeep
        probe = Probe(parts.custody, parts.clock, os.urandom, time.monotonic)
        looks = Looks(parts.database, upkeep.ends, upkeep.budgets, self.publishing, probe)
        return use_cases.main_use_cases(parts, self.sessions, self.publishing, looks, wake)

    def status_use_cases(self) -> StatusUseCases:
        """The use cases of the port for whoever checks cards."""
        return use_cases.status_use_cases(self.parts, self.publishing)


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

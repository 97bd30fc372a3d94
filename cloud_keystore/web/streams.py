"""Tells a page what waits for its holder, as long as it is open: events that the server sends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import TypeVar

from pydantic import BaseModel
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from cloud_keystore.cards.unlocking import Unlocking
from cloud_keystore.model.errors import Overloaded, Stopping
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.notify.wakeups import Subscription, Wakeups
from cloud_keystore.operations.ringing import Ringing, Waiting
from cloud_keystore.people.alerts import AlertListing, Alerts
from cloud_keystore.people.portal.assents import Assents, Question
from cloud_keystore.web import models as m
from cloud_keystore.web.assents import all_asked
from cloud_keystore.web.authenticator import request, state_name
from cloud_keystore.web.calls import current
from cloud_keystore.web.gate import CALLS
from cloud_keystore.web.standing import CLIENT, DOCUMENTS, SIGN_IN, capabilities

R = TypeVar("R")

REQUESTS = f"{CALLS}requests"
BEAT_SECONDS = 15.0  # in which a page that is gone is noticed
LOOK_BEATS = 4  # after which it is looked without a wake-up
BUSY_SECONDS = 0.1
BEAT = b":\n\n"
FIELDS = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]


@dataclass(frozen=True, slots=True)
class Streams:
    """Serves the streams of devices. `held` holds a place for one of a caller, `looks` is how many
    may ask the database at the same time, and `routine` how many of these whom nothing has woken.
    """

    ringing: Ringing
    alerts: Alerts | None  # of none, nobody is told
    assents: Assents | None
    wakeups: Wakeups
    held: Callable[[Hashable], AbstractContextManager[None]]
    looks: asyncio.Semaphore
    routine: asyncio.Semaphore
    unlocking: Unlocking | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one stream, until the page is gone."""
        call = current()
        with self.held(call.certificate_sha256):
            can = capabilities(Headers(scope=scope).get(CLIENT, ""))
            watch = Watch(self, call.device, can)
            with self.wakeups.subscribe(call.device.user_id or call.device.id) as subscription:
                first = await watch.changes()
                await send(
                    {"type": "http.response.start", "status": int(HTTPStatus.OK), "headers": FIELDS}
                )
                gone = asyncio.create_task(_gone(receive))
                try:
                    # The beat tells that these are all that wait.
                    await _send(send, *first, BEAT)
                    async for events in watch.further(subscription, gone):
                        await _send(send, *events)
                finally:
                    gone.cancel()
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def look(self, use_case: Callable[[], R]) -> R:
        """Run a stream's query on a thread; while there is none, try again."""
        async with self.looks:
            while True:
                try:
                    return await asyncio.to_thread(use_case)
                except Overloaded:
                    await asyncio.sleep(BUSY_SECONDS)


@dataclass(slots=True)
class Watch:
    """What one page has been told."""

    streams: Streams
    device: Identity
    can: frozenset[str]  # of what waits, what the page can show
    _ringing: dict[str, Waiting] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)  # alerts
    _asked: tuple[Question, ...] = ()
    _unlocks: tuple[str, ...] = ()  # cards

    async def further(
        self, subscription: Subscription, gone: asyncio.Task[None]
    ) -> AsyncIterator[list[bytes]]:
        """Changes from now on, and now and then a beat."""
        beats, routine = 0, self.streams.routine
        with suppress(Stopping):
            while not gone.done():
                await subscription.wait(BEAT_SECONDS)
                beats += 1
                if subscription.woken:
                    subscription.woken.clear()
                    yield await self.changes()
                # Else at a later beat: news that came while it waits for others would wait too.
                elif beats >= LOOK_BEATS and not routine.locked():
                    beats = 0
                    async with routine:
                        found = await self.changes()
                    yield found
                else:
                    yield [BEAT]

    async def changes(self) -> list[bytes]:
        """What has changed since the last look. Raises IdentityRejected if the device was
        removed.
        """
        ringing, alerts = self.streams.ringing, self.streams.alerts
        assents, unlocking = self.streams.assents, self.streams.unlocking
        found, warned, asked, unlocks = await self.streams.look(
            lambda: (
                ringing.waiting(
                    self.device,
                    # Cards are put into readers from phones of one's own alone.
                    sign_ins=SIGN_IN in self.can and self.device.role is Role.DEVICE,
                    documents=DOCUMENTS in self.can,
                ),
                [] if alerts is None else alerts.told_to(self.device),
                () if assents is None else assents.waiting(self.device),
                () if unlocking is None else unlocking.waiting(self.device),
            )
        )
        waiting = {each.id: each for each in found}
        events: list[bytes] = []
        for gone in sorted(self._ringing.keys() - waiting.keys()):
            state = await self.streams.look(
                partial(ringing.closed, self._ringing[gone], self.device)
            )
            events.append(_event("closed", m.Closed(operation_id=gone, state=state_name(state))))
        for new in sorted(waiting.keys() - self._ringing.keys()):
            shown = await self.streams.look(partial(ringing.shown, waiting[new], self.device))
            events.append(_event("request", request(shown)))
        self._ringing = waiting
        events += [_alert(each) for each in warned if each.alert.id not in self._told]
        self._told = {each.alert.id for each in warned}
        if asked != self._asked:
            events.append(_event("questions", all_asked(asked)))
            self._asked = asked
        if unlocks != self._unlocks:
            events.append(_event("unlocks", m.Unlocks(cards=list(unlocks))))
            self._unlocks = unlocks
        return events


def _alert(listing: AlertListing) -> bytes:
    alert = listing.alert
    return _event("alert", m.Alert(id=alert.id, card_serial=listing.card_serial, text=alert.text))


def _event(name: str, said: BaseModel) -> bytes:
    return f"event: {name}\ndata: {said.model_dump_json()}\n\n".encode()


async def _send(send: Send, *events: bytes) -> None:
    if events:
        await send({"type": "http.response.body", "body": b"".join(events), "more_body": True})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

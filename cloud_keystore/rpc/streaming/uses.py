"""Streams of uses of sessions: many uses under way over one call, whose outcomes come in any order.

What is asked goes straight to the gatherer, and no use has a task of its own: a stream has three,
which read, write, and end it in time.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias, cast

import structlog

from cloud_keystore.custody.use.using_sessions import Used, UseRequest
from cloud_keystore.model import tracing
from cloud_keystore.model.errors import IdentityRejected, SessionNotFound
from cloud_keystore.model.people import Role
from cloud_keystore.model.tracing import TraceParent
from cloud_keystore.notify.wakeups import Wakeups
from cloud_keystore.observability.metrics import Metrics
from cloud_keystore.rpc import calls
from cloud_keystore.rpc.calls import Call
from cloud_keystore.rpc.connections.first_messages import Messages
from cloud_keystore.rpc.door import Door
from cloud_keystore.rpc.gathering import Gatherer
from cloud_keystore.rpc.peer import certificate_sha256
from cloud_keystore.rpc.refusals import Context, refusal
from cloud_keystore.rpc.streaming.messages import refused
from cloudcard.workstation.v1 import workstation_pb2 as pb

Write: TypeAlias = Callable[[pb.UseSessionsResponse], Awaitable[None]]

log = structlog.get_logger()

# After which a stream ends by itself. It must have ended when gRPC cuts an old connection off,
# which comes a minute after the connection takes no more calls.
STREAM_SECONDS = 50.0
# Uses and bytes of one stream that are read and not answered yet. With so many it reads no more,
# and gRPC lets the caller send no more.
MOST_UNDER_WAY = 256
MOST_BYTES = 1024 * 1024
LIMIT = Role.WORKSTATION.name.lower()


@dataclass(slots=True, eq=False)
class _Use:
    """A use that is under way; it is logged like a call."""

    number: int
    request: UseRequest
    size: int  # bytes
    call: Call
    parent: TraceParent | None
    started: float
    met: bool = False  # whether the caller was identified because there seemed to be no session


@dataclass(frozen=True, slots=True)
class UseStreams:
    """Serves the streams of one process."""

    door: Door
    session_uses: Gatherer[UseRequest, Used]
    wakeups: Wakeups
    metrics: Metrics
    seconds: float = STREAM_SECONDS

    async def serve(self, messages: Messages, context: Context) -> None:
        """Serve a stream until its caller ends it, its time is over, or this process stops. What
        was read is answered first, except if the caller is no workstation any more, or takes no
        outcomes and loses the connection.
        """
        async with self.door.stream(context):
            stream = _Stream(self, certificate_sha256(context), context.peer())
            await stream.serve(messages, context.write)


class _Stream:
    """One stream."""

    def __init__(self, at: UseStreams, fingerprint: bytes, peer: str) -> None:
        self._at = at
        self._peer = peer
        self._fingerprint = fingerprint
        self._call = calls.current()
        self._loop = asyncio.get_running_loop()
        self._outcomes: deque[tuple[_Use, pb.UseSessionsResponse]] = deque()
        self._count = 0
        self._bytes = 0
        self._room = asyncio.Event()
        self._news = asyncio.Event()  # an outcome, or an end
        self._rejected: IdentityRejected | None = None
        self._meeting: set[asyncio.Task[None]] = set()
        self._writing_since: float | None = None

    async def serve(self, messages: Messages, write: Write) -> None:
        reading = asyncio.create_task(self._read(messages))
        reading.add_done_callback(self._read_all)
        handler = cast("asyncio.Task[None]", asyncio.current_task())
        ending = asyncio.create_task(self._end_in_time(reading, handler))
        try:
            await self._answer(reading, write)
        finally:
            for each in (reading, ending):
                each.cancel()
        if ending.done():
            ending.result()
        if not reading.cancelled():
            reading.result()

    async def _read(self, messages: Messages) -> None:
        async for message in messages:
            self._take(cast(pb.UseSessionsRequest, message))
            while self._count >= MOST_UNDER_WAY or self._bytes >= MOST_BYTES:
                self._room.clear()
                await self._room.wait()

    def _read_all(self, reading: asyncio.Task[None]) -> None:
        if not reading.cancelled():
            reading.exception()  # it counts as seen, also if the stream ends for another reason
        self._news.set()

    async def _answer(self, reading: asyncio.Task[None], write: Write) -> None:
        """Write outcomes until nothing more comes."""
        while not (reading.done() and self._count == 0):
            self._news.clear()
            if self._rejected is not None:
                raise self._rejected
            while self._outcomes:
                use, response = self._outcomes.popleft()
                self._writing_since = self._loop.time()
                await write(response)
                self._writing_since = None
                self._count -= 1
                self._bytes -= use.size
                self._room.set()
            if not reading.done() or self._count:
                await self._news.wait()

    async def _end_in_time(self, reading: asyncio.Task[None], handler: asyncio.Task[None]) -> None:
        """Stop reading when the stream's time is over, or raise Stopping when the process stops.
        End the connection of a caller who takes no outcomes: it holds what others need.
        """
        at, patience = self._at, self._at.door.limiter.message_seconds
        end = self._loop.time() + at.seconds
        try:
            with at.wakeups.subscribe("") as subscription:
                while True:
                    left = end - self._loop.time()
                    if left <= 0:
                        reading.cancel()
                    await subscription.wait(min(left, patience) if left > 0 else patience)
                    since = self._writing_since
                    if since is not None and self._loop.time() - since >= patience:
                        at.metrics.limited("outcomes")
                        at.door.limiter.connections.cut_off(self._peer)
                        handler.cancel()
                        return
        finally:
            reading.cancel()

    def _take(self, message: pb.UseSessionsRequest) -> None:
        asked = message.use
        parent = tracing.parse(message.traceparent) if message.traceparent else None
        trace_id = self._call.trace_id if parent is None else parent.trace_id
        request = UseRequest(
            asked.session_id, asked.request_id, tuple(asked.inputs), self._fingerprint, trace_id
        )
        call = Call(trace_id=trace_id, role=self._call.role, identity_id=self._call.identity_id)
        use = _Use(message.number, request, message.ByteSize(), call, parent, time.perf_counter())
        self._count += 1
        self._bytes += use.size
        try:
            self._at.door.limiter.admit(LIMIT, self._fingerprint)
        except Exception as error:
            self._settle(use, error)
        else:
            self._ask(use)

    def _ask(self, use: _Use) -> None:
        try:
            future = self._at.session_uses.ask(use.request)
        except Exception as error:
            self._settle(use, error)
        else:
            future.add_done_callback(partial(self._ended, use))

    def _ended(self, use: _Use, future: asyncio.Future[Used]) -> None:
        error = future.exception()
        if error is None:
            self._settle(use, future.result())
        elif isinstance(error, SessionNotFound) and not use.met:
            use.met = True
            meeting = asyncio.create_task(self._meet(use))
            self._meeting.add(meeting)
            meeting.add_done_callback(self._meeting.discard)
        else:
            self._settle(use, cast(Exception, error))

    async def _meet(self, use: _Use) -> None:
        """Identify the caller, as Door.gathered does, and ask once more."""
        try:
            await self._at.door.meet(self._fingerprint)
        except IdentityRejected as error:
            self._rejected = error
            self._settle(use, error)
        except Exception as error:
            self._settle(use, error)
        else:
            self._ask(use)

    def _settle(self, use: _Use, outcome: Used | Exception) -> None:
        response = pb.UseSessionsResponse(number=use.number)
        call, metrics = use.call, self._at.metrics
        if isinstance(outcome, Used):
            response.used.results.extend(outcome.results)
            response.used.uses_left = outcome.uses_left
        else:
            told = refusal(outcome)
            call.code, call.reason = told.code.name, told.reason
            response.refusal.CopyFrom(refused(told))
            metrics.refusals.labels(told.reason).inc()
        seconds = time.perf_counter() - use.started
        metrics.uses.labels(call.code).inc()
        metrics.use_seconds.observe(seconds)
        self._at.door.traces.ended("use", seconds, use.parent)
        log.info("use", code=call.code, ms=round(seconds * 1000, 1), **call.facts())
        self._outcomes.append((use, response))
        self._news.set()

"""Streams that watch operations: many that wait over one call, each told when it changes.

What waits has no task, future or timer of its own, only a place in a few tables: a stream has one
task that reads, and one that looks at what was woken, many rows at a time, and writes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias, cast

from cloud_keystore.model.errors import (
    ComeBack,
    InvalidInput,
    KeystoreError,
    OperationNotFound,
    TooManyCalls,
)
from cloud_keystore.model.operations import Shown, State
from cloud_keystore.model.people import Role
from cloud_keystore.notify.wakeups import Subscription, Wakeups
from cloud_keystore.observability.metrics import Metrics
from cloud_keystore.operations.asking import Asking
from cloud_keystore.rpc.connections.first_messages import Messages
from cloud_keystore.rpc.door import BUSY_SECONDS, Door, patience
from cloud_keystore.rpc.peer import certificate_sha256
from cloud_keystore.rpc.refusals import Context, refusal
from cloud_keystore.rpc.streaming import messages as told
from cloudcard.workstation.v1 import workstation_pb2 as pb

Write: TypeAlias = Callable[[pb.WatchOperationsResponse], Awaitable[None]]

MOST_NAMED = 256  # operations in a message
LONGEST_NAME = 64  # characters; an identifier has 36
# Operations of one stream that are read and not told of yet. With so many it reads no more, and
# gRPC lets the caller send no more.
MOST_UNTOLD = 256
LOOKED_AT = 100  # operations in one query
LIMIT = Role.WORKSTATION.name.lower()


@dataclass(frozen=True, slots=True)
class WatchStreams:
    """Serves the streams of one process."""

    door: Door
    asking: Asking
    wakeups: Wakeups
    metrics: Metrics

    async def serve(self, messages: Messages, context: Context) -> None:
        """Serve a stream until its caller sends no more and nothing is left to watch, or until it
        has had nothing to watch for a while. It ends sooner if the process stops, or if the caller
        is no workstation any more, sends what is no message, or takes nothing and loses the
        connection.
        """
        async with self.door.stream(context):
            with self.wakeups.subscribe() as watched:
                stream = _Stream(self, certificate_sha256(context), context.peer(), watched)
                await stream.serve(messages, context.write)


class _Stream:
    """One stream."""

    def __init__(
        self, at: WatchStreams, fingerprint: bytes, peer: str, watched: Subscription
    ) -> None:
        self._at = at
        self._limiter = at.door.limiter
        self._fingerprint = fingerprint
        self._peer = peer
        self._watched = watched
        self._untold: set[str] = set()  # of those that are watched
        self._refused: deque[tuple[str, KeystoreError]] = deque()
        self._room = asyncio.Event()

    async def serve(self, messages: Messages, write: Write) -> None:
        reading = asyncio.create_task(self._read(messages))
        reading.add_done_callback(lambda _: self._watched.wake())
        try:
            await self._tell(reading, write)
        finally:
            reading.cancel()
            for each in tuple(self._watched.topics):
                self._leave(each)

    async def _read(self, messages: Messages) -> None:
        async for message in messages:
            await self._take(cast(pb.WatchOperationsRequest, message))
            while len(self._untold) + len(self._refused) >= MOST_UNTOLD:
                self._room.clear()
                await self._room.wait()

    async def _take(self, message: pb.WatchOperationsRequest) -> None:
        named = (*message.leave, *message.watch)
        if len(named) > MOST_NAMED:
            raise InvalidInput(f"a message names at most {MOST_NAMED} operations")
        if any(len(each) > LONGEST_NAME for each in named):
            raise InvalidInput(f"an operation's identifier has at most {LONGEST_NAME} characters")
        for each in message.leave:
            self._leave(each)
        for each in message.watch:
            await self._admitted()
            self._watch(each)
        if not message.watch:
            await self._admitted()

    async def _admitted(self) -> None:
        """Count one call against the caller's limit, and read no further before it allows that."""
        while True:
            try:
                self._limiter.admit(LIMIT, self._fingerprint)
            except TooManyCalls as error:
                await asyncio.sleep(error.retry_seconds)
            else:
                return

    def _watch(self, operation_id: str) -> None:
        if operation_id not in self._watched.topics:
            try:
                self._limiter.watched.take(self._fingerprint)
            except ComeBack as error:
                self._refused.append((operation_id, error))
                self._watched.wake()
                return
            self._watched.add(operation_id)
        self._untold.add(operation_id)
        self._watched.wake((operation_id,))

    def _leave(self, operation_id: str) -> None:
        if operation_id in self._watched.topics:
            self._watched.discard(operation_id)
            self._untold.discard(operation_id)
            self._limiter.watched.give_back(self._fingerprint)

    async def _tell(self, reading: asyncio.Task[None], write: Write) -> None:
        """Tell of what is new or was woken, at once, and now and then look at all the others."""
        loop, watched = asyncio.get_running_loop(), self._watched
        others, look_at = list[str](), loop.time() + patience()
        while True:
            if reading.done():
                reading.result()
            while self._refused:
                await self._send(write, _refused(*self._refused.popleft()))
            if watched.woken:
                some = _taken(watched.woken)
                await self._say(some, await self._look(some), write)
            elif others and not self._limiter.routine.locked():
                some, others = others[-LOOKED_AT:], others[:-LOOKED_AT]
                async with self._limiter.routine:
                    shown = await self._look(some)
                await self._say(some, shown, write)
            elif not watched.topics and (reading.done() or loop.time() >= look_at):
                return
            elif others:
                await watched.wait(BUSY_SECONDS)
            elif loop.time() >= look_at:
                others, look_at = list(watched.topics), loop.time() + patience()
            else:
                await watched.wait(look_at - loop.time())
            self._room.set()

    async def _look(self, operation_ids: list[str]) -> dict[str, Shown]:
        asking = self._at.asking
        found = await self._at.door.look_for(
            self._fingerprint, lambda workstation: asking.look(operation_ids, workstation)
        )
        return {each.id: each for each in found}

    async def _say(self, operation_ids: list[str], shown: dict[str, Shown], write: Write) -> None:
        for each in operation_ids:
            # It can have been left meanwhile.
            if each in self._watched.topics and (said := self._news(each, shown.get(each))):
                await self._send(write, said)

    def _news(self, operation_id: str, shown: Shown | None) -> pb.WatchOperationsResponse | None:
        """What there is to tell of an operation that is watched; None if nothing has changed."""
        if shown is None:
            self._leave(operation_id)
            error = OperationNotFound("this workstation has no such operation")
            return _refused(operation_id, error)
        if shown.state is not State.PENDING:
            self._leave(operation_id)
        elif operation_id in self._untold:
            self._untold.remove(operation_id)
        else:
            return None
        return pb.WatchOperationsResponse(
            operation_id=operation_id, operation=told.operation(shown)
        )

    async def _send(self, write: Write, response: pb.WatchOperationsResponse) -> None:
        """Write a response. End the connection of a caller who takes none: it holds what others
        need, and gRPC itself ends no call for that.
        """
        try:
            async with asyncio.timeout(self._limiter.message_seconds):
                await write(response)
        except TimeoutError:
            self._at.metrics.limited("outcomes")
            self._limiter.connections.cut_off(self._peer)
            raise asyncio.CancelledError from None


def _refused(operation_id: str, error: KeystoreError) -> pb.WatchOperationsResponse:
    return pb.WatchOperationsResponse(
        operation_id=operation_id, refusal=told.refused(refusal(error))
    )


def _taken(woken: set[str]) -> list[str]:
    """Some of them, which are taken out."""
    return [woken.pop() for _ in range(min(len(woken), LOOKED_AT))]

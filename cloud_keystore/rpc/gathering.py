"""Gathers calls: those that arrive while a group is served wait, and form the next group. One
transaction and one commit serve a whole group.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeAlias, TypeVar

import structlog

from cloud_keystore.model.errors import KeystoreError, Overloaded

Request = TypeVar("Request")
Response = TypeVar("Response")
Done: TypeAlias = Callable[[int, Response | Exception], None]
# Asks another process for a group; the future ends when that has served it.
Ask: TypeAlias = Callable[[Sequence[Request], Done[Response]], "asyncio.Future[None]"]

log = structlog.get_logger()

MOST_TOGETHER = 64
MOST_WAITING = 2000
IDLE_SECONDS = 0.02
HELD_SECONDS = 0.002  # for which an outcome can wait for others
GROUPS = 1  # served at once: more groups would be smaller, and gain less


class _Hand(Generic[Response]):
    """Hands outcomes over to the event loop, several at a time, because each time thread and loop
    interrupt each other. Used on one thread.
    """

    def __init__(self, futures: Sequence[asyncio.Future[Response]]) -> None:
        self._futures = futures
        self._loop = futures[0].get_loop()
        self._full: list[tuple[asyncio.Future[Response], Response | Exception]] = []
        self._due = time.monotonic() + HELD_SECONDS

    def take(self, place: int, outcome: Response | Exception) -> None:
        """Keep an outcome for the call at this place in the group, and hand over if it is time."""
        self._full.append((self._futures[place], outcome))
        if time.monotonic() >= self._due:
            self.over()

    def over(self) -> None:
        """Hand over all outcomes that are kept."""
        if self._full:
            self._loop.call_soon_threadsafe(_settle, self._full)
        self._full, self._due = [], time.monotonic() + HELD_SECONDS


class Gatherer(Generic[Request, Response]):
    """Serves requests in groups. It can be made anywhere, but is used in one event loop."""

    def __init__(
        self,
        run: Callable[[Sequence[Request], Done[Response]], None],
        tidy: Callable[[], None],
        ask: Ask[Request, Response] | None = None,
    ) -> None:
        """`run` serves a group on a thread, and calls its second argument with the place and the
        outcome of each request; if there is `ask`, this does so instead, in the event loop. `tidy`
        is called on a thread after a moment without calls.
        """
        self._run = run
        self._ask = ask
        self._tidy = tidy
        self._idle: asyncio.TimerHandle | None = None
        self._waiting: deque[tuple[Request, asyncio.Future[Response]]] = deque()
        self._groups = 0

    async def call(self, request: Request) -> Response:
        """The outcome that `run` gives for a request; raised if it is an exception. Raises
        Overloaded if too many requests wait.
        """
        return await self.ask(request)

    def ask(self, request: Request) -> asyncio.Future[Response]:
        """Do the same for a caller that does not wait here."""
        if len(self._waiting) >= MOST_WAITING:
            raise Overloaded("the keystore has more to do than it can: try again")
        future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, future))
        if self._idle is not None:
            self._idle.cancel()
        self._begin()
        return future

    def _begin(self) -> None:
        while self._waiting and self._groups < GROUPS:
            group = self._next()
            if not group:
                return
            try:
                if self._ask is None:
                    running = asyncio.get_running_loop().run_in_executor(None, self._serve, group)
                else:
                    running = self._asked(self._ask, group)
            # No thread is free, or the group cannot be written down. The next one can.
            except Exception as error:
                _settle([(future, _told(error)) for _, future in group])
                continue
            self._groups += 1
            running.add_done_callback(self._ended)

    def _next(self) -> list[tuple[Request, asyncio.Future[Response]]]:
        """The next group, without those whose callers have gone away: nothing was done for them."""
        group: list[tuple[Request, asyncio.Future[Response]]] = []
        while self._waiting and len(group) < MOST_TOGETHER:
            request, future = self._waiting.popleft()
            if not future.done():
                group.append((request, future))
        return group

    def _asked(
        self,
        ask: Ask[Request, Response],
        group: Sequence[tuple[Request, asyncio.Future[Response]]],
    ) -> asyncio.Future[None]:
        requests, futures = zip(*group, strict=True)

        def take(place: int, outcome: Response | Exception) -> None:
            _settle([(futures[place], outcome)])

        def fail(asking: asyncio.Future[None]) -> None:
            if (error := asking.exception()) is not None:
                _settle([(future, _told(error)) for future in futures])

        asking = ask(requests, take)
        asking.add_done_callback(fail)
        return asking

    def _serve(self, group: Sequence[tuple[Request, asyncio.Future[Response]]]) -> None:
        hand = _Hand([future for _, future in group])
        try:
            self._run([request for request, _ in group], hand.take)
        except BaseException as error:
            # Those that were answered before are not affected.
            for place in range(len(group)):
                hand.take(place, _told(error))
            if not isinstance(error, KeystoreError):
                raise
        finally:
            hand.over()

    def _ended(self, running: asyncio.Future[None]) -> None:
        self._groups -= 1
        running.exception()
        self._begin()
        if not self._groups:
            loop = asyncio.get_running_loop()
            self._idle = loop.call_later(IDLE_SECONDS, self._run_tidy)

    def _run_tidy(self) -> None:
        with suppress(Overloaded):  # no thread is free: there are calls, after which comes a moment
            tidying = asyncio.get_running_loop().run_in_executor(None, self._tidy)
            tidying.add_done_callback(_note)


def _told(error: BaseException) -> Exception:
    """What those are told whose group an error has ended."""
    if isinstance(error, KeystoreError):
        return error
    return RuntimeError(f"a group of calls failed: {type(error).__name__}")


def _note(tidying: asyncio.Future[None]) -> None:
    if (error := tidying.exception()) is not None:
        log.warning("not tidied up", error=type(error).__name__)


def _settle(full: Sequence[tuple[asyncio.Future[Response], Response | Exception]]) -> None:
    for future, outcome in full:
        if future.done():
            continue  # the caller no longer waits
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

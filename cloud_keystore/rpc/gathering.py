"""Calls that come while others are under way wait for them, and then go together: so that one
transaction and one commit serve many.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeAlias, TypeVar

import structlog

from cloud_keystore.model.errors import Overloaded

Request = TypeVar("Request")
Response = TypeVar("Response")
Done: TypeAlias = Callable[[int, "Response | Exception"], None]

log = structlog.get_logger()

MOST_TOGETHER = 64
MOST_WAITING = 2000
IDLE_SECONDS = 0.02
HELD_SECONDS = 0.002  # for which an outcome may wait for others
GROUPS = 1  # under way at once: with more they would be smaller, and so would be the gain


class _Hand(Generic[Response]):
    """Hands outcomes over to the event loop, some at a time, as each time both have to stop and let
    the other in. Used on one thread.
    """

    def __init__(self, futures: Sequence[asyncio.Future[Response]]) -> None:
        self._futures = futures
        self._loop = futures[0].get_loop()
        self._full: list[tuple[asyncio.Future[Response], Response | Exception]] = []
        self._due = time.monotonic() + HELD_SECONDS

    def take(self, place: int, outcome: Response | Exception) -> None:
        """One more outcome, for the call at this place in the group."""
        self._full.append((self._futures[place], outcome))
        if time.monotonic() >= self._due:
            self.over()

    def over(self) -> None:
        """Hand over what there is."""
        if self._full:
            self._loop.call_soon_threadsafe(_settle, self._full)
        self._full, self._due = [], time.monotonic() + HELD_SECONDS


class Gatherer(Generic[Request, Response]):
    """Made anywhere, used in one event loop."""

    def __init__(
        self,
        run: Callable[[Sequence[Request], Done[Response]], None],
        tidy: Callable[[], None],
    ) -> None:
        """`run` serves a group on a thread, and gives each outcome to its second argument, with the
        request's place. `tidy` is called on a thread when nobody has called for a moment.
        """
        self._run = run
        self._tidy = tidy
        self._idle: asyncio.TimerHandle | None = None
        self._waiting: deque[tuple[Request, asyncio.Future[Response]]] = deque()
        self._groups = 0

    async def call(self, request: Request) -> Response:
        """What `run` makes of a request; raises what it gives as outcome, and Overloaded."""
        if len(self._waiting) >= MOST_WAITING:
            raise Overloaded("the keystore has more to do than it can: try again")
        future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, future))
        if self._idle is not None:
            self._idle.cancel()
        self._begin()
        return await future

    def _begin(self) -> None:
        while self._waiting and self._groups < GROUPS:
            count = min(len(self._waiting), MOST_TOGETHER)
            group = [self._waiting.popleft() for _ in range(count)]
            self._groups += 1
            running = asyncio.get_running_loop().run_in_executor(None, self._serve, group)
            running.add_done_callback(self._ended)

    def _serve(self, group: Sequence[tuple[Request, asyncio.Future[Response]]]) -> None:
        hand = _Hand([future for _, future in group])
        try:
            self._run([request for request, _ in group], hand.take)
        except BaseException as error:
            for place in range(len(group)):
                hand.take(place, RuntimeError(f"a group of calls failed: {type(error).__name__}"))
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
        tidying = asyncio.get_running_loop().run_in_executor(None, self._tidy)
        tidying.add_done_callback(_note)


def _note(tidying: asyncio.Future[None]) -> None:
    if (error := tidying.exception()) is not None:
        log.warning("not tidied up", error=type(error).__name__)


def _settle(full: Sequence[tuple[asyncio.Future[Response], Response | Exception]]) -> None:
    for future, outcome in full:
        if future.done():
            continue  # the caller waits no longer
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

"""Shares work among the processors. Python's lock is released while OpenSSL computes."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import NoReturn, TypeVar

from card_os.piv.names import Algorithm

Item = TypeVar("Item")
Result = TypeVar("Result")

# Keys that compute for about as long as it takes to let another thread do it
BRIEF = frozenset({Algorithm.ECC_P256, Algorithm.ED25519, Algorithm.X25519})


class Sharing:
    """Threads that help whoever has much to do. Used from any thread; also work that is shared can
    share itself, since nobody waits for a helper that has not begun.
    """

    def __init__(self, processors: int | None = None) -> None:
        self.processors = processors or os.cpu_count() or 1
        self._helpers = self.processors - 1
        self._threads = ThreadPoolExecutor(max(1, self._helpers), "keys")

    def each(
        self, items: Sequence[Item], work: Callable[[Item], Result]
    ) -> Generator[tuple[int, Result], None, None]:
        """The place of each item, and what `work` has made of it, in the order in which they are
        ready. Raises what `work` does; items that nobody has begun are left then.
        """
        left = deque(enumerate(items))
        ready: SimpleQueue[tuple[int, Callable[[], Result]]] = SimpleQueue()

        def go_on() -> bool:
            """Do one, if any is left."""
            try:
                place, item = left.popleft()
            except IndexError:
                return False
            try:
                ready.put((place, partial(_same, work(item))))
            except BaseException as error:
                ready.put((place, partial(_raise, error)))
            return True

        def help_() -> None:
            while go_on():
                pass

        with suppress(RuntimeError):  # the program ends, and has no helpers any more
            for _ in range(min(self._helpers, len(items) - 1)):
                self._threads.submit(help_)
        try:
            for _ in items:
                # The caller works too, as long as nothing is ready.
                if ready.empty():
                    go_on()
                place, result = ready.get()
                yield place, result()
        finally:
            left.clear()


def _same(result: Result) -> Result:
    return result


def _raise(error: BaseException) -> NoReturn:
    raise error

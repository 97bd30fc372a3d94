"""A process that dies at the nth step of what it does with its database: nothing after it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Engine, event


class Crash(BaseException):
    """The process is gone. No refusal, so that nothing in the keystore handles it."""


@dataclass(eq=False)
class Steps:
    """Counts down to the crash; afterwards every step crashes, so no clean-up gets through."""

    left: int
    crashed: bool = field(default=False)

    def __call__(self, *_: object, **__: object) -> None:
        self.left -= 1
        if self.left <= 0:
            self.crashed = True
            raise Crash


@contextmanager
def crashing(step: int | None) -> Iterator[None]:
    """Die before the nth statement or commit of the block; None: live. What was not committed is
    rolled back, as SQLite does at the next start.
    """
    if step is None:
        yield
        return
    steps = Steps(step)
    event.listen(Engine, "before_cursor_execute", steps)
    event.listen(Engine, "commit", steps)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", steps)
        event.remove(Engine, "commit", steps)

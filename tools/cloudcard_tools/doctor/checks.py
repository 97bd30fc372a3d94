"""What a check is, and how all checks are made within a few seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

LIMIT_SECONDS = 3.5  # for all checks; with the start of the program, all is said within 5 s
RESTART = "restart what this check asks, then try again"


class Level(Enum):
    """The result of a check."""

    OK = "ok"
    WARNING = "warn"  # works, or is not needed by everybody
    FAILED = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check has found, and what to do about it unless all is well."""

    level: Level
    cause: str
    fix: str = ""


class Check(NamedTuple):
    """One check: its word for programs, its name for people, the function that looks, and what to
    do if that takes too long.
    """

    id: str
    name: str
    look: Callable[[], Finding]
    if_late: str = RESTART


def ok(cause: str) -> Finding:
    """A finding that all is well."""
    return Finding(Level.OK, cause)


def warning(cause: str, fix: str) -> Finding:
    """A finding of something that works but deserves attention."""
    return Finding(Level.WARNING, cause, fix)


def failed(cause: str, fix: str) -> Finding:
    """A finding of something that will not work."""
    return Finding(Level.FAILED, cause, fix)


class Once(Generic[T]):
    """What several checks ask for, and is asked once."""

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._answers: list[T] = []

    def __call__(self) -> T:
        """The answer; who comes first asks, and others wait."""
        with self._lock:
            if not self._answers:
                self._answers.append(self._ask())
            return self._answers[0]


def examine(checks: Sequence[Check]) -> list[Finding]:
    """Make all checks in parallel, and return the findings in the order of the checks.

    A check that hangs or raises becomes a failed finding.
    """
    findings: list[Finding | None] = [None] * len(checks)

    def look(index: int) -> None:
        try:
            findings[index] = checks[index].look()
        except Exception as error:
            findings[index] = failed(
                f"the check itself failed: {type(error).__name__}: {error}", "report this"
            )

    threads = [threading.Thread(target=look, args=(i,), daemon=True) for i in range(len(checks))]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + LIMIT_SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    late = f"no answer in {LIMIT_SECONDS:g} s"
    return [
        finding or failed(late, check.if_late)
        for check, finding in zip(checks, findings, strict=True)
    ]

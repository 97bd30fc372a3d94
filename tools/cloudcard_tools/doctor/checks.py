"""What a check is, and how all checks are made within a few seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

LIMIT_SECONDS = 4.0


class Level(Enum):
    """The result of a check."""

    OK = "ok"
    WARNING = "warning"  # works, or is not needed by everybody
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check has found, and what to do about it unless all is well."""

    level: Level
    cause: str
    fix: str = ""


class Check(NamedTuple):
    """The name of a prerequisite, and the function that checks it."""

    name: str
    look: Callable[[], Finding]


def ok(cause: str) -> Finding:
    """A finding that all is well."""
    return Finding(Level.OK, cause)


def warning(cause: str, fix: str) -> Finding:
    """A finding of something that works but deserves attention."""
    return Finding(Level.WARNING, cause, fix)


def failed(cause: str, fix: str) -> Finding:
    """A finding of something that will not work."""
    return Finding(Level.FAILED, cause, fix)


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
    late = failed(
        f"no answer in {LIMIT_SECONDS:g} s", "restart what this check asks, then try again"
    )
    return [finding or late for finding in findings]

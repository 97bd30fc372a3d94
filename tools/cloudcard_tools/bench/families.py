"""A process and those that it has started, as Linux tells."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path


def children(pid: int) -> list[int]:
    """The processes that a process has started, and that run."""
    with suppress(OSError):
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(each) for each in text.split()]
    return []


def family(pid: int) -> list[int]:
    """A process, its children, and theirs."""
    return [pid, *(each for child in children(pid) for each in family(child))]


def resident_mib(pid: int) -> float:
    """The memory of a process in MiB (Linux: proc(5), VmRSS); 0 of one that has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return 0.0


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a whole family."""
    for each in family(pid):
        with suppress(ProcessLookupError):
            os.kill(each, number)

"""The processor time of whole families of processes (Linux), those that have ended included."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

# Fields of /proc/PID/stat after the name (proc(5)), and the clocks of other processes
# (clock_getcpuclockid(3)), which count nanoseconds where the fields count ticks.
PARENT, CHILDREN_USER, CHILDREN_SYSTEM = 1, 13, 14
SCHEDULED = 2
TICKS = os.sysconf("SC_CLK_TCK")


def spent(roots: Iterable[int]) -> float:
    """The seconds that processes and all their descendants have used so far.

    A process's share of those that it has waited for is added: their time is never lost, as long as
    a parent lives until its children have ended. A family that changes while it is looked at would
    be counted wrongly, so it is looked at again.
    """
    families = tuple(roots)
    while True:
        parents = _parents()
        members = _members(families, parents)
        try:
            seconds = sum(_of(pid) for pid in members)
        except (FileNotFoundError, ProcessLookupError):
            continue
        if _members(families, _parents()) == members:
            return seconds


def parent(pid: int) -> int:
    """The process that has started this one. Raises OSError if there is none."""
    return int(_fields(pid)[PARENT])


def _of(pid: int) -> float:
    """A process's own time, and that of the descendants that are gone. Raises OSError."""
    own = time.clock_gettime(~pid << 3 | SCHEDULED)
    fields = _fields(pid)
    return own + (int(fields[CHILDREN_USER]) + int(fields[CHILDREN_SYSTEM])) / TICKS


def _members(roots: Iterable[int], parents: Mapping[int, int]) -> set[int]:
    members = set(roots)
    while more := {pid for pid, of in parents.items() if of in members} - members:
        members |= more
    return members


def _parents() -> dict[int, int]:
    """The parent of each process there is."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError):
                found[int(name)] = parent(int(name))
    return found


def _fields(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()

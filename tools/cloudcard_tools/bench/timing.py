"""Measures the time of one call, many times."""

from __future__ import annotations

import gc
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter_ns

WARM_UP = 20


def sample(call: Callable[[], object], count: int) -> list[int]:
    """The duration of each of `count` calls, in nanoseconds."""
    durations = []
    for _ in range(count):
        begin = perf_counter_ns()
        call()
        durations.append(perf_counter_ns() - begin)
    return durations


def median_us(durations: list[int]) -> float:
    """The median of nanoseconds, in microseconds."""
    return round(median(durations) / 1000, 2)


@contextmanager
def undisturbed() -> Iterator[None]:
    """No garbage collection during the block."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def machine() -> str:
    """This computer in one line: processor, cores, system, Python."""
    python = f"Python {platform.python_version()}"
    system = f"{platform.system()} {platform.release()}"
    return f"{_processor()}, {os.cpu_count()} cores, {system}, {python}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("model name"):
            return " ".join(line.partition(":")[2].split())
    return platform.processor() or platform.machine()

"""Programs of another user, who is nobody in particular."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from warnings import catch_warnings, simplefilter

NOBODY = 65534


def as_nobody(work: Callable[[], str]) -> str:
    """What a piece of work says that is done by a process of nobody."""
    with forked(work) as reading:
        said = b""
        while part := os.read(reading, 4096):
            said += part
            if said.endswith(b"\0"):
                break
    return said.removesuffix(b"\0").decode()


@contextmanager
def holding(take: Callable[[], object]) -> Iterator[None]:
    """A process of nobody that keeps what it has taken for the time of the block."""

    def work() -> str:
        kept.append(take())
        return "taken"

    kept: list[object] = []
    with forked(work) as reading:
        assert os.read(reading, 100) == b"taken\0"
        yield


@contextmanager
def forked(work: Callable[[], str]) -> Iterator[int]:
    """A process of nobody that works, tells, and waits for its end; the pipe of what it tells, up
    to a zero.
    """
    reading, writing = os.pipe()
    with catch_warnings():
        simplefilter("ignore", DeprecationWarning)  # threads of other tests: the child uses none
        child = os.fork()
    if child == 0:
        with suppress(BaseException):
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os.write(writing, work().encode() + b"\0")
            signal.pause()
        os._exit(0)
    os.close(writing)
    try:
        yield reading
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reading)

"""Standard input, output and errors, so that a command works with whatever it was given."""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO

QUIET_GRPC = "GRPC_VERBOSITY"


class OutputLost(OSError):
    """Standard output cannot be written."""


class Output(io.TextIOWrapper):
    """Standard output. What cannot be written raises OutputLost, unlike an error of a file."""

    lost = False

    def write(self, text: str, /) -> int:
        """Write, or raise OutputLost."""
        try:
            return super().write(text)
        except OSError as error:
            self.lost = True
            raise OutputLost(error.errno, error.strerror) from None

    def flush(self) -> None:
        """Flush, or raise OutputLost."""
        try:
            super().flush()
        except OSError as error:
            self.lost = True
            raise OutputLost(error.errno, error.strerror) from None


def prepare() -> None:
    """Open what is closed, and let every text be written, whatever the encoding.

    A closed descriptor would be given to the next file that is opened, such as the database, and
    what is printed would be written into it. gRPC's own lines on standard error are turned off
    unless somebody has asked for them, because each failed call is explained once.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    # The interpreter has None for a descriptor that was closed.
    sys.stdin = sys.stdin or _opened(0, "r")
    sys.stdout = sys.stdout or _opened(1, "w")
    sys.stderr = sys.stderr or _opened(2, "w")
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")
    before = sys.stdout
    # Whoever has put another stream there, as tests do, keeps it.
    if isinstance(before, io.TextIOWrapper) and sys.__stdout__ in (before, None):
        encoding, at_once = before.encoding, before.line_buffering
        sys.stdout = Output(before.detach(), encoding, "backslashreplace", line_buffering=at_once)
        sys.__stdout__ = sys.stdout  # type: ignore[misc]  # the one before is of no use any more
    os.environ.setdefault(QUIET_GRPC, "NONE")


def _opened(descriptor: int, mode: str) -> TextIO:
    stream = open(descriptor, mode, closefd=False)  # noqa: SIM115 (open until the program ends)
    assert isinstance(stream, io.TextIOWrapper)  # noqa: S101 (text, by its mode)
    return stream

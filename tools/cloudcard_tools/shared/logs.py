"""Logs of the long-running commands: entries on standard error with identifiers, never with
data.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Literal, TextIO, TypeAlias, cast

import structlog

Form: TypeAlias = Literal["auto", "text", "json"]

# ValueError: the stream is closed, at the end of a program.
CANNOT_BE_WRITTEN = (OSError, ValueError)


class Losing:
    """A stream that drops entries which cannot be written: code that logs an error on a full disk
    must not fail because of the log.

    It is none of `io`'s classes: their finalizers flush when the program has ended, and since
    Python 3.13 report that this fails.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str, /) -> int:
        """Write an entry, or drop it."""
        with suppress(*CANNOT_BE_WRITTEN):
            return self._file.write(text)
        return 0

    def flush(self) -> None:
        """Flush what was written, or drop it."""
        with suppress(*CANNOT_BE_WRITTEN):
            self._file.flush()


def configure(level: int, form: Form = "text", **always: int) -> None:
    """Log entries of the standard library's `level` and above. "auto" is text on a terminal, else
    JSON. The fields of `always`, such as the worker's number, are added to each entry.

    Tracebacks are plain: the richer kind that structlog prefers shows local variables, and a
    passcode may be one of them.
    """
    json = form == "json" or (form == "auto" and not sys.stderr.isatty())
    last: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if json
        else [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            lambda _logger, _method, entry: {**entry, **always},
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # One write for each entry, because workers share standard error.
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", Losing(sys.stderr))),
    )

"""Logs of the long-running commands: entries on standard error, with ids and never with data."""

from __future__ import annotations

import io
import sys
from contextlib import suppress
from typing import Literal, TextIO, TypeAlias, cast

import structlog

Form: TypeAlias = Literal["auto", "text", "json"]


class Losing(io.TextIOBase):
    """Where entries go, and are lost while there is no room for them: whoever logs an error on a
    full disk must not fail for the log.
    """

    def __init__(self, file: TextIO) -> None:
        super().__init__()
        self._file = file

    def write(self, text: str, /) -> int:
        """Write an entry, or lose it."""
        with suppress(OSError):
            return self._file.write(text)
        return 0

    def flush(self) -> None:
        """Hand on what is written, or lose it."""
        with suppress(OSError, ValueError):  # ValueError: closed, at the end of a program
            self._file.flush()


def configure(level: int, form: Form = "text", **always: int) -> None:
    """Log from `level` of the standard library on; "auto" is text on a terminal, else JSON.
    Each entry says what is `always` so, such as which worker writes it.

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
        # one write an entry, as workers share standard error
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", Losing(sys.stderr))),
    )

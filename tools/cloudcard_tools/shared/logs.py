"""Logs of the long-running commands: entries on standard error with identifiers, never with
data.
"""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal, TextIO, TypeAlias, cast

import click
import structlog

log = structlog.get_logger()

STANDARD_ERROR = 2  # the file descriptor

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


class Foreign(logging.Handler):
    """Writes the entries of libraries, which use the standard library, as entries of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write an entry."""
        log.log(
            record.levelno,
            record.getMessage(),
            logger=record.name,
            **({"exc_info": record.exc_info} if record.exc_info else {}),
        )


def configure(level: int, form: Form = "text", **always: int) -> None:
    """Log entries of the standard library's `level` and above. "auto" is text on a terminal, else
    JSON. The fields of `always`, such as the worker's number, are added to each entry.

    Tracebacks are plain: the richer kind that structlog prefers shows local variables, and a
    passcode may be one of them.
    """
    file = sys.stderr or io.StringIO()  # None: the program was started with a closed one
    as_json = form == "json" or (form == "auto" and not file.isatty())
    last: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if as_json
        else [
            structlog.dev.ConsoleRenderer(
                colors=file.isatty(), exception_formatter=structlog.dev.plain_traceback
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
    )
    _write_to(file)


def apart() -> None:
    """Log to standard error until the command ends, whose output is on standard output, and which
    opens a keystore in its own process.
    """
    _write_to(sys.stderr or io.StringIO())
    click.get_current_context().call_on_close(structlog.reset_defaults)


def take_all(form: Form) -> None:
    """Make entries of ours of what Python itself and libraries would write to standard error: their
    logs, warnings, and tracebacks of exceptions that nobody has caught; for "json" of every line,
    also those of gRPC's C core. It is for programs that do nothing else: the whole process is
    changed. To be called after `configure`.
    """
    logging.basicConfig(level=logging.WARNING, handlers=[Foreign()], force=True)
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught
    sys.unraisablehook = lambda told: _uncaught(told.exc_type, told.exc_value, told.exc_traceback)
    threading.excepthook = lambda told: _uncaught(told.exc_type, told.exc_value, told.exc_traceback)
    # No file that is opened later may get the number of a closed one and be written to.
    while (number := os.open(os.devnull, os.O_RDWR)) <= STANDARD_ERROR:
        pass
    os.close(number)
    if form == "json" and sys.stderr is not None:
        _take_lines()


def _take_lines() -> None:
    """Put a pipe in the place of standard error, and make entries of the lines that come out."""
    kept = os.dup(STANDARD_ERROR)
    reading, writing = os.pipe()
    os.dup2(writing, STANDARD_ERROR)
    os.close(writing)
    file = os.fdopen(kept, "w", encoding="utf-8", errors="backslashreplace")
    _write_to(file)
    lines = os.fdopen(reading, encoding="utf-8", errors="replace")
    threading.Thread(
        target=_copy, args=(lines, Losing(file)), name="standard error", daemon=True
    ).start()


def _copy(lines: TextIO, file: Losing) -> None:
    for line in lines:
        if line.startswith("{"):  # an entry already, of a worker
            file.write(line)
            file.flush()
        elif line.strip():
            log.warning(line.rstrip(), logger="standard error")


def _write_to(file: TextIO) -> None:
    # One write for each entry, because workers share standard error.
    structlog.configure(logger_factory=structlog.WriteLoggerFactory(cast("TextIO", Losing(file))))


def say(text: str, form: Form) -> None:
    """Tell something on standard output: a line of text, or an entry if all lines are JSON. It is
    lost if nobody reads.
    """
    line = text
    if form == "json":
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        line = json.dumps({"event": text, "level": "info", "timestamp": now})
    file = Losing(sys.stdout or io.StringIO())
    file.write(line + "\n")
    file.flush()


def _uncaught(
    kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> None:
    log.error("uncaught exception", exc_info=(kind, error, trace))

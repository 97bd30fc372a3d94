"""Logs of the long-running commands: lines on standard error, with ids and never with data."""

from __future__ import annotations

import sys

import structlog


def configure(level: int) -> None:
    """Log from `level` of the standard library on.

    Tracebacks are plain: the richer kind that structlog prefers shows local variables, and a
    passcode may be one of them.
    """
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )

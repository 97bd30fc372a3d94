"""The trace id: one number for a key request, from the reader's APDU to the phone's approval.

W3C Trace Context, level 1: https://www.w3.org/TR/trace-context/ (traceparent, 3.2).
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from dataclasses import dataclass

TRACEPARENT = "traceparent"  # the metadata key of a call
TRACE_ID: ContextVar[str] = ContextVar("trace_id", default="")  # of the call under way, or empty

SHORT = 8  # hex digits that a person reads out to a helpdesk
_FORM = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


@dataclass(frozen=True, slots=True)
class TraceParent:
    """The ids of a trace and of the calling span, as lower-case hex digits (3.2.2)."""

    trace_id: str
    span_id: str
    sampled: bool = False

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.sampled:02x}"


def parse(text: str | bytes) -> TraceParent | None:
    """Read a header. Returns None, as if it were absent, for anything but version 00 with ids that
    are not zero (3.2.2.3, 3.2.2.4).
    """
    found = _FORM.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    trace_id, span_id, flags = found.groups()
    if not trace_id.strip("0") or not span_id.strip("0"):
        return None
    return TraceParent(trace_id, span_id, bool(int(flags, 16) & 1))


def new(random: bytes) -> TraceParent:
    """Start a trace, from 24 random bytes."""
    return TraceParent(random[:16].hex(), random[16:24].hex(), sampled=True)

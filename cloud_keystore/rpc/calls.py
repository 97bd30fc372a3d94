"""What is known of the call under way, for its log entry and its limits."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Call:
    """One call; filled in as it goes."""

    method: str = ""
    trace_id: str = ""
    card_serial: str = ""
    operation_id: str = ""
    role: str = ""
    identity_id: str = ""
    code: str = "OK"
    reason: str = ""
    joined: bool = False  # to the trace of the request that it is about

    def facts(self) -> dict[str, str]:
        """What a log entry says of it: ids, and never data."""
        facts = {
            "role": self.role,
            "identity": self.identity_id,
            "reason": self.reason,
            "trace_id": self.trace_id,
        }
        return {name: value for name, value in facts.items() if value}


CALL: ContextVar[Call | None] = ContextVar("call", default=None)


def current() -> Call:
    """The call under way; outside of one, a blank."""
    return CALL.get() or Call()

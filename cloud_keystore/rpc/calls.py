"""What is known about the current call, for its log entry and its limits."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from cloud_keystore.model.tracing import TraceParent


@dataclass(slots=True)
class Call:
    """One call; its fields are filled in while it runs."""

    method: str = ""
    trace_id: str = ""
    card_serial: str = ""
    operation_id: str = ""
    role: str = ""
    identity_id: str = ""
    code: str = "OK"
    reason: str = ""
    parent: TraceParent | None = None  # the span that the caller names, or a new one
    joined: bool = False  # whether it joined the distributed trace of the request it is about

    def facts(self) -> dict[str, str]:
        """What a log entry says about the call: identifiers, never data."""
        facts = {
            "role": self.role,
            "identity": self.identity_id,
            "reason": self.reason,
            "trace_id": self.trace_id,
        }
        return {name: value for name, value in facts.items() if value}


CALL: ContextVar[Call | None] = ContextVar("call", default=None)


def current() -> Call:
    """The current call; an empty one outside of a call."""
    return CALL.get() or Call()

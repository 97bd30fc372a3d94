"""What is known about the request under way: who has sent it, and how it is told apart."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from cloud_keystore.model.actors import Actor
from cloud_keystore.model.people import Identity


@dataclass(frozen=True, slots=True)
class Call:
    """One request of an API client."""

    id: str  # which its response, the log and the journal have
    caller: Identity

    @property
    def actor(self) -> Actor:
        """The client, as use cases want it."""
        return self.caller.actor


CALL: ContextVar[Call] = ContextVar("rest_call")


def current() -> Call:
    """The request under way; raises LookupError outside of one."""
    return CALL.get()

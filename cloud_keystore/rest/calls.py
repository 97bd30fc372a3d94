"""What is known about the request under way: who has sent it, and how it is told apart."""

from __future__ import annotations

import os
from contextvars import ContextVar
from dataclasses import dataclass, field
from hashlib import sha256

from card_os.uses import REQUEST_ID_BYTES
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.people import Identity


@dataclass(frozen=True, slots=True)
class Call:
    """One request of an API client."""

    id: str  # which its response, the log and the journal have
    caller: Identity
    token: str = field(default="", repr=False)
    repeat_key: str = ""  # the client's own, by which it repeats the request; empty without one

    @property
    def actor(self) -> Actor:
        """The client, as use cases want it."""
        return self.caller.actor

    def request_id(self) -> bytes:
        """What use cases know a repeated request by."""
        if not self.repeat_key:
            return os.urandom(REQUEST_ID_BYTES)
        return sha256(f"{self.caller.id} {self.repeat_key}".encode()).digest()[:REQUEST_ID_BYTES]


CALL: ContextVar[Call] = ContextVar("rest_call")


def current() -> Call:
    """The request under way; raises LookupError outside of one."""
    return CALL.get()

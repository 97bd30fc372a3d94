"""What is known about the call of a device under way."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from cloud_keystore.model.people import Identity


@dataclass(frozen=True, slots=True)
class Call:
    """A call that a device's key has signed."""

    device: Identity
    certificate_sha256: bytes


CALL: ContextVar[Call] = ContextVar("web_call")


def current() -> Call:
    """The call under way; raises LookupError outside of one."""
    return CALL.get()

"""By whose certificate the call under way arrived."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime

from cloud_keystore.model.people import Identity, IdentityState, Role

UNNAMED = "unnamed"


@dataclass(frozen=True, slots=True)
class Presented:
    """A certificate that TLS has checked, and the role that the called service is for."""

    fingerprint: bytes  # SHA-256
    role: Role | None  # None: of any

    def stand_in(self) -> Identity:
        """What use cases in another process get for the caller, whom that process finds itself."""
        return Identity(
            id=UNNAMED,
            role=self.role or Role.WORKSTATION,
            state=IdentityState.ACTIVE,
            display_name="",
            site="",
            user_id=None,
            certificate_sha256=self.fingerprint,
            public_key=None,
            create_time=datetime.min.replace(tzinfo=UTC),
        )


PRESENTED: ContextVar[Presented | None] = ContextVar("presented", default=None)

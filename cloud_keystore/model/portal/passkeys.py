"""Passkeys by which holders log in to the portal, besides the password. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

MOST_PASSKEYS = 5  # of one holder


@dataclass(frozen=True, slots=True)
class PortalPasskey:
    """A passkey of a holder's. It logs in together with the password, and approves nothing."""

    id: str
    user_id: str
    display_name: str
    credential_id: bytes
    public_key: bytes  # COSE key
    sign_count: int
    backup_eligible: bool  # whether it can be copied to other devices ("synced")
    create_time: datetime
    use_time: datetime | None = None
    end_time: datetime | None = None

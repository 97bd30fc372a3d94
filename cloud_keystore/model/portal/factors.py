"""By what holders log in besides the password. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique


@unique
class Factor(StrEnum):
    """What a log-in needs besides the password. A name that was once written keeps its meaning."""

    EMAIL = "email"  # a code to the verified address
    SMS = "sms"  # a code to the verified number
    PHONE = "phone"  # a yes of the authenticator
    PASSKEY = "passkey"


@dataclass(frozen=True, slots=True)
class Factors:
    """What a holder has chosen, and can choose."""

    chosen: Factor
    in_force: Factor  # another one while that cannot be used
    can_sms: bool
    can_phone: bool
    can_passkey: bool
    email: str

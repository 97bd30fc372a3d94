"""By what holders log in besides the password, and without which a forgotten one stays. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique

from cloud_keystore.model.portal.assents import AssentState


@unique
class Factor(StrEnum):
    """What a log-in needs besides the password. A name that was once written keeps its meaning."""

    EMAIL = "email"  # a code to the verified address
    SMS = "sms"  # a code to the verified number
    PHONE = "phone"  # a yes of the authenticator
    PASSKEY = "passkey"


# To what a phone can say yes: who has lost a passkey still logs in.
AGREEABLE = frozenset({Factor.PHONE, Factor.PASSKEY})


@dataclass(frozen=True, slots=True)
class Factors:
    """What a holder has chosen, and can choose."""

    chosen: Factor
    in_force: Factor  # another one while that cannot be used
    can_sms: bool
    can_phone: bool
    can_passkey: bool
    email: str
    demanded: frozenset[Factor] = frozenset()  # by a policy, if there are any

    @property
    def is_enough(self) -> bool:
        """Whether log-ins need what is demanded."""
        return not self.demanded or self.in_force in self.demanded


@dataclass(frozen=True, slots=True)
class Needed:
    """What is needed besides the password, or besides the code that is mailed if it is
    forgotten.
    """

    factor: Factor
    number: str = ""  # to type on the phone that was asked
    can_phone: bool = False  # whether that can agree in the place of a passkey


@dataclass(frozen=True, slots=True)
class Unproven:
    """Why what is needed has not come: the phone that was asked has not agreed, a code by SMS was
    wrong, which has so many tries left, or the passkey's answer was none.
    """

    tries_left: int = 0
    phone: AssentState = AssentState.USED
    passkey: str = ""

"""What the handlers of the PIV application work with."""

from __future__ import annotations

from dataclasses import dataclass, field

from card_os.application import Random
from card_os.piv.image import CardImage
from card_os.piv.names import KeyRef
from card_os.piv.security_status import SecurityStatus, Verification
from card_os.secure_messaging import SecureMessaging

REQUEST_ID_BYTES = 16


@dataclass(slots=True)
class Shared:
    """What all channels of a card have in common."""

    image: CardImage  # replaced when an administrator has changed the card


@dataclass(slots=True)
class Context:
    """The application's state on one channel. A handler changes nothing but `security`, and
    `shared` when a change has been stored; key establishment also `secure_messaging`.
    """

    shared: Shared
    random: Random
    security: SecurityStatus
    number: int = 0  # of the command being processed; the parts of a chain are one command
    secure_messaging: SecureMessaging | None = field(default=None, repr=False)

    @property
    def image(self) -> CardImage:
        """The card as it now is."""
        return self.shared.image

    @property
    def verified(self) -> tuple[Verification, ...]:
        """The PINs that are verified and open the card (part 1, 3.3.2)."""
        verified = self.security.verified
        if KeyRef.GLOBAL_PIN in verified and not self.image.accepts_global_pin:
            verified = self.security.without_verified(KeyRef.GLOBAL_PIN).verified
        return tuple(verified.values())

    def request_id(self) -> bytes:
        """A new idempotency key."""
        return self.random(REQUEST_ID_BYTES)

"""What the standard allows a key to do, and when the key requires the PIN (SP 800-73-5 part 1,
table 5).
"""

from __future__ import annotations

from collections.abc import Mapping

from card_os.piv.algorithms import CAN_DO
from card_os.piv.names import RETIRED, KeyRef
from card_os.uses import KeyUse, PinPolicy

SIGNING = (KeyRef.AUTHENTICATION, KeyRef.SIGNATURE, KeyRef.CARD_AUTHENTICATION)
ESTABLISHMENT = (KeyRef.KEY_MANAGEMENT, *RETIRED)

PIN_POLICY: Mapping[int, PinPolicy] = {
    KeyRef.AUTHENTICATION: PinPolicy.ONCE,
    KeyRef.SIGNATURE: PinPolicy.ALWAYS,
    KeyRef.CARD_AUTHENTICATION: PinPolicy.NEVER,
    KeyRef.SECURE_MESSAGING: PinPolicy.NEVER,
    **dict.fromkeys(ESTABLISHMENT, PinPolicy.ONCE),
}


def pin_policy(key_ref: int, own: PinPolicy) -> PinPolicy:
    """When a key requires the PIN: its own policy, or else that of its key reference."""
    return PIN_POLICY[key_ref] if own is PinPolicy.DEFAULT else own


def uses(key_ref: int, algorithm: int) -> frozenset[KeyUse]:
    """The uses of a key: a key management key decrypts or agrees, all others sign (part 1, 5).

    No application asks for the key of secure messaging.
    """
    if key_ref == KeyRef.SECURE_MESSAGING:
        return frozenset()
    if key_ref in ESTABLISHMENT:
        return CAN_DO[algorithm] - {KeyUse.SIGN}
    return CAN_DO[algorithm] & {KeyUse.SIGN}

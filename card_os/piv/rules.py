"""What the standard allows a key to do, which keys and data objects require the PIN (SP 800-73-5
part 1, tables 2 and 5), and which passcodes a card takes (part 2, 2.4.3).
"""

from __future__ import annotations

from collections.abc import Mapping

from card_os.piv.algorithms import CAN_DO
from card_os.piv.names import RETIRED, KeyRef, ObjectTag
from card_os.piv.sizes import PASSCODE_BYTES, PASSCODE_PADDING, SHORTEST_PIN
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

# Every object that is not named here can always be read.
PIN_OBJECTS: frozenset[int] = frozenset(
    {
        ObjectTag.FINGERPRINTS,
        ObjectTag.FACIAL_IMAGE,
        ObjectTag.PRINTED_INFORMATION,
        ObjectTag.IRIS_IMAGES,
        ObjectTag.PAIRING_CODE,
    }
)


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


def is_pin(pin: bytes) -> bool:
    """Whether these bytes, without padding, are a PIN: 6 to 8 ASCII digits."""
    return SHORTEST_PIN <= len(pin) <= PASSCODE_BYTES and pin.isdigit()


def may_be_set(key_ref: int, passcode: bytes, *, extensions: bool) -> bool:
    """Whether a passcode can replace the one of `key_ref`: a PIN, or eight bytes as a PUK.

    With the `extensions` both are 6 to 8 ASCII characters and the rest is padding, as on YubiKeys
    of version 5.7 (docs.yubico.com/yesdk, "Change reference data"). A NUL is none: nobody can type
    it, and programs that keep a PIN as a C string would cut it there.
    """
    if extensions:
        characters = passcode.rstrip(PASSCODE_PADDING)
        fits = SHORTEST_PIN <= len(characters) <= PASSCODE_BYTES
        return fits and characters.isascii() and b"\0" not in characters
    return len(passcode) == PASSCODE_BYTES if key_ref == KeyRef.PUK else is_pin(passcode)

"""Which passcodes a card takes (SP 800-73-5 part 2, 2.4.3)."""

from __future__ import annotations

from card_os.piv.names import KeyRef
from card_os.piv.sizes import PASSCODE_BYTES, PASSCODE_PADDING, SHORTEST_PIN


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

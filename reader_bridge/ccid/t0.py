"""A card of T=1 for readers that only know T=0 (ISO/IEC 7816-3, 10.3 and 12.2).

The card itself gives what Le asks for and continues with 61XX. Under T=0 a length must be exact
in addition: a wrong one is answered with 6CXX, and the command comes again.
"""

from __future__ import annotations

from card_os import atr
from card_os.apdu import HEADER_BYTES, SHORT_NE

P3 = 4  # the place of P3, which is Lc or Le
STATUS_BYTES = 2
WRONG_LENGTH = 0x6C


def for_t0(said: bytes) -> bytes:
    """The ATR of a card that offers T=0 alone, with the same historical bytes.

    Raises ValueError if `said` is no ATR.
    """
    return atr.build(atr.INTERFACE[:1], atr.historical_bytes(said))


class Adapter:
    """Makes the commands of T=0 the card's, and the card's responses those of T=0."""

    def __init__(self) -> None:
        self._sent = b""
        self._header = b""  # of the response that is held back
        self._held = b""

    def reset(self) -> None:
        """Forget what was held back."""
        self._sent = self._header = self._held = b""

    def held(self, command: bytes) -> bytes | None:
        """The response that has been held back for just this command, if there is one.

        Any other command drops it.
        """
        header, held = self._header, self._held
        self.reset()
        if held and command == header + _p3(len(held) - STATUS_BYTES):
            return held
        self._sent = command
        return None

    def response(self, response: bytes) -> bytes:
        """What the reader is told in place of the card's response."""
        length = len(response) - STATUS_BYTES
        sent = self._sent
        # Case 1 and case 2 look alike; only a response with data shows that it was case 2.
        if len(sent) != P3 + 1 or not length or length == (sent[P3] or SHORT_NE):
            return response
        self._header, self._held = sent[:HEADER_BYTES], response
        return bytes([WRONG_LENGTH]) + _p3(length)


def _p3(length: int) -> bytes:
    return bytes([length % SHORT_NE])

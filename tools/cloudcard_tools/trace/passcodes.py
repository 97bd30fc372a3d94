"""Passcodes that a trace does not hold: put into its commands for a card that checks them."""

from __future__ import annotations

from pathlib import Path

from card_os.apdu import Command
from card_os.piv.names import Ins, KeyRef
from card_os.status import SW, CardError
from card_os.trace.words import TraceError

PASSCODE_BYTES = 8
PADDING = b"\xff"
OK = int(SW.OK).to_bytes(2)


def read(path: Path) -> bytes:
    """The passcode in a file, padded as commands have it. Raises TraceError."""
    try:
        text = path.read_bytes().strip()
    except OSError as error:
        raise TraceError(f"{path} cannot be read: {error.strerror}") from None
    if not 1 <= len(text) <= PASSCODE_BYTES:
        raise TraceError(f"{path} holds no passcode of 1 to {PASSCODE_BYTES} characters")
    return text.ljust(PASSCODE_BYTES, PADDING)


class Passcodes:
    """The passcodes of the card, as far as they are known. A trace that changes one makes it the
    one in the trace.
    """

    def __init__(self, pin: bytes | None, puk: bytes | None) -> None:
        self._known = {int(KeyRef.PIN): pin, int(KeyRef.PUK): puk}

    def put_into(self, apdu: bytes, expected: bytes) -> bytes:
        """The command with the card's passcodes where the trace says that they were right.

        Raises TraceError for one that is not known.
        """
        try:
            command = Command.parse(apdu)
        except CardError:
            return apdu
        if expected != OK or len(command.data) < PASSCODE_BYTES or command.is_chained:
            return apdu
        new = command.data[PASSCODE_BYTES:]
        match command.ins:
            case Ins.VERIFY if not new:
                given = self._passcode(command.p2)
            case Ins.CHANGE_REFERENCE_DATA if len(new) == PASSCODE_BYTES:
                given = self._passcode(command.p2)
                self._known[command.p2] = new
            case Ins.RESET_RETRY_COUNTER if len(new) == PASSCODE_BYTES:
                given = self._passcode(KeyRef.PUK)
                self._known[KeyRef.PIN] = new
            case _:
                return apdu
        start = len(apdu) - len(command.data) - (1 if command.ne else 0)
        return apdu[:start] + given + apdu[start + PASSCODE_BYTES :]

    def _passcode(self, key_ref: int) -> bytes:
        found = self._known.get(key_ref)
        if found is None:
            option = "--puk-file" if key_ref == KeyRef.PUK else "--pin-file"
            raise TraceError(
                f"the trace gives passcode {key_ref:02X}, which it does not hold: name a file "
                f"that does with {option}"
            )
        return found

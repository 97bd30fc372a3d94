"""Passcodes for a card in a reader. They come from files, because a trace has others in their
place.
"""

from __future__ import annotations

from pathlib import Path

from card_os.apdu import Command
from card_os.piv.names import Ins, KeyRef
from card_os.piv.sizes import PASSCODE_BYTES, PASSCODE_PADDING
from card_os.status import SW, CardError
from card_os.trace.words import TraceError

SHORT_DATA, EXTENDED_DATA = 5, 7  # where the data of a command begins
OK = int(SW.OK).to_bytes(2)
TAKES_PASSCODES = frozenset({Ins.VERIFY, Ins.CHANGE_REFERENCE_DATA, Ins.RESET_RETRY_COUNTER})
REFUSED = frozenset(
    {0x6300, SW.SECURITY_STATUS_NOT_SATISFIED, SW.AUTHENTICATION_METHOD_BLOCKED}
)  # answers to a refused passcode, besides 63CX


def read(path: Path) -> bytes:
    """The passcode in a file, padded as in commands. Raises TraceError if there is none."""
    try:
        with path.open("rb") as file:
            text = file.read(1024).strip()
    except OSError as error:
        raise TraceError(f"{path} cannot be read: {error.strerror}") from None
    if not 1 <= len(text) <= PASSCODE_BYTES:
        raise TraceError(f"{path} holds no passcode of 1 to {PASSCODE_BYTES} characters")
    return text.ljust(PASSCODE_BYTES, PASSCODE_PADDING)


def is_refused(response: bytes) -> bool:
    """Whether a response says that the passcode was wrong or is blocked."""
    sw = int.from_bytes(response[-2:])
    return sw in REFUSED or sw & 0xFFF0 == 0x63C0


class Passcodes:
    """The card's passcodes, as far as they are known. After a trace has changed one, it is the one
    in the trace.

    `refused` is set once the card has refused one: to continue would spend the remaining tries.
    """

    def __init__(self, pin: bytes | None, puk: bytes | None) -> None:
        self._known = {int(KeyRef.PIN): pin, int(KeyRef.PUK): puk}
        self.refused = False

    def put_into(self, apdu: bytes) -> bytes | None:
        """The command with the card's passcode in place of the first passcode in it. None if the
        command does not hold a PIN or PUK in one part and of the usual length.

        Raises TraceError for a passcode that is not known.
        """
        try:
            command = Command.parse(apdu)
        except CardError:
            return None
        key_ref = _given(command)
        if key_ref is None:
            return None
        start = SHORT_DATA if apdu[4] else EXTENDED_DATA
        return apdu[:start] + self._passcode(key_ref) + apdu[start + PASSCODE_BYTES :]

    def accepted(self, apdu: bytes) -> None:
        """Note that the card has accepted a command: a new passcode in it is the card's from now
        on.
        """
        command = Command.parse(apdu)
        if command.ins in (Ins.CHANGE_REFERENCE_DATA, Ins.RESET_RETRY_COUNTER):
            self._known[command.p2] = command.data[PASSCODE_BYTES:]

    def _passcode(self, key_ref: int) -> bytes:
        found = self._known.get(key_ref)
        if found is None:
            option = "--puk-file" if key_ref == KeyRef.PUK else "--pin-file"
            raise TraceError(
                f"the trace gives passcode {key_ref:02X}, which it does not hold: name a file "
                f"that does with {option}"
            )
        return found


def _given(command: Command) -> int | None:
    """The key reference of the first passcode in a command."""
    if command.is_chained or command.p1 != 0:
        return None
    match command.ins, command.p2, len(command.data) // PASSCODE_BYTES:
        case Ins.VERIFY, KeyRef.PIN, 1:
            given = KeyRef.PIN
        case Ins.CHANGE_REFERENCE_DATA, KeyRef.PIN | KeyRef.PUK, 2:
            given = KeyRef(command.p2)
        case Ins.RESET_RETRY_COUNTER, KeyRef.PIN, 2:
            given = KeyRef.PUK
        case _:
            return None
    return given if len(command.data) % PASSCODE_BYTES == 0 else None

"""Replaces the secrets in what other programs have logged, of PIV cards and of others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from card_os.apdu import HEADER_BYTES, Command
from card_os.commands import Ins
from card_os.piv import names
from card_os.piv.secrets import SECRETS, PivSecrets
from card_os.secrets import Hide, Secrets, octets
from card_os.trace.lines import Line, Power, Received, Sent
from card_os.trace.redaction import Redaction, ResponseRedaction
from cloudcard_tools.trace.formats.apdus import STATUS_BYTES

# VERIFY, CHANGE REFERENCE DATA and RESET RETRY COUNTER with data objects (ISO/IEC 7816-4, 11.6).
ODD_PASSCODES = frozenset({0x21, 0x25, 0x2D})
PUT_KEY = 0xD8  # GlobalPlatform
PUT_DATA_EVEN = 0xDA
OPENPGP_SECRETS = frozenset({0x00D3, 0x00D5})  # resetting code, symmetric key
OPENPGP_KEY = 0x4D  # tag of a private key in PUT DATA (OpenPGP card 3.4, 4.4.3.12)
DECIPHER = b"\x2a\x80\x86"  # PERFORM SECURITY OPERATION (ISO/IEC 7816-8, 11.9)


class ForeignSecrets(PivSecrets):
    """PIV's secrets, and those in commands to OpenPGP and GlobalPlatform cards."""

    def in_command(self, header: Command) -> Hide | None:
        """The function that hides the secrets of a command with this header."""
        if header.ins in ODD_PASSCODES or header.ins == PUT_KEY:
            return octets
        if header.ins == PUT_DATA_EVEN and header.p1 << 8 | header.p2 in OPENPGP_SECRETS:
            return octets
        hide = super().in_command(header)
        return hide if hide is None or header.ins != names.Ins.PUT_DATA else _Written(hide).hide


@dataclass(slots=True)
class _Written:
    """Hides a private key of OpenPGP in PUT DATA, and what PIV hides there."""

    otherwise: Hide
    first: int | None = None  # byte of the data

    def hide(self, part: bytes) -> bytes:
        """A part of the same length."""
        if self.first is None and part:
            self.first = part[0]
        return octets(part) if self.first == OPENPGP_KEY else self.otherwise(part)


FOREIGN = ForeignSecrets()


class Redacted:
    """Passes lines on without their secrets, and counts what it has replaced. With `recorded`, the
    lines are those of a trace: they have no secrets of PIV cards, and keep the rest.
    """

    def __init__(self, *, recorded: bool) -> None:
        secrets: Secrets = SECRETS if recorded else FOREIGN
        self._recorded = recorded
        self._commands = Redaction(lambda _: secrets)
        self._responses = ResponseRedaction(lambda _: secrets)
        self._deciphered = 0  # responses
        self._deciphers = False

    @property
    def replaced(self) -> int:
        """How many commands and responses had a secret."""
        return self._commands.replaced + self._responses.replaced + self._deciphered

    def lines(self, lines: Iterable[Line]) -> Iterator[Line]:
        """The lines, without secrets."""
        command = b""
        for line in lines:
            match line:
                case Sent(apdu):
                    command = apdu
                    if apdu[1:2] != bytes((Ins.GET_RESPONSE,)):
                        self._deciphers = apdu[1:HEADER_BYTES] == DECIPHER and not self._recorded
                    yield Sent(self._commands.command(apdu))
                case Received(apdu):
                    self._commands.answered(apdu)
                    yield Received(self._response(command, apdu))
                case Power():
                    self._commands.reset()
                    yield line
                case _:
                    yield line

    def _response(self, command: bytes, response: bytes) -> bytes:
        if not self._deciphers:
            return self._responses.response(command, response)
        size = max(len(response) - STATUS_BYTES, 0)
        self._deciphered += size > 0
        return bytes(size) + response[size:]

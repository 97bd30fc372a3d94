"""Replaces secrets by bytes of the same form, before anything of a trace is written.

The applications say which bytes are secret (`card_os.secrets`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from card_os.administration import Administrator
from card_os.apdu import CHAINED, HEADER_BYTES, Command
from card_os.commands import Ins
from card_os.keys import KeyRequest, KeyResult, Verified
from card_os.secrets import WITH_PASSCODES, Hide, Secrets
from card_os.status import SW, CardError

SecretsOf: TypeAlias = Callable[[Command], Secrets]  # of the application that a command goes to

SHORT_DATA, EXTENDED_DATA = 5, 7  # where the data of a command begins
OK = int(SW.OK).to_bytes(2)


class Redaction:
    """Redacts the commands and results of one card. It keeps state, because a command can come in
    parts and a proof comes back in later requests.

    A caller that sees responses reports them with `answered`, and resets with `reset`; a command
    that is sent again from its first part is then not mistaken for the rest of the previous one.
    """

    def __init__(self, secrets_of: SecretsOf) -> None:
        self._secrets_of = secrets_of
        self._secrets = Secrets()  # of the last command
        self._proofs: dict[bytes, bytes] = {}
        self._chains: dict[int, tuple[bytes, Hide | None]] = {}
        """By class: the header of the open chain, and what hides its further parts."""
        self._last = 0  # class of the last command
        self.replaced = 0  # commands in which a secret was replaced

    def command(self, apdu: bytes) -> bytes:
        """A command APDU of the same length without secrets; any bytes are accepted."""
        if not apdu:
            return apdu
        self._last = apdu[0] & ~CHAINED
        before, hide = self._chains.pop(self._last, (b"", None))
        if len(apdu) < HEADER_BYTES:
            return apdu
        header = Command.header(apdu)
        self._secrets = self._secrets_of(header)
        if before != apdu[1:HEADER_BYTES]:  # anything else ends a chain
            hide = self._secrets.in_command(header)
        if apdu[0] & CHAINED:
            self._chains[self._last] = apdu[1:HEADER_BYTES], hide
        if hide is None:
            return apdu
        at = _data(apdu)
        data = apdu[at]
        hidden = hide(data)
        # A passcode of zeros is replaced by itself.
        self.replaced += hidden != data or (apdu[1] in WITH_PASSCODES and bool(data))
        return apdu[: at.start] + hidden + apdu[at.stop :]

    def answered(self, response: bytes) -> None:
        """Take note of the response to the last command: a refused part ends its chain."""
        if response[-2:] != OK:
            self._chains.pop(self._last, None)

    def reset(self) -> None:
        """Take note of a reset, which ends all chains."""
        self._chains.clear()

    def result(self, result: KeyResult, request: KeyRequest | None = None) -> KeyResult:
        """A result without secrets; `request` is the request that it answers, if known."""
        shown = self._secrets.in_result(request, result)
        match shown:
            case Verified(proof):
                return Verified(self._name(proof))
            case Administrator(proof):
                return replace(shown, proof=self._name(proof))
        return shown

    def _name(self, proof: bytes) -> bytes:
        return self._proofs.setdefault(proof, f"#{len(self._proofs) + 1}".encode())


class ResponseRedaction:
    """Redacts the responses of one card, for a recorder that does not see the card's key requests.
    It keeps state, because a response can come in several parts.
    """

    def __init__(self, secrets_of: SecretsOf) -> None:
        self._secrets_of = secrets_of
        self._hides = False
        self._data = b""  # of a chained command, so far
        self._left = 0  # bytes of tags and lengths that still come before the hidden value
        self.replaced = 0  # responses in which a secret was replaced

    def response(self, apdu: bytes, response: bytes) -> bytes:
        """The response APDU with the same length; the value of a secret data object is zeros."""
        if len(apdu) < 2 or apdu[1] != Ins.GET_RESPONSE:
            self._begin(apdu, response)
        if not self._hides:
            return response
        data = response[:-2]
        kept = data[: self._left]
        self._left -= len(kept)
        self.replaced += len(kept) < len(data)
        return kept + bytes(len(data) - len(kept)) + response[-2:]

    def _begin(self, apdu: bytes, response: bytes) -> None:
        data = self._data + apdu[_data(apdu)] if len(apdu) > SHORT_DATA else b""
        self._data = data if apdu[:1] and apdu[0] & CHAINED else b""
        self._hides = False
        if len(apdu) >= HEADER_BYTES:
            command = replace(Command.header(apdu), data=data)
            self._hides = self._secrets_of(command).in_response(command)
        self._left = _headers(response[:-2])


def _headers(data: bytes) -> int:
    """How many bytes the tags and lengths of a data object and its first member have together."""
    at = 0
    for _ in range(2):
        if len(data) < at + 2:
            return at
        long = data[at + 1] & 0x7F if data[at + 1] & 0x80 else 0
        at += 2 + long
    return at


def _data(apdu: bytes) -> slice:
    """Where the data of a command is; if its lengths are wrong, everything after byte 5."""
    try:
        size = len(Command.parse(apdu).data)
    except CardError:
        return slice(SHORT_DATA, len(apdu))
    at = EXTENDED_DATA if size and not apdu[4] else min(SHORT_DATA, len(apdu))
    return slice(at, at + size)

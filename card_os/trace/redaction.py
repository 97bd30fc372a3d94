"""Secrets replaced before anything of a trace is written, by others of the same shape.

Which bytes are secret is for the applications to say (`card_os.secrets`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from card_os.administration import Administrator
from card_os.apdu import CHAINED, HEADER_BYTES, Command
from card_os.commands import Ins
from card_os.keys import KeyRequest, KeyResult, Verified
from card_os.secrets import Hide, Secrets
from card_os.status import SW, CardError

SecretsOf: TypeAlias = Callable[[Command], Secrets]  # of the application that a command goes to

SHORT_DATA, EXTENDED_DATA = 5, 7  # where the data of a command begins
OK = int(SW.OK).to_bytes(2)


class Redaction:
    """What has been replaced so far: a command may come in parts, and a proof comes back later.

    Who knows what the card answers says so with `answered`, and that it was reset with `reset`:
    then a command that comes once more from its beginning is not taken for more of the last one.
    """

    def __init__(self, secrets_of: SecretsOf) -> None:
        self._secrets_of = secrets_of
        self._secrets = Secrets()  # of the last command
        self._proofs: dict[bytes, bytes] = {}
        self._chains: dict[int, tuple[bytes, Hide | None]] = {}
        """By class: header, and what hides what follows it."""
        self._last = 0  # class of the last command

    def command(self, apdu: bytes) -> bytes:
        """A command APDU of the same length without secrets; any bytes are taken."""
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
        data = _data(apdu)
        return apdu[: data.start] + hide(apdu[data]) + apdu[data.stop :]

    def answered(self, response: bytes) -> None:
        """The card's response to the last command: a part that it refuses has none to follow."""
        if response[-2:] != OK:
            self._chains.pop(self._last, None)

    def reset(self) -> None:
        """The card has forgotten the parts that it had."""
        self._chains.clear()

    def result(self, result: KeyResult, request: KeyRequest | None = None) -> KeyResult:
        """A result without secrets; `request` is what it answers, as far as that is known."""
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
    """What a card says, without what belongs to its holder. For who hears a card and not what it
    asks: a response may come in several parts.
    """

    def __init__(self, secrets_of: SecretsOf) -> None:
        self._secrets_of = secrets_of
        self._hides = False
        self._data = b""  # of a chained command, so far
        self._left = 0  # of the header before what is hidden

    def response(self, apdu: bytes, response: bytes) -> bytes:
        """The response APDU of the same length; of a secret data object, zeros for its value."""
        if len(apdu) < 2 or apdu[1] != Ins.GET_RESPONSE:
            self._begin(apdu, response)
        if not self._hides:
            return response
        data = response[:-2]
        kept = data[: self._left]
        self._left -= len(kept)
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
    """How many bytes tag and length of a data object have, and of the one that begins it."""
    at = 0
    for _ in range(2):
        if len(data) < at + 2:
            return at
        long = data[at + 1] & 0x7F if data[at + 1] & 0x80 else 0
        at += 2 + long
    return at


def _data(apdu: bytes) -> slice:
    """Where the data of a command are; of one whose lengths are wrong, wherever they may be."""
    try:
        size = len(Command.parse(apdu).data)
    except CardError:
        return slice(SHORT_DATA, len(apdu))
    at = EXTENDED_DATA if size and not apdu[4] else min(SHORT_DATA, len(apdu))
    return slice(at, at + size)

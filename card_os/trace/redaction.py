"""Secrets replaced before anything of a trace is written, by others of the same shape.

What replaces them keeps what the card looks at: lengths, padding, whether a passcode is digits. So
a card that is told the replaced commands answers as the real one did.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from card_os.apdu import Command
from card_os.keys import KeyResult, KeyUse, UseKey, Verified
from card_os.management import Administrator, Changed
from card_os.piv.generation import POLICY_TAGS
from card_os.piv.names import RETIRED, Extension, Ins, KeyRef, ObjectTag
from card_os.status import CardError
from card_os.trace.words import HIDDEN_OCTET

PADDING = 0xFF
NOT_A_DIGIT = ord("x")
SHORT_DATA, EXTENDED_DATA = 5, 7  # where the data of a command begins
KEY_PREFIX = 3  # of SET MANAGEMENT KEY: algorithm, 9B, length
CHAINED = 0x10  # of CLA: more parts follow
GET_RESPONSE = 0xC0
DECIPHERING = frozenset({KeyRef.KEY_MANAGEMENT, *RETIRED})
PRINTED_INFORMATION = bytes((0x5C, 3)) + int(ObjectTag.PRINTED_INFORMATION).to_bytes(3)


@dataclass(slots=True)
class KeyParts:
    """The data objects of an imported key, which may come in several parts; policies are kept."""

    _header: bytes = b""  # of a data object, as far as it has come
    _left: int = 0  # of its value
    _secret: bool = False

    def hide(self, part: bytes) -> bytes:
        """A part of the same length, the private key replaced."""
        hidden = bytearray()
        for octet in part:
            if self._left:
                self._left -= 1
                hidden.append(HIDDEN_OCTET[0] if self._secret else octet)
            else:
                hidden.append(octet)
                self._begin(octet)
        return bytes(hidden)

    def _begin(self, octet: int) -> None:
        """One more byte of tag and length."""
        self._header += bytes((octet,))
        lengths = self._header[1:]
        if not lengths or (lengths[0] & 0x80 and len(lengths) <= lengths[0] & 0x7F):
            return
        coded = lengths[1:] if lengths[0] & 0x80 else lengths
        self._left = int.from_bytes(coded)
        self._secret = self._header[0] not in POLICY_TAGS
        self._header = b""


@dataclass(slots=True)
class Contents:
    """PUT DATA of the one object in which tools keep a secret; it may come in several parts."""

    _secret: bool = False

    def hide(self, part: bytes) -> bytes:
        """A part of the same length; ykman keeps a card's management key behind the PIN there."""
        kept = 0
        if part.startswith(PRINTED_INFORMATION):
            self._secret = True
            kept = len(PRINTED_INFORMATION) + 2  # tag and length of the contents
        return part[:kept] + hide_octets(part[kept:]) if self._secret else part


class Redaction:
    """What has been replaced so far: a command may come in parts, and a proof comes back later."""

    def __init__(self) -> None:
        self._proofs: dict[bytes, bytes] = {}
        self._hide: Callable[[bytes], bytes] | None = None  # of the parts that follow

    def command(self, apdu: bytes) -> bytes:
        """A command APDU of the same length without secrets; any bytes are taken."""
        if len(apdu) <= SHORT_DATA or apdu[1] not in SECRETIVE:
            self._hide = None
            return apdu
        hide = self._hide or SECRETIVE[apdu[1]]()
        self._hide = hide if apdu[0] & CHAINED else None
        data = _data(apdu)
        return apdu[: data.start] + hide(apdu[data]) + apdu[data.stop :]

    def result(self, result: KeyResult, use: UseKey | None = None) -> KeyResult:
        """A result without secrets. `use` is the request, where it was one for a key's use: what
        comes of decryption or agreement belongs to the holder.
        """
        match result:
            case Verified(proof):
                return Verified(self._name(proof))
            case Administrator(proof):
                return replace(result, proof=self._name(proof))
            case Changed(objects) if ObjectTag.PRINTED_INFORMATION in objects:
                contents = objects[ObjectTag.PRINTED_INFORMATION]
                hidden = None if contents is None else hide_octets(contents)
                return replace(result, objects={**objects, ObjectTag.PRINTED_INFORMATION: hidden})
            case bytes() if use is not None and use.use is not KeyUse.SIGN:
                return bytes(len(result))
            case _:
                return result

    def _name(self, proof: bytes) -> bytes:
        return self._proofs.setdefault(proof, f"#{len(self._proofs) + 1}".encode())


class ResponseRedaction:
    """What a card says, without what belongs to its holder. For who hears a card and not what it
    asks: a response may come in several parts.
    """

    def __init__(self) -> None:
        self._hides = False
        self._data = b""  # of a chained command, so far
        self._left = 0  # of the header before what is hidden

    def response(self, apdu: bytes, response: bytes) -> bytes:
        """The response APDU of the same length; what a key deciphered or agreed on is zeros, and
        so are the contents of the object in which tools keep a secret.
        """
        if len(apdu) < 2 or apdu[1] != GET_RESPONSE:
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
        self._hides = len(apdu) > 3 and (
            (apdu[1] == Ins.GENERAL_AUTHENTICATE and apdu[3] in DECIPHERING)
            or (apdu[1] == Ins.GET_DATA and data.startswith(PRINTED_INFORMATION))
        )
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


def hide_passcode(data: bytes) -> bytes:
    """Passcodes of the same lengths; what is no digit stays none."""
    return bytes(_hide_one(octet) for octet in data)


def hide_octets(data: bytes) -> bytes:
    """So many other bytes."""
    return HIDDEN_OCTET * len(data)


def _hide_one(octet: int) -> int:
    if octet == PADDING:
        return PADDING
    return HIDDEN_OCTET[0] if 0x30 <= octet <= 0x39 else NOT_A_DIGIT


def _hide_management_key(data: bytes) -> bytes:
    return data[:KEY_PREFIX] + hide_octets(data[KEY_PREFIX:])


def _data(apdu: bytes) -> slice:
    """Where the data of a command are; of one whose lengths are wrong, wherever they may be."""
    try:
        size = len(Command.parse(apdu).data)
    except CardError:
        return slice(SHORT_DATA, len(apdu))
    at = SHORT_DATA if apdu[4] else EXTENDED_DATA
    return slice(at, at + size)


SECRETIVE: Mapping[int, Callable[[], Callable[[bytes], bytes]]] = {
    Ins.VERIFY: lambda: hide_passcode,
    Ins.CHANGE_REFERENCE_DATA: lambda: hide_passcode,
    Ins.RESET_RETRY_COUNTER: lambda: hide_passcode,
    Ins.PUT_DATA: lambda: Contents().hide,
    Extension.IMPORT_KEY: lambda: KeyParts().hide,
    Extension.SET_MANAGEMENT_KEY: lambda: _hide_management_key,
}

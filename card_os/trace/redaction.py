"""Secrets replaced before anything of a trace is written, by others of the same shape.

What replaces them keeps what the card looks at: lengths, padding, whether a passcode is digits. So
a card that is told the replaced commands answers as the real one did.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from card_os import commands, tlv
from card_os.apdu import CHAINED, HEADER_BYTES, Command
from card_os.keys import KeyResult, UseKey, Verified
from card_os.management import Administrator, Changed
from card_os.piv.image import CardImage
from card_os.piv.names import CertificateTag, Extension, Ins, ObjectTag
from card_os.piv.rules import ESTABLISHMENT
from card_os.status import SW, CardError
from card_os.trace import hiding
from card_os.trace.hiding import Hide
from card_os.uses import KeyUse

SHORT_DATA, EXTENDED_DATA = 5, 7  # where the data of a command begins
OK = int(SW.OK).to_bytes(2)
PRINTED_TAGS = frozenset(
    {*range(0x01, 0x09), CertificateTag.ERROR_DETECTION}
)  # of what the standard has there
DECIPHERING = frozenset(ESTABLISHMENT)


class Redaction:
    """What has been replaced so far: a command may come in parts, and a proof comes back later.

    Who knows what the card answers says so with `answered`, and that it was reset with `reset`:
    then a command that comes once more from its beginning is not taken for more of the last one.
    """

    def __init__(self) -> None:
        self._proofs: dict[bytes, bytes] = {}
        self._chains: dict[int, tuple[bytes, Hide]] = {}  # by class: header, and what follows it
        self._last = 0  # class of the last command

    def command(self, apdu: bytes) -> bytes:
        """A command APDU of the same length without secrets; any bytes are taken."""
        if not apdu:
            return apdu
        self._last = apdu[0] & ~CHAINED
        header, hide = self._chains.pop(self._last, (b"", None))
        if len(apdu) < HEADER_BYTES or apdu[1] not in SECRETIVE:
            return apdu
        if hide is None or header != apdu[1:HEADER_BYTES]:  # anything else ends a chain
            hide = SECRETIVE[apdu[1]]()
        if apdu[0] & CHAINED:
            self._chains[self._last] = apdu[1:HEADER_BYTES], hide
        data = _data(apdu)
        return apdu[: data.start] + hide(apdu[data]) + apdu[data.stop :]

    def answered(self, response: bytes) -> None:
        """The card's response to the last command: a part that it refuses has none to follow."""
        if response[-2:] != OK:
            self._chains.pop(self._last, None)

    def reset(self) -> None:
        """The card has forgotten the parts that it had."""
        self._chains.clear()

    def result(self, result: KeyResult, use: UseKey | None = None) -> KeyResult:
        """A result without secrets. `use` is the request, where it was one for a key's use: what
        comes of decryption or agreement belongs to the holder.
        """
        match result:
            case Verified(proof):
                return Verified(self._name(proof))
            case Administrator(proof):
                return replace(result, proof=self._name(proof))
            case Changed(objects):
                return replace(result, objects=_hide_objects(objects))
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
        if len(apdu) < 2 or apdu[1] != commands.Ins.GET_RESPONSE:
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
            or (apdu[1] == Ins.GET_DATA and data[: hiding.NAME_BYTES] in hiding.NAMES)
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


def image(image: CardImage) -> CardImage:
    """A card image without what tools and people keep in its objects as a secret."""
    return replace(image, objects={tag: _shown(tag, value) for tag, value in image.objects.items()})


def _shown(tag: int, contents: bytes) -> bytes:
    """Contents of an object, unless they may be a secret: the usual printed information is none."""
    if tag not in hiding.SECRET_OBJECTS:
        return contents
    try:
        tags = {found for found, _ in tlv.decode(contents)}
    except tlv.TlvError:
        return hiding.octets(contents)
    usual = tag == ObjectTag.PRINTED_INFORMATION and tags <= PRINTED_TAGS
    return contents if usual else hiding.octets(contents)


def _hide_objects(objects: Mapping[int, bytes | None]) -> Mapping[int, bytes | None]:
    return {
        tag: hiding.octets(value) if value and tag in hiding.SECRET_OBJECTS else value
        for tag, value in objects.items()
    }


def _data(apdu: bytes) -> slice:
    """Where the data of a command are; of one whose lengths are wrong, wherever they may be."""
    try:
        size = len(Command.parse(apdu).data)
    except CardError:
        return slice(SHORT_DATA, len(apdu))
    at = EXTENDED_DATA if size and not apdu[4] else min(SHORT_DATA, len(apdu))
    return slice(at, at + size)


SECRETIVE: Mapping[int, Callable[[], Hide]] = {
    Ins.VERIFY: lambda: hiding.passcode,
    Ins.CHANGE_REFERENCE_DATA: lambda: hiding.passcode,
    Ins.RESET_RETRY_COUNTER: lambda: hiding.passcode,
    Ins.PUT_DATA: lambda: hiding.Contents().hide,
    Extension.IMPORT_KEY: lambda: hiding.KeyParts().hide,
    Extension.SET_MANAGEMENT_KEY: lambda: hiding.ManagementKey().hide,
}

"""What is secret in PIV's commands and responses: passcodes, private keys, the management key, and
secrets that tools and people keep in objects.

Only bytes that are known not to be secret stay in a command. Malformed data, or a command that
starts again in the middle of a chain, is hidden rather than written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from card_os import tlv
from card_os.administration import Changed
from card_os.apdu import Command
from card_os.keys import KeyRequest, KeyResult, ReadObject
from card_os.piv.generation import POLICY_TAGS
from card_os.piv.image import CardImage
from card_os.piv.names import RETIRED, Extension, Ins, KeyRef, ObjectTag, Tag
from card_os.piv.yubico.importing import CRT, ED25519_SEED, PRIMES, SCALAR, X25519_SCALAR
from card_os.secrets import HIDDEN_OCTET, Hide, Secrets, octets, passcode

KEY_TAGS = frozenset({*PRIMES, *CRT, SCALAR, ED25519_SEED, X25519_SCALAR})
KEY_PREFIX = 3  # of SET MANAGEMENT KEY: algorithm, 9B, length
SECRET_OBJECTS = frozenset({ObjectTag.PRINTED_INFORMATION, ObjectTag.PAIRING_CODE})
"""ykman keeps a card's management key in the first one, which requires the PIN; the second one is a
passcode."""
NAMES = frozenset(bytes((Tag.TAG_LIST, 3)) + int(tag).to_bytes(3) for tag in SECRET_OBJECTS)
NAME_BYTES = 5  # of the tag list with the tag, before the contents
PRINTED_TAGS = frozenset({*range(0x01, 0x09), 0xFE})  # which the standard defines in this object
DECIPHERING = frozenset({KeyRef.KEY_MANAGEMENT, *RETIRED})


class PivSecrets(Secrets):
    """What a PIV card hides. It does not depend on the card's features, because a program can send
    a command that the card does not have.
    """

    def in_command(self, header: Command) -> Hide | None:
        """The function that hides the secrets of a command with this header."""
        make = SECRETIVE.get(header.ins)
        return None if make is None else make()

    def in_result(self, request: KeyRequest | None, result: KeyResult) -> KeyResult:
        """A result without the contents of objects that are withheld or secret, deciphered data and
        shared secrets.
        """
        if isinstance(request, ReadObject) and isinstance(result, bytes):
            return octets(result)
        if isinstance(result, Changed):
            return replace(result, objects=_hide_objects(result.objects))
        return super().in_result(request, result)

    def in_response(self, command: Command) -> bool:
        """Whether the response is deciphered data, a shared secret or a secret object."""
        if command.ins == Ins.GENERAL_AUTHENTICATE:
            return command.p2 in DECIPHERING
        return command.ins == Ins.GET_DATA and command.data[:NAME_BYTES] in NAMES


@dataclass(slots=True)
class ManagementKey:
    """Hides the data of SET MANAGEMENT KEY after its first three bytes: algorithm, tag, length."""

    _kept: int = KEY_PREFIX

    def hide(self, part: bytes) -> bytes:
        """A part of the same length."""
        kept, self._kept = part[: self._kept], max(self._kept - len(part), 0)
        return kept + octets(part[len(kept) :])


@dataclass(slots=True)
class KeyParts:
    """Hides the data objects of an imported key; policies stay."""

    _header: bytes = b""  # of a data object, as far as it has come
    _left: int = 0  # of its value
    _secret: bool = False
    _lost: bool = False  # the data is malformed, so every byte can belong to a key

    def hide(self, part: bytes) -> bytes:
        """A part of the same length in which the private key is replaced."""
        hidden = bytearray()
        for octet in part:
            if self._left:
                self._left -= 1
                hidden.append(HIDDEN_OCTET[0] if self._secret else octet)
                continue
            if not self._lost:
                self._begin(octet)
            hidden.append(HIDDEN_OCTET[0] if self._lost else octet)
        return bytes(hidden)

    def _begin(self, octet: int) -> None:
        """Take one more byte of a tag or length."""
        self._header += bytes((octet,))
        tag, lengths = self._header[0], self._header[1:]
        if tag not in KEY_TAGS.union(POLICY_TAGS) or len(lengths) > 3:
            self._lost = True
            return
        if not lengths or (lengths[0] & 0x80 and len(lengths) <= lengths[0] & 0x7F):
            return
        coded = lengths[1:] if lengths[0] & 0x80 else lengths
        self._left = int.from_bytes(coded)
        self._secret = tag not in POLICY_TAGS or self._left != 1
        self._header = b""


@dataclass(slots=True)
class Contents:
    """Hides the contents of secret objects in PUT DATA.

    It searches for their names at every position, because a command can start again among the parts
    of another.
    """

    _name: bytes = b""  # the last bytes, as many as a name has
    _lengths: bytes | None = None  # tag and length of secret contents, as far as received

    def hide(self, part: bytes) -> bytes:
        """A part of the same length."""
        return bytes(self._hide_next(octet) for octet in part)

    def _hide_next(self, octet: int) -> int:
        self._name = (self._name + bytes((octet,)))[-NAME_BYTES:]
        if self._name in NAMES:
            self._lengths = b""
            return octet
        if self._lengths is None:
            return octet
        if _is_whole(self._lengths[1:]):
            return HIDDEN_OCTET[0]
        self._lengths += bytes((octet,))
        return octet


def _is_whole(length: bytes) -> bool:
    """Whether the bytes are a complete length; one of another form counts as one byte."""
    if not length:
        return False
    return len(length) > (length[0] & 0x7F if length[0] in (0x81, 0x82) else 0)


def secrets_of(header: Command) -> Secrets:
    """PIV's secrets for every command, if it is unknown which application was selected."""
    del header
    return SECRETS


def without_secrets(image: CardImage) -> CardImage:
    """A card image without the secrets that tools and people keep in its objects."""
    return replace(image, objects={tag: _shown(tag, value) for tag, value in image.objects.items()})


def _shown(tag: int, contents: bytes) -> bytes:
    """The contents of an object, hidden if they can be secret; usual printed information is not."""
    if tag not in SECRET_OBJECTS:
        return contents
    try:
        tags = {found for found, _ in tlv.decode(contents)}
    except tlv.TlvError:
        return octets(contents)
    usual = tag == ObjectTag.PRINTED_INFORMATION and tags <= PRINTED_TAGS
    return contents if usual else octets(contents)


def _hide_objects(objects: Mapping[int, bytes | None]) -> Mapping[int, bytes | None]:
    return {
        tag: octets(value) if value and tag in SECRET_OBJECTS else value
        for tag, value in objects.items()
    }


SECRETIVE: Mapping[int, Callable[[], Hide]] = {
    Ins.VERIFY: lambda: passcode,
    Ins.CHANGE_REFERENCE_DATA: lambda: passcode,
    Ins.RESET_RETRY_COUNTER: lambda: passcode,
    Ins.PUT_DATA: lambda: Contents().hide,
    Extension.IMPORT_KEY: lambda: KeyParts().hide,
    Extension.SET_MANAGEMENT_KEY: lambda: ManagementKey().hide,
}
SECRETS = PivSecrets()

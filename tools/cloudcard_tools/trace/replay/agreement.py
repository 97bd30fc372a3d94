"""Whether two responses to a command agree: values that can differ are verified or masked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256, SHA384

from card_os import tlv
from card_os.apdu import Command
from card_os.piv.names import CERTIFICATE_OF_KEY, Extension, Ins, Tag

TRIES_LEFT, MORE = 0x63C0, 0x61
HASHES: Mapping[int, SHA256 | SHA384] = {32: SHA256(), 48: SHA384()}  # by the curve's bytes

PublicKey: TypeAlias = PublicKeyTypes | None


@dataclass(frozen=True, slots=True)
class Exchange:
    """A command with its parts joined, and two complete responses to it, with their status
    words.
    """

    command: Command
    expected: bytes
    actual: bytes

    @property
    def status_agrees(self) -> bool:
        """Whether the status words agree. The number of tries left can differ between cards, and so
        can the number of bytes left to fetch.
        """
        expected, actual = (int.from_bytes(each[-2:]) for each in (self.expected, self.actual))
        tries = expected & 0xFFF0 == actual & 0xFFF0 == TRIES_LEFT
        return expected == actual or tries or expected >> 8 == actual >> 8 == MORE


def agrees(exchange: Exchange, public_key: PublicKey, *, other_card: bool) -> bool:
    """Whether the actual response agrees with the expected one. `public_key` belongs to the key
    that the command names, if it is known. The contents of another card's data objects are not
    compared.
    """
    if not exchange.status_agrees:
        return False
    masked = MASKS.get(exchange.command.ins)
    if masked is not None:
        return masked(exchange, public_key)
    if other_card and exchange.command.ins in IDENTIFYING:
        return bool(exchange.expected[:-2]) == bool(exchange.actual[:-2])
    return exchange.expected[:-2] == exchange.actual[:-2]


def is_signature(exchange: Exchange) -> bool:
    """Whether the response is a signature of the command's data, or the result of deciphering it,
    which verifies in the same way.
    """
    command = exchange.command
    if command.ins != Ins.GENERAL_AUTHENTICATE or command.p2 not in CERTIFICATE_OF_KEY:
        return False
    asked, actual = _template(command.data), _template(exchange.actual[:-2])
    return bool(asked and asked.get(Tag.CHALLENGE) and actual and Tag.RESPONSE in actual)


def verifies(key: PublicKeyTypes, data: bytes, signature: bytes) -> bool:
    """Whether a signature verifies over `data` of the command: a padded block for RSA, a digest for
    ECDSA, the message for EdDSA.
    """
    try:
        match key:
            case rsa.RSAPublicKey():
                numbers = key.public_numbers()
                made = pow(int.from_bytes(signature), numbers.e, numbers.n)
                return made == int.from_bytes(data)
            case ec.EllipticCurvePublicKey():
                size = (key.curve.key_size + 7) // 8
                if size not in HASHES:
                    return False
                fitted = data[:size].rjust(size, b"\0")
                key.verify(signature, fitted, ec.ECDSA(Prehashed(HASHES[size])))
            case Ed25519PublicKey():
                key.verify(signature, data)
            case _:
                return False
    except InvalidSignature:
        return False
    return True


def _authentication(exchange: Exchange, public_key: PublicKey) -> bool:
    """Whether two responses to GENERAL AUTHENTICATE agree. Signatures are verified. Only the
    lengths of challenges, witnesses and secrets are compared: they are random, or not in the trace.
    """
    expected, actual = _template(exchange.expected[:-2]), _template(exchange.actual[:-2])
    asked = _template(exchange.command.data)
    if expected is None or actual is None:
        return exchange.expected == exchange.actual
    if expected.keys() != actual.keys():
        return False
    signed = None if asked is None else asked.get(Tag.CHALLENGE)
    if signed and is_signature(exchange):
        return public_key is None or verifies(public_key, signed, actual[Tag.RESPONSE])
    return all(len(expected[tag]) == len(actual[tag]) for tag in expected)


def _new_key(exchange: Exchange, _: PublicKey) -> bool:
    """Whether two responses hold new keys of the same kind; the keys themselves always differ."""
    try:
        expected, actual = (
            [tag for tag, _ in tlv.decode(each[:-2])]
            for each in (exchange.expected, exchange.actual)
        )
    except tlv.TlvError:
        return exchange.expected == exchange.actual
    return expected == actual


def _template(data: bytes) -> Mapping[int, bytes] | None:
    try:
        return dict(tlv.decode(tlv.decode_one(Tag.DYNAMIC_AUTHENTICATION, data)))
    except tlv.TlvError:
        return None


MASKS: Mapping[int, Callable[[Exchange, PublicKey], bool]] = {
    Ins.GENERAL_AUTHENTICATE: _authentication,
    Ins.GENERATE_ASYMMETRIC_KEY_PAIR: _new_key,
    Extension.ATTEST: _new_key,
}
IDENTIFYING = frozenset({Ins.GET_DATA, Extension.GET_METADATA, Extension.GET_SERIAL})

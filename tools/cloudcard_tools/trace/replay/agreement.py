"""Whether two cards, or one card twice, answer alike: what may differ is verified or masked."""

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
    """A whole command, its parts joined, and two whole responses to it, with their status words."""

    command: Command
    expected: bytes
    actual: bytes

    @property
    def status_agrees(self) -> bool:
        """Whether the status words are the same; tries left are counted by each card for itself,
        and how much is left to fetch depends on how much there is.
        """
        expected, actual = (int.from_bytes(each[-2:]) for each in (self.expected, self.actual))
        tries = expected & 0xFFF0 == actual & 0xFFF0 == TRIES_LEFT
        return expected == actual or tries or expected >> 8 == actual >> 8 == MORE


def agrees(exchange: Exchange, public_key: PublicKey, *, other_card: bool) -> bool:
    """Whether the actual response is as good as the expected one. `public_key` is that of the
    card's key which the command names, if its certificate tells. What the data objects of another
    card hold is not compared.
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
    """Whether the card has signed what the command gave; or deciphered it, which verifies too."""
    command = exchange.command
    if command.ins != Ins.GENERAL_AUTHENTICATE or command.p2 not in CERTIFICATE_OF_KEY:
        return False
    asked, actual = _template(command.data), _template(exchange.actual[:-2])
    return bool(asked and asked.get(Tag.CHALLENGE) and actual and Tag.RESPONSE in actual)


def verifies(key: PublicKeyTypes, data: bytes, signature: bytes) -> bool:
    """Whether a signature is one of `data`, which the command gave: a padded block for RSA, a
    digest for ECDSA, the message for EdDSA.
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
    """Signatures are verified; challenges, witnesses and secrets are random, or left out of the
    trace: their lengths are compared.
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
    """A key that was made is another one each time."""
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

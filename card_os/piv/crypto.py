"""GENERAL AUTHENTICATE (SP 800-73-5 part 2, 3.2.4): every use of a private key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from card_os import tlv
from card_os.apdu import Command
from card_os.keys import Exchange, KeyUse, Refusal, UseKey
from card_os.piv import access
from card_os.piv.context import Context
from card_os.piv.names import Algorithm, Tag
from card_os.piv.refusals import refused, unexpected
from card_os.piv.session import Session
from card_os.status import SW, CardError

RSA_2048_BYTES = 256
LONGEST_DIGEST = 64
P256_POINT_BYTES = 65
UNCOMPRESSED = 0x04  # first byte of a point (SEC 1, 2.3.3)

# Which data object of the template holds the input.
INPUT_TAG: Mapping[KeyUse, Tag] = {
    KeyUse.SIGN: Tag.CHALLENGE,
    KeyUse.DECRYPT: Tag.CHALLENGE,
    KeyUse.AGREE: Tag.EXPONENTIATION,
}


@dataclass(frozen=True, slots=True)
class GeneralAuthenticate:
    """GENERAL AUTHENTICATE; whether its template fits depends on the key, and is checked later."""

    algorithm: int
    key_ref: int
    template: bytes = field(repr=False)

    @classmethod
    def parse(cls, command: Command) -> GeneralAuthenticate:
        """Never raises: P1-P2 are checked against the card's keys."""
        return cls(command.p1, command.p2, command.data)


def general_authenticate(context: Context, command: GeneralAuthenticate) -> Exchange:
    """Ask for one use of a private key and return what it made.

    Raises 6A86 for a key that is not there or of another algorithm, 6700 without a template, 6982
    where the PIN is missing, 6A80 for a template or an input which does not fit the key, and 6985
    where the holder refused.
    """
    key = context.image.keys.get(command.key_ref)
    if key is None or key.algorithm != command.algorithm:
        raise CardError(SW.INCORRECT_P1P2)
    if not command.template:
        raise CardError(SW.WRONG_LENGTH)
    rule = access.KEY_RULES[command.key_ref]
    access.check(rule, context.session, context.number)
    use = access.KEY_USE[command.key_ref, command.algorithm]
    value = _input(command.template, INPUT_TAG[use])
    if not INPUT_FITS[use, command.algorithm](value):
        raise CardError(SW.WRONG_DATA, "input does not fit the key")
    proof = b"" if rule is access.Rule.ALWAYS else context.session.proof or b""
    result = yield UseKey(
        context.request_id(), use, command.key_ref, command.algorithm, value, proof
    )
    match result:
        case bytes():
            return tlv.encode(Tag.DYNAMIC_AUTHENTICATION, tlv.encode(Tag.RESPONSE, result))
        case Refusal.PASSCODE_NEEDED:  # nobody was asked, so 6982 rings no phone twice
            context.session = Session()
            raise CardError(SW.SECURITY_STATUS_NOT_SATISFIED, "the passcode's proof is too old")
        case Refusal():
            raise refused(result, SW.INCORRECT_P1P2)
        case _:
            raise unexpected(result)


def _input(template: bytes, tag: Tag) -> bytes:
    """The input in a template that holds it and an empty response, in any order. Raises 6A80."""
    try:
        objects = list(tlv.decode(tlv.decode_one(Tag.DYNAMIC_AUTHENTICATION, template)))
    except tlv.TlvError as error:
        raise CardError(SW.WRONG_DATA, "template is malformed") from error
    match objects:
        case [(Tag.RESPONSE, b""), (found, value)] | [(found, value), (Tag.RESPONSE, b"")]:
            if found == tag:
                return value
    raise CardError(SW.WRONG_DATA, "template does not fit the key")


def _is_rsa_block(value: bytes) -> bool:
    return len(value) == RSA_2048_BYTES


def _is_digest(value: bytes) -> bool:
    # Clients send digests of 20, 28, 32, 48 and 64 bytes to one key; the keystore cuts or pads.
    return 1 <= len(value) <= LONGEST_DIGEST


def _is_point(value: bytes) -> bool:
    return len(value) == P256_POINT_BYTES and value[0] == UNCOMPRESSED


INPUT_FITS: Mapping[tuple[KeyUse, int], Callable[[bytes], bool]] = {
    (KeyUse.SIGN, Algorithm.RSA_2048): _is_rsa_block,
    (KeyUse.SIGN, Algorithm.ECC_P256): _is_digest,
    (KeyUse.DECRYPT, Algorithm.RSA_2048): _is_rsa_block,
    (KeyUse.AGREE, Algorithm.ECC_P256): _is_point,
}

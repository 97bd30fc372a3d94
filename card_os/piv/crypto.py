"""GENERAL AUTHENTICATE (SP 800-73-5 part 2, 3.2.4): every use of a private key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from card_os import data_objects, tlv
from card_os.apdu import Command
from card_os.keys import Exchange, Refusal, UseKey
from card_os.piv import access
from card_os.piv.algorithms import (
    CURVE25519_BYTES,
    FIELD_BYTES,
    LONGEST_DIGEST,
    MODULUS_BYTES,
    UNCOMPRESSED_POINT,
)
from card_os.piv.context import Context
from card_os.piv.names import Algorithm, Tag
from card_os.piv.refusals import other_algorithm, proof_ended, refused, unexpected
from card_os.status import SW, CardError
from card_os.uses import KeyUse


@dataclass(frozen=True, slots=True)
class GeneralAuthenticate:
    """GENERAL AUTHENTICATE. Its template is checked later, because its form depends on the key."""

    algorithm: int
    key_ref: int
    template: bytes = field(repr=False)

    @classmethod
    def parse(cls, command: Command) -> GeneralAuthenticate:
        """Never raises: P1-P2 are checked against the card's keys."""
        return cls(command.p1, command.p2, command.data)


def general_authenticate(context: Context, command: GeneralAuthenticate) -> Exchange:
    """Ask for one use of a private key and return its result.

    Raises 6A86 if there is no such key or its algorithm is another (6A80 for the latter with the
    extensions, as YubiKeys do), 6700 without a template, 6982 if the PIN is not verified, 6A80 if
    the template or the input does not fit the key, and for a refusal the status word in `refusals`:
    6985 if the holder refused.
    """
    key_ref, algorithm = command.key_ref, command.algorithm
    image = context.image
    extensions = image.features.extensions
    key = image.keys.get(key_ref)
    if key is None:
        raise CardError(SW.INCORRECT_P1P2)
    if key.algorithm != algorithm:
        raise other_algorithm(context)
    if not command.template:
        raise CardError(SW.WRONG_LENGTH)
    rule = access.key_rule(key_ref, key, extensions=extensions)
    proof = access.check(rule, context.verified, context.number)
    tag, value = _input(command.template)
    use = access.use(key_ref, algorithm, tag, value, extensions=extensions)
    if use is None or not INPUT_FITS[use, algorithm](value):
        raise CardError(SW.WRONG_DATA, "input does not fit the key")
    result = yield UseKey(context.request_id(), use, key_ref, algorithm, value, proof)
    match result:
        case bytes():
            return tlv.encode(Tag.DYNAMIC_AUTHENTICATION, tlv.encode(Tag.RESPONSE, result))
        case Refusal.PASSCODE_NEEDED:
            # The holder was not asked yet, so a retry after 6982 cannot make the phone ring twice.
            raise proof_ended(context)
        case Refusal():
            raise refused(result, SW.INCORRECT_P1P2)
        case _:
            raise unexpected(result)


def _input(template: bytes) -> tuple[int, bytes]:
    """Tag and value of the input in a template of the input and an empty response, in any order.

    Raises 6A80 for any other template.
    """
    match data_objects.parse(data_objects.parse_one(Tag.DYNAMIC_AUTHENTICATION, template)):
        case [(Tag.RESPONSE, b""), (tag, value)] | [(tag, value), (Tag.RESPONSE, b"")]:
            return tag, value
    raise CardError(SW.WRONG_DATA, "template does not fit the key")


def _is_digest(value: bytes) -> bool:
    # Clients send digests of 20, 28, 32, 48 and 64 bytes to one key; the keystore cuts or pads.
    return 1 <= len(value) <= LONGEST_DIGEST


def _is_message(value: bytes) -> bool:
    # Ed25519 signs messages of any length, also the empty one (RFC 8032, 7.1).
    del value
    return True


def _is_u_coordinate(value: bytes) -> bool:
    return len(value) == CURVE25519_BYTES


def _is_block(size: int, value: bytes) -> bool:
    return len(value) == size


def _is_point(field_bytes: int, value: bytes) -> bool:
    return len(value) == 1 + 2 * field_bytes and value.startswith(UNCOMPRESSED_POINT)


INPUT_FITS: Mapping[tuple[KeyUse, int], Callable[[bytes], bool]] = {
    **{
        (use, algorithm): partial(_is_block, size)
        for use in (KeyUse.SIGN, KeyUse.DECRYPT)
        for algorithm, size in MODULUS_BYTES.items()
    },
    **{(KeyUse.SIGN, algorithm): _is_digest for algorithm in FIELD_BYTES},
    **{
        (KeyUse.AGREE, algorithm): partial(_is_point, size)
        for algorithm, size in FIELD_BYTES.items()
    },
    (KeyUse.SIGN, Algorithm.ED25519): _is_message,
    (KeyUse.AGREE, Algorithm.X25519): _is_u_coordinate,
}

"""Key establishment for secure messaging: GENERAL AUTHENTICATE with key 04 (SP 800-73-5 part 2,
4.1). It needs no approval: the key only agrees on session keys, which never leave the card.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash

from card_os import data_objects, tlv
from card_os.keys import Exchange, Refusal, UseKey
from card_os.piv.algorithms import UNCOMPRESSED_POINT
from card_os.piv.context import Context
from card_os.piv.crypto import GeneralAuthenticate
from card_os.piv.image import CardImage
from card_os.piv.names import CipherSuite, KeyRef, Tag
from card_os.piv.refusals import refused, unexpected
from card_os.secure_messaging import SecureMessaging, SessionKeys
from card_os.status import SW, CardError
from card_os.uses import KeyUse

HOST_ID_BYTES = 8  # ID_sH
CARD_ID_BYTES = 8  # ID_sICC
PERSISTENT_BINDING = 0x0F  # bits of the control byte; this card never remembers a host


@dataclass(frozen=True, slots=True)
class Suite:
    """The parts of a cipher suite (part 2, tables 14 and 17)."""

    curve: ec.EllipticCurve
    hash: hashes.HashAlgorithm
    key_bytes: int
    key_label: int  # of AES, four times in OtherInfo
    nonce_bytes: int


SUITES: Mapping[int, Suite] = {
    CipherSuite.CS2: Suite(ec.SECP256R1(), hashes.SHA256(), 16, 0x09, 16),
    CipherSuite.CS7: Suite(ec.SECP384R1(), hashes.SHA384(), 32, 0x0D, 24),
}


@dataclass(frozen=True, slots=True)
class Opening:
    """The host's message: CB_H, ID_sH, Q_eH."""

    control: int
    host: bytes
    point: bytes  # 04 || X || Y

    @classmethod
    def parse(cls, template: bytes, suite: Suite) -> Opening:
        """Raises 6A80 if the template, the control byte or the point is wrong."""
        inside = data_objects.parse_one(Tag.DYNAMIC_AUTHENTICATION, template)
        match sorted(data_objects.parse(inside)):
            case [(Tag.CHALLENGE, challenge), (Tag.RESPONSE, b"")]:
                pass
            case _:
                raise CardError(SW.WRONG_DATA, "template does not fit the key")
        host, point = challenge[1 : 1 + HOST_ID_BYTES], challenge[1 + HOST_ID_BYTES :]
        if not point.startswith(UNCOMPRESSED_POINT) or challenge[0] & ~PERSISTENT_BINDING:
            raise CardError(SW.WRONG_DATA, "no point, or control byte")  # C2, C3
        try:
            ec.EllipticCurvePublicKey.from_encoded_point(suite.curve, point)  # C4
        except ValueError as error:
            raise CardError(SW.WRONG_DATA, "not on the curve") from error
        return cls(challenge[0], host, point)


def suite_of(image: CardImage) -> int | None:
    """The algorithm identifier of the card's cipher suite; None without secure messaging."""
    key = image.keys.get(KeyRef.SECURE_MESSAGING)
    return key.algorithm if key is not None and image.verifiable_certificate else None


def establish(context: Context, command: GeneralAuthenticate) -> Exchange:
    """Establish new session keys; the previous ones are lost, whatever the outcome.

    Raises 6A86 if the card does not have this cipher suite, 6700 without a template, 6A80 if the
    template or its point is wrong, and for a refusal the status word in `refusals`.
    """
    context.secure_messaging = None
    if command.algorithm != suite_of(context.image):
        raise CardError(SW.INCORRECT_P1P2)
    if not command.template:
        raise CardError(SW.WRONG_LENGTH)
    suite = SUITES[command.algorithm]
    opening = Opening.parse(command.template, suite)
    result = yield UseKey(
        context.request_id(),
        KeyUse.AGREE,
        KeyRef.SECURE_MESSAGING,
        command.algorithm,
        opening.point,
    )
    if isinstance(result, Refusal):
        raise refused(result, SW.INCORRECT_P1P2)
    if not isinstance(result, bytes) or len(result) != (suite.curve.key_size + 7) // 8:
        raise unexpected(result)
    certificate = context.image.verifiable_certificate
    nonce = context.random(suite.nonce_bytes)
    confirmation, keys = derive(suite, result, opening, certificate, nonce)
    context.secure_messaging = SecureMessaging(keys)
    answer = bytes((0x00,)) + nonce + confirmation + certificate  # CB_ICC is always zero
    return tlv.encode(Tag.DYNAMIC_AUTHENTICATION, tlv.encode(Tag.RESPONSE, answer))


def derive(
    suite: Suite, secret: bytes, opening: Opening, certificate: bytes, nonce: bytes
) -> tuple[bytes, SessionKeys]:
    """The cryptogram that confirms the session keys, and the keys (part 2, 4.1.6 and 4.1.7)."""
    card_id = sha256(certificate).digest()[:CARD_ID_BYTES]
    coordinates = opening.point[1:]
    fields = (
        opening.host,
        bytes((opening.control,)),
        coordinates[:16],
        card_id,
        nonce,
        b"\x00",  # CB_ICC
    )
    other_info = bytes((4, *[suite.key_label] * 4)) + b"".join(
        bytes((len(value),)) + value for value in fields
    )
    size = suite.key_bytes
    material = ConcatKDFHash(suite.hash, 4 * size, other_info).derive(secret)
    confirm, mac, enc, rmac = (material[at : at + size] for at in range(0, 4 * size, size))
    cmac = CMAC(AES(confirm))
    cmac.update(b"KC_1_V" + card_id + opening.host + coordinates)
    return cmac.finalize(), SessionKeys(mac, enc, rmac)

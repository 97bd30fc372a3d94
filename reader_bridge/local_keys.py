"""A throw-away card with its keys in memory, for development and tests: nobody is asked.

Not for anything that matters: whoever has the process has the keys.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import TypeAlias

import gmpy2
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from card_os.keys import (
    ChangePasscode,
    KeyRequest,
    KeyResult,
    KeyUse,
    PasscodeStatus,
    Refusal,
    ResetPasscode,
    TriesLeft,
    UseKey,
    Verified,
    VerifyPasscode,
)
from card_os.management import CardKey
from card_os.piv import CardImage, encode
from card_os.piv.names import CERTIFICATE_OF_KEY, Algorithm, KeyRef, ObjectTag
from reader_bridge.tasks import Cancellation

PrivateKey: TypeAlias = "rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey"
Random: TypeAlias = Callable[[int], bytes]

PIN, PUK = b"123456", b"12345678"
TRIES = 3
PROOF_BYTES = 16
FIELD_BYTES = 32
LIFETIME = timedelta(days=365)
KEY_USAGES: Mapping[int, frozenset[str]] = {
    KeyRef.AUTHENTICATION: frozenset({"digital_signature"}),
    KeyRef.SIGNATURE: frozenset({"digital_signature", "content_commitment"}),
    KeyRef.KEY_MANAGEMENT: frozenset({"key_encipherment", "key_agreement"}),
}
KEY_USAGE_BITS = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
    *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)


class LocalKeys:
    """Keys 9A, 9C and 9D and the passcodes of one new card, which approves everything at once."""

    def __init__(self, algorithm: Algorithm, random: Random, now: datetime) -> None:
        self._random = random
        self._keys = {key_ref: _generate(algorithm) for key_ref in KEY_USAGES}
        self._passcodes = {int(KeyRef.PIN): PIN, int(KeyRef.PUK): PUK}
        self._tries = dict.fromkeys(self._passcodes, TRIES)
        self._proof = random(PROOF_BYTES)
        self._lock = threading.Lock()  # a cancelled request may still be on its way
        self.image = _image(self._keys, algorithm, random, now)

    def perform(self, request: KeyRequest, cancellation: Cancellation | None = None) -> KeyResult:
        """Do it at once."""
        del cancellation
        with self._lock:
            match request:
                case UseKey():
                    return self._use(request)
                case PasscodeStatus(key_ref=key_ref):
                    return TriesLeft(self._tries[key_ref])
                case VerifyPasscode(key_ref=key_ref, passcode=passcode):
                    return self._check(key_ref, passcode)
                case ChangePasscode(key_ref=key_ref, old=old, new=new):
                    return self._replace(key_ref, old, key_ref, new)
                case ResetPasscode(key_ref=key_ref, puk=puk, new=new):
                    return self._replace(KeyRef.PUK, puk, key_ref, new)
                case _:
                    return Refusal.DENIED

    def _check(self, key_ref: int, passcode: bytes) -> KeyResult:
        if self._tries[key_ref] == 0:
            return TriesLeft(0)
        self._tries[key_ref] -= 1  # first
        if not compare_digest(passcode, self._passcodes[key_ref]):
            return TriesLeft(self._tries[key_ref])
        self._tries[key_ref] = TRIES
        return Verified(self._proof)

    def _replace(self, checked: int, passcode: bytes, replaced: int, new: bytes) -> KeyResult:
        result = self._check(checked, passcode)
        if isinstance(result, Verified):
            self._passcodes[replaced] = new
            self._tries[replaced] = TRIES
        return result

    def _use(self, request: UseKey) -> KeyResult:
        key = self._keys.get(request.key_ref)
        if key is None:
            return Refusal.UNKNOWN_KEY
        if not compare_digest(request.proof, self._proof):
            return Refusal.DENIED
        match key, request.use:
            case rsa.RSAPrivateKey(), KeyUse.SIGN | KeyUse.DECRYPT:
                return _raw_rsa(key.private_numbers(), request.input)
            case ec.EllipticCurvePrivateKey(), KeyUse.SIGN:
                return _ecdsa(key, request.input)
            case ec.EllipticCurvePrivateKey(), KeyUse.AGREE:
                return _ecdh(key, request.input)
            case _:
                return Refusal.MALFORMED


def _generate(algorithm: Algorithm) -> PrivateKey:
    match algorithm:
        case Algorithm.RSA_2048:
            return rsa.generate_private_key(public_exponent=65537, key_size=2048)
        case Algorithm.ECC_P256:
            return ec.generate_private_key(ec.SECP256R1())
        case _:
            raise ValueError(f"{algorithm.name} keys are not made here")


def _image(
    keys: Mapping[int, PrivateKey], algorithm: Algorithm, random: Random, now: datetime
) -> CardImage:
    guid = bytearray(random(16))
    guid[6] = guid[6] & 0x0F | 0x40  # version and variant of a random UUID (RFC 9562, 5.4)
    guid[8] = guid[8] & 0x3F | 0x80
    serial = str(int.from_bytes(guid[:4]))
    expiry = f"{now + LIFETIME:%Y%m%d}"
    return CardImage(
        serial=serial,
        guid=bytes(guid),
        objects={
            ObjectTag.CHUID: encode.chuid(bytes(guid), expiry),
            ObjectTag.CCC: encode.ccc(bytes(guid)),
            ObjectTag.DISCOVERY: encode.discovery(),
            ObjectTag.KEY_HISTORY: encode.key_history(),
            ObjectTag.PRINTED_INFORMATION: encode.printed_information(
                "cloudcard local", "Development", expiry, serial, "cloudcard"
            ),
            **{
                CERTIFICATE_OF_KEY[key_ref]: encode.certificate(_certify(key_ref, key, now))
                for key_ref, key in keys.items()
            },
        },
        keys=dict.fromkeys(keys, CardKey(algorithm)),
    )


def _certify(key_ref: int, key: PrivateKey, now: datetime) -> bytes:
    """A self-signed certificate, DER."""
    name = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, f"cloudcard local {key_ref:02X}, not for use")]
    )
    wanted = KEY_USAGES[key_ref] - (
        {"key_agreement"} if isinstance(key, rsa.RSAPrivateKey) else {"key_encipherment"}
    )
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(**{bit: bit in wanted for bit in KEY_USAGE_BITS}), critical=True
        )
        .sign(key, SHA256())
        .public_bytes(Encoding.DER)
    )


def _raw_rsa(numbers: rsa.RSAPrivateNumbers, block: bytes) -> KeyResult:
    """RSASP1 and RSADP (RFC 8017, 5.1.2 and 5.2.1): the application has made the padding.

    The OpenSSL under `cryptography` does no raw RSA, hence GMP.
    """
    base = int.from_bytes(block)
    if base >= numbers.public_numbers.n:
        return Refusal.MALFORMED
    half_p = int(gmpy2.powmod_sec(base % numbers.p, numbers.dmp1, numbers.p))
    half_q = int(gmpy2.powmod_sec(base % numbers.q, numbers.dmq1, numbers.q))
    result = half_q + numbers.q * (numbers.iqmp * (half_p - half_q) % numbers.p)
    return result.to_bytes(len(block))


def _ecdsa(key: ec.EllipticCurvePrivateKey, digest: bytes) -> bytes:
    # Any length: the leftmost bits count, a short digest is a small number (FIPS 186-5, 6.4.1).
    fitted = digest[:FIELD_BYTES].rjust(FIELD_BYTES, b"\0")
    return key.sign(fitted, ec.ECDSA(Prehashed(SHA256())))


def _ecdh(key: ec.EllipticCurvePrivateKey, point: bytes) -> KeyResult:
    try:
        peer = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        return Refusal.MALFORMED
    return key.exchange(ec.ECDH(), peer)

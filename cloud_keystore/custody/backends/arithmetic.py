"""Software keys: made here, used here, sealed everywhere else."""

from __future__ import annotations

from dataclasses import dataclass, field

import gmpy2
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA224, SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import load_der_private_key

from card_os.piv.algorithms import MODULUS_BYTES
from card_os.piv.names import Algorithm
from card_os.uses import KeyUse
from cloud_keystore.custody.use import padding
from cloud_keystore.model.clock import Random
from cloud_keystore.model.errors import MalformedKeyInput

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | Ed25519PrivateKey | X25519PrivateKey
PUBLIC_EXPONENT = 65537  # SP 800-78-5, 3.1
CURVES = {Algorithm.ECC_P256: ec.SECP256R1(), Algorithm.ECC_P384: ec.SECP384R1()}
# A hash of the field's length, for the signer to take the bytes as they are
FIELD_HASH = {"secp256r1": SHA256(), "secp384r1": SHA384()}

SIGNATURE_HASH = {  # by the names of `padding.DIGEST_INFO`
    "sha1": SHA1(),  # noqa: S303 (the application has made the digest and chosen its hash)
    "sha224": SHA224(),
    "sha256": SHA256(),
    "sha384": SHA384(),
    "sha512": SHA512(),
}


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made: PKCS #8 for sealing, and the open key for its public part."""

    pkcs8: bytes = field(repr=False)
    private: PrivateKey = field(repr=False)


def generate(algorithm: Algorithm) -> NewKey:
    """Make a key pair."""
    private: PrivateKey
    match algorithm:
        case Algorithm.RSA_2048 | Algorithm.RSA_3072 | Algorithm.RSA_4096:
            bits = MODULUS_BYTES[algorithm] * 8
            private = rsa.generate_private_key(PUBLIC_EXPONENT, bits)
        case Algorithm.ECC_P256 | Algorithm.ECC_P384:
            private = ec.generate_private_key(CURVES[algorithm])
        case Algorithm.ED25519:
            private = Ed25519PrivateKey.generate()
        case Algorithm.X25519:
            private = X25519PrivateKey.generate()
    return new_key(private)


def new_key(private: PrivateKey) -> NewKey:
    """An open key as one just made."""
    pkcs8 = private.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return NewKey(pkcs8, private)


@dataclass(frozen=True, slots=True)
class OpenKey:
    """A key ready for use. The numbers are those of an RSA key: asking for them takes a while."""

    private: PrivateKey = field(repr=False)
    numbers: rsa.RSAPrivateNumbers | None = field(repr=False)


def load(pkcs8: bytes) -> OpenKey:
    """Open a key; raises ValueError for bytes that are none."""
    # Checked when it was made and authenticated by its seal since: checking again costs 10,000
    # times the loading.
    key = load_der_private_key(pkcs8, None, unsafe_skip_rsa_key_validation=True)
    match key:
        case rsa.RSAPrivateKey():
            return OpenKey(key, key.private_numbers())
        case ec.EllipticCurvePrivateKey() | Ed25519PrivateKey() | X25519PrivateKey():
            return OpenKey(key, None)
        case _:
            raise ValueError("a key of an unknown kind")


def public_der(key: OpenKey) -> bytes:
    """SubjectPublicKeyInfo."""
    return key.private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def use(pkcs8: bytes, key_use: KeyUse, data: bytes, random: Random) -> bytes:
    """Open a key and use it once; see `use_open`."""
    return use_open(load(pkcs8), key_use, data, random)


def use_open(key: OpenKey, key_use: KeyUse, data: bytes, random: Random) -> bytes:
    """Use a key once on `data`, which `padding.check` has accepted.

    Returns an RSA block, a signature (ECDSA: DER; EdDSA: 64 bytes) or a shared secret. Raises
    MalformedKeyInput where the key itself finds the input wrong: a number beyond the modulus, a
    point that is not on the curve.
    """
    match key.private, key_use:
        case rsa.RSAPrivateKey() as private, KeyUse.SIGN if info := padding.digest_of(data):
            return _rsa_signature(private, *info)
        case rsa.RSAPrivateKey(), KeyUse.SIGN | KeyUse.DECRYPT if key.numbers is not None:
            return _raw_rsa(key.numbers, data, random)
        case ec.EllipticCurvePrivateKey() as private, KeyUse.SIGN:
            return _ecdsa(private, data)
        case ec.EllipticCurvePrivateKey() as private, KeyUse.AGREE:
            return _ecdh(private, data)
        case Ed25519PrivateKey() as private, KeyUse.SIGN:
            return private.sign(data)
        case X25519PrivateKey() as private, KeyUse.AGREE:
            return _x25519(private, data)
        case _:
            raise MalformedKeyInput("the key cannot be used so")


def _rsa_signature(key: rsa.RSAPrivateKey, hash_name: str, digest: bytes) -> bytes:
    """The block padded by PKCS #1 v1.5, by OpenSSL: it pads the digest again, is two to three times
    as fast as GMP and lets other threads work. It blinds, and checks the result itself with the
    public exponent (rsa_ossl_mod_exp), as one faulty half would reveal the factors.
    """
    return key.sign(digest, PKCS1v15(), Prehashed(SIGNATURE_HASH[hash_name]))


def _raw_rsa(numbers: rsa.RSAPrivateNumbers, block: bytes, random: Random) -> bytes:
    """RSASP1 and RSADP (RFC 8017, 5.1.2 and 5.2.1) on a block whose padding the application made.

    The OpenSSL under `cryptography` does no raw RSA, hence GMP: its `powm_sec` takes the same time
    for every exponent. The base is blinded, and the result is checked, because one faulty half
    reveals the factors.
    """
    modulus, exponent = numbers.public_numbers.n, numbers.public_numbers.e
    base = int.from_bytes(block)
    if base >= modulus:
        raise MalformedKeyInput("the block is a number beyond the key's modulus")
    size = len(block)
    blind = int.from_bytes(random(size)) % (modulus - 2) + 2
    blinded = base * gmpy2.powmod(blind, exponent, modulus) % modulus
    half_p = gmpy2.powmod_sec(blinded % numbers.p, numbers.dmp1, numbers.p)
    half_q = gmpy2.powmod_sec(blinded % numbers.q, numbers.dmq1, numbers.q)
    whole = half_q + numbers.q * (numbers.iqmp * (half_p - half_q) % numbers.p)
    result = whole * gmpy2.invert(blind, modulus) % modulus
    if gmpy2.powmod(result, exponent, modulus) != base:
        raise ArithmeticError("an RSA result did not verify and was thrown away")
    return int(result).to_bytes(size)


def _ecdsa(key: ec.EllipticCurvePrivateKey, digest: bytes) -> bytes:
    # Any length: the leftmost bits count, a short digest is a small number (FIPS 186-5, 6.4.1).
    field_hash = FIELD_HASH[key.curve.name]
    size = field_hash.digest_size
    fitted = digest[:size].rjust(size, b"\0")
    return key.sign(fitted, ec.ECDSA(Prehashed(field_hash)))


def _ecdh(key: ec.EllipticCurvePrivateKey, point: bytes) -> bytes:
    try:
        peer = ec.EllipticCurvePublicKey.from_encoded_point(key.curve, point)
    except ValueError:
        raise MalformedKeyInput("the peer's point is not on the key's curve") from None
    return key.exchange(ec.ECDH(), peer)


def _x25519(key: X25519PrivateKey, point: bytes) -> bytes:
    try:
        return key.exchange(X25519PublicKey.from_public_bytes(point))
    except ValueError:  # of a point of small order: the secret would be no secret (RFC 7748, 6.1)
        raise MalformedKeyInput("the peer's point agrees with everybody") from None

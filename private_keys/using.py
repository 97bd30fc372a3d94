"""One use of a private key: raw RSA, ECDSA, EdDSA, ECDH, X25519."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import gmpy2
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import (
    SHA1,
    SHA224,
    SHA256,
    SHA384,
    SHA512,
    HashAlgorithm,
)

from card_os.uses import KeyUse
from private_keys.keys import FIELD_HASH, PrivateKey, Random

HASHES: Mapping[str, HashAlgorithm] = {
    "sha1": SHA1(),  # noqa: S303 (the application has made the digest and chosen its hash)
    "sha224": SHA224(),
    "sha256": SHA256(),
    "sha384": SHA384(),
    "sha512": SHA512(),
}


class BadInput(ValueError):
    """The key cannot be used in this way, or not with this input."""


@dataclass(frozen=True, slots=True)
class OpenKey:
    """A key that is ready for use. An RSA key keeps its numbers, because reading them is slow."""

    private: PrivateKey = field(repr=False)
    numbers: rsa.RSAPrivateNumbers | None = field(repr=False)

    @classmethod
    def of(cls, private: PrivateKey) -> OpenKey:
        """Prepare a key for use."""
        numbers = private.private_numbers() if isinstance(private, rsa.RSAPrivateKey) else None
        return cls(private, numbers)


def use(key: OpenKey, key_use: KeyUse, data: bytes, random: Random) -> bytes:
    """Use a key once. Returns an RSA block, a signature (ECDSA: DER; EdDSA: 64 bytes) or a shared
    secret.

    Raises BadInput for a use that the key does not have, for a block of another length or not
    below the modulus, and for a point that is not on the curve.
    """
    match key.private, key_use:
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
            raise BadInput("the key cannot be used so")


def sign_digest(key: rsa.RSAPrivateKey, hash_name: str, digest: bytes) -> bytes:
    """Sign a digest by PKCS #1 v1.5: the result is that of raw RSA on the padded block.

    OpenSSL is two to three times as fast as GMP and lets other threads work. It blinds the base
    and checks the result with the public exponent (rsa_ossl_mod_exp), because one faulty half would
    reveal the factors.
    """
    return key.sign(digest, PKCS1v15(), Prehashed(HASHES[hash_name]))


def fit_digest(digest: bytes, size: int) -> bytes:
    """Fit a digest to a field of `size` bytes, for ECDSA: a long digest is cut to its leftmost
    bits, a short one is a small number (FIPS 186-5, 6.4.1).
    """
    return digest[:size].rjust(size, b"\0")


def _raw_rsa(numbers: rsa.RSAPrivateNumbers, block: bytes, random: Random) -> bytes:
    """RSASP1 and RSADP (RFC 8017, 5.1.2 and 5.2.1) on a block whose padding the application made.

    The OpenSSL under `cryptography` does no raw RSA, hence GMP: its `powm_sec` takes the same time
    for every exponent. The base is blinded, and the result is checked, because one faulty half
    reveals the factors.
    """
    modulus, exponent = numbers.public_numbers.n, numbers.public_numbers.e
    size = (modulus.bit_length() + 7) // 8
    if len(block) != size:
        raise BadInput(f"the block has {len(block)} bytes, the key's modulus {size}")
    base = int.from_bytes(block)
    if base >= modulus:
        raise BadInput("the block is a number beyond the key's modulus")
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
    field_hash = FIELD_HASH[key.curve.name]
    fitted = fit_digest(digest, field_hash.digest_size)
    return key.sign(fitted, ec.ECDSA(Prehashed(field_hash)))


def _ecdh(key: ec.EllipticCurvePrivateKey, point: bytes) -> bytes:
    try:
        peer = ec.EllipticCurvePublicKey.from_encoded_point(key.curve, point)
    except ValueError:
        raise BadInput("the peer's point is not on the key's curve") from None
    return key.exchange(ec.ECDH(), peer)


def _x25519(key: X25519PrivateKey, point: bytes) -> bytes:
    try:
        return key.exchange(X25519PublicKey.from_public_bytes(point))
    # With a point of small order the secret is the same for everybody (RFC 7748, 6.1).
    except ValueError:
        raise BadInput("the peer's point agrees with everybody") from None

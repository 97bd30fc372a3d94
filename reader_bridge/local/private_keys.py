"""Makes, checks and uses private keys of a local card, as bytes in the form of `ImportKey`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import gcd
from typing import TypeAlias

import gmpy2
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from card_os.keys import KeyUse
from card_os.piv import encode_keys
from card_os.piv.image import SUITES
from card_os.piv.names import Algorithm, CipherSuite

Random: TypeAlias = Callable[[int], bytes]
PrivateKey: TypeAlias = (
    "rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | Ed25519PrivateKey | X25519PrivateKey"
)

PUBLIC_EXPONENT = 65537  # SP 800-78-5, 3.1
MODULUS_BITS: Mapping[int, int] = {
    Algorithm.RSA_2048: 2048,
    Algorithm.RSA_3072: 3072,
    Algorithm.RSA_4096: 4096,
}
CURVES: Mapping[int, ec.EllipticCurve] = {
    Algorithm.ECC_P256: ec.SECP256R1(),
    Algorithm.ECC_P384: ec.SECP384R1(),
    CipherSuite.CS2: ec.SECP256R1(),
    CipherSuite.CS7: ec.SECP384R1(),
}
# A hash of the field's length, for the signer to take the bytes as they are
FIELD_HASH = {"secp256r1": SHA256(), "secp384r1": SHA384()}
CURVE25519_BYTES = 32
PRIME_ROUNDS = 40  # of Miller and Rabin: a composite passes with a probability below 2**-80


class BadKey(ValueError):
    """These bytes are not a private key of that algorithm, or the key cannot be used so."""


def generate(algorithm: int) -> bytes:
    """Make a private key. Raises BadKey for an unknown algorithm."""
    if algorithm in MODULUS_BITS:
        made = rsa.generate_private_key(PUBLIC_EXPONENT, MODULUS_BITS[algorithm])
        return _primes(made)
    if algorithm in CURVES:
        curve = CURVES[algorithm]
        scalar = ec.generate_private_key(curve).private_numbers().private_value
        return scalar.to_bytes(_field_bytes(curve))
    match algorithm:
        case Algorithm.ED25519:
            return Ed25519PrivateKey.generate().private_bytes_raw()
        case Algorithm.X25519:
            return X25519PrivateKey.generate().private_bytes_raw()
    raise BadKey(f"{algorithm:02X} is no algorithm of a private key")


def load(algorithm: int, private: bytes) -> PrivateKey:
    """The key that checked bytes encode. Raises BadKey if they cannot be a key."""
    try:
        if algorithm in MODULUS_BITS:
            return _rsa(private).private_key(unsafe_skip_rsa_key_validation=True)
        if algorithm in CURVES:
            curve = CURVES[algorithm]
            if len(private) != _field_bytes(curve):
                raise BadKey(f"the scalar has {len(private)} bytes")
            return ec.derive_private_key(int.from_bytes(private), curve)
        match algorithm:
            case Algorithm.ED25519:
                return Ed25519PrivateKey.from_private_bytes(private)
            case Algorithm.X25519:
                return X25519PrivateKey.from_private_bytes(private)
    except (ValueError, ArithmeticError) as error:
        raise BadKey("these bytes are no private key of that algorithm") from error
    raise BadKey(f"{algorithm:02X} is no algorithm of a private key")


def check(algorithm: int, private: bytes) -> None:
    """Raise BadKey unless bytes from elsewhere are a sound key of that algorithm."""
    if algorithm in MODULUS_BITS:
        _check_primes(MODULUS_BITS[algorithm], private)
    load(algorithm, private)


def public_template(algorithm: int, private: bytes) -> bytes:
    """The contents of template 7F49 (SP 800-73-5 part 2, table 21)."""
    match load(algorithm, private):
        case rsa.RSAPrivateKey() as key:
            modulus = key.private_numbers().public_numbers.n
            return encode_keys.rsa_public_key(
                modulus.to_bytes(MODULUS_BITS[algorithm] // 8), PUBLIC_EXPONENT.to_bytes(3)
            )
        case ec.EllipticCurvePrivateKey() as key:
            return encode_keys.ecc_public_key(point(key))
        case key:
            return encode_keys.ecc_public_key(key.public_key().public_bytes_raw())


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The public point, uncompressed."""
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def use(algorithm: int, private: bytes, key_use: KeyUse, data: bytes, random: Random) -> bytes:
    """Use a key once: an RSA block, a signature (ECDSA: DER; EdDSA: 64 bytes), a shared secret.

    Raises BadKey for a use that the key does not have, and for input that it cannot take: a number
    above the modulus, or a point that is not on the curve.
    """
    match load(algorithm, private), key_use:
        case rsa.RSAPrivateKey() as key, KeyUse.SIGN | KeyUse.DECRYPT:
            return _raw_rsa(key.private_numbers(), data, random)
        case ec.EllipticCurvePrivateKey() as key, KeyUse.SIGN if algorithm not in SUITES:
            return _ecdsa(key, data)
        case ec.EllipticCurvePrivateKey() as key, KeyUse.AGREE:
            return _ecdh(key, data)
        case Ed25519PrivateKey() as key, KeyUse.SIGN:
            return key.sign(data)
        case X25519PrivateKey() as key, KeyUse.AGREE:
            return _x25519(key, data)
        case _:
            raise BadKey("the key cannot be used so")


def _field_bytes(curve: ec.EllipticCurve) -> int:
    return (curve.key_size + 7) // 8


def _primes(key: rsa.RSAPrivateKey) -> bytes:
    numbers = key.private_numbers()
    size = key.key_size // 16
    return numbers.p.to_bytes(size) + numbers.q.to_bytes(size)


def _rsa(private: bytes) -> rsa.RSAPrivateNumbers:
    """Everything from the primes; ArithmeticError where they have no private exponent."""
    half = len(private) // 2
    p, q = int.from_bytes(private[:half]), int.from_bytes(private[half:])
    exponent = int(gmpy2.invert(PUBLIC_EXPONENT, gmpy2.lcm(p - 1, q - 1)))
    return rsa.RSAPrivateNumbers(
        p=p,
        q=q,
        d=exponent,
        dmp1=exponent % (p - 1),
        dmq1=exponent % (q - 1),
        iqmp=int(gmpy2.invert(q, p)),
        public_numbers=rsa.RSAPublicNumbers(PUBLIC_EXPONENT, p * q),
    )


def _check_primes(bits: int, private: bytes) -> None:
    """Two different primes of one length, of a modulus as long as the algorithm says."""
    half = bits // 16
    if len(private) != 2 * half:
        raise BadKey(f"two primes have {2 * half} bytes, not {len(private)}")
    primes = int.from_bytes(private[:half]), int.from_bytes(private[half:])
    if primes[0] == primes[1] or (primes[0] * primes[1]).bit_length() != bits:
        raise BadKey(f"the primes make no modulus of {bits} bits")
    for prime in primes:
        if gcd(prime - 1, PUBLIC_EXPONENT) != 1 or not gmpy2.is_prime(prime, PRIME_ROUNDS):
            raise BadKey(f"no prime for the exponent {PUBLIC_EXPONENT}")


def _raw_rsa(numbers: rsa.RSAPrivateNumbers, block: bytes, random: Random) -> bytes:
    """RSASP1 and RSADP (RFC 8017, 5.1.2 and 5.2.1): the application has made the padding.

    The OpenSSL under `cryptography` does no raw RSA, hence GMP: its `powm_sec` takes the same time
    for every exponent. The base is blinded, and the result is checked, because one faulty half
    reveals the factors.
    """
    modulus = numbers.public_numbers.n
    base = int.from_bytes(block)
    if base >= modulus or len(block) != (modulus.bit_length() + 7) // 8:
        raise BadKey("the block does not fit the modulus")
    blind = int.from_bytes(random(len(block))) % (modulus - 2) + 2
    blinded = base * gmpy2.powmod(blind, PUBLIC_EXPONENT, modulus) % modulus
    half_p = gmpy2.powmod_sec(blinded % numbers.p, numbers.dmp1, numbers.p)
    half_q = gmpy2.powmod_sec(blinded % numbers.q, numbers.dmq1, numbers.q)
    whole = half_q + numbers.q * (numbers.iqmp * (half_p - half_q) % numbers.p)
    result = whole * gmpy2.invert(blind, modulus) % modulus
    if gmpy2.powmod(result, PUBLIC_EXPONENT, modulus) != base:
        raise ArithmeticError("an RSA result did not verify and was thrown away")
    return int(result).to_bytes(len(block))


def _ecdsa(key: ec.EllipticCurvePrivateKey, digest: bytes) -> bytes:
    # Any length: the leftmost bits count, a short digest is a small number (FIPS 186-5, 6.4.1).
    field_hash = FIELD_HASH[key.curve.name]
    size = field_hash.digest_size
    return key.sign(digest[:size].rjust(size, b"\0"), ec.ECDSA(Prehashed(field_hash)))


def _ecdh(key: ec.EllipticCurvePrivateKey, peer: bytes) -> bytes:
    try:
        public = ec.EllipticCurvePublicKey.from_encoded_point(key.curve, peer)
    except ValueError:
        raise BadKey("the peer's point is not on the key's curve") from None
    return key.exchange(ec.ECDH(), public)


def _x25519(key: X25519PrivateKey, peer: bytes) -> bytes:
    try:
        return key.exchange(X25519PublicKey.from_public_bytes(peer))
    except ValueError:  # of a point of small order: the secret would be no secret (RFC 7748, 6.1)
        raise BadKey("the peer's point agrees with everybody") from None

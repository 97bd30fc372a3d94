"""One use of a private key: raw RSA, ECDSA, EdDSA, ECDH, X25519."""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from card_os.uses import KeyUse
from private_keys.keys import FIELD_HASH, PrivateKey
from private_keys.libcrypto import RsaKey


class BadInput(ValueError):
    """The key cannot be used in this way, or not with this input."""


@dataclass(frozen=True, slots=True)
class OpenKey:
    """A key that is ready for use; an RSA key is open in libcrypto."""

    private: PrivateKey = field(repr=False)
    rsa: RsaKey | None = field(repr=False)

    @classmethod
    def of(cls, private: PrivateKey) -> OpenKey:
        """Prepare a key for use. Raises NoLibcrypto for an RSA key where there is none."""
        return cls(private, RsaKey(private) if isinstance(private, RSAPrivateKey) else None)


def use(key: OpenKey, key_use: KeyUse, data: bytes) -> bytes:
    """Use a key once. Returns an RSA block, a signature (ECDSA: DER; EdDSA: 64 bytes) or a shared
    secret.

    Raises BadInput for a use that the key does not have, for a block of another length or not
    below the modulus, and for a point that is not on the curve.
    """
    match key.private, key_use:
        case RSAPrivateKey(), KeyUse.SIGN | KeyUse.DECRYPT if key.rsa is not None:
            return _raw_rsa(key.rsa, key_use, data)
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


def fit_digest(digest: bytes, size: int) -> bytes:
    """Fit a digest to a field of `size` bytes, for ECDSA: a long digest is cut to its leftmost
    bits, a short one is a small number (FIPS 186-5, 6.4.1).
    """
    return digest[:size].rjust(size, b"\0")


def _raw_rsa(key: RsaKey, key_use: KeyUse, block: bytes) -> bytes:
    """RSASP1 and RSADP (RFC 8017, 5.2.1 and 5.1.2); the application has made the padding."""
    if len(block) != len(key.modulus):
        raise BadInput(f"the block has {len(block)} bytes, the key's modulus {len(key.modulus)}")
    if block >= key.modulus:  # of equal length, bytes compare as numbers
        raise BadInput("the block is a number beyond the key's modulus")
    return key.sign(block) if key_use is KeyUse.SIGN else key.decrypt(block)


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

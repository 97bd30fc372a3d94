"""Making private keys: they are born here, and only sealed ones leave."""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from cloud_keystore.custody import software
from cloud_keystore.custody.sealing import Seal
from cloud_keystore.model.cards import Algorithm

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


@dataclass(frozen=True, slots=True)
class MadeKey:
    """The public part for a certificate, the private part for the database."""

    public: PublicKey
    sealed_private: bytes = field(repr=False)


def make_key(key_id: str, algorithm: Algorithm, seal: Seal) -> MadeKey:
    """Make a key pair, sealed under its identifier."""
    made = software.generate(algorithm)
    return MadeKey(made.private.public_key(), seal.close(made.pkcs8, key_context(key_id)))


def key_context(key_id: str) -> str:
    """Context under which a private key is sealed."""
    return f"key {key_id}"

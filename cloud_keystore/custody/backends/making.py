"""Making private keys: they are born here, and only sealed ones leave."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cloud_keystore.custody.backends import arithmetic
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.model.algorithms import Algorithm
from cloud_keystore.model.cards import OnToken, Sealed

PublicKey = (
    rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | x25519.X25519PublicKey
)


@dataclass(frozen=True, slots=True)
class MadeKey:
    """The public part for a certificate, and where the private part is."""

    public: PublicKey
    private: Sealed | OnToken

    @property
    def public_der(self) -> bytes:
        """SubjectPublicKeyInfo."""
        return public_der(self.public)


def public_der(public: PublicKey) -> bytes:
    """A public key as SubjectPublicKeyInfo."""
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def make_key(key_id: str, algorithm: Algorithm, seal: Seal) -> MadeKey:
    """Make a key pair, sealed under its identifier."""
    made = arithmetic.generate(algorithm)
    return MadeKey(made.private.public_key(), Sealed(seal.close(made.pkcs8, key_context(key_id))))


def key_context(key_id: str) -> str:
    """Context under which a private key is sealed."""
    return f"key {key_id}"

"""Making private keys: they are born here, and only sealed ones leave."""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from card_os.piv.names import Algorithm
from cloud_keystore.custody.backends import arithmetic
from cloud_keystore.custody.sealing.seal import Seal

PublicKey = (
    rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | x25519.X25519PublicKey
)


@dataclass(frozen=True, slots=True)
class MadeKey:
    """The public part for a certificate, the private part for the database."""

    public: PublicKey
    sealed_private: bytes = field(repr=False)
    backend: str = "software"  # where the private part is
    handle: bytes | None = None  # by which the backend finds it; None: it is in sealed_private

    @property
    def public_der(self) -> bytes:
        """SubjectPublicKeyInfo."""
        return self.public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def make_key(key_id: str, algorithm: Algorithm, seal: Seal) -> MadeKey:
    """Make a key pair, sealed under its identifier."""
    made = arithmetic.generate(algorithm)
    return MadeKey(made.private.public_key(), seal.close(made.pkcs8, key_context(key_id)))


def key_context(key_id: str) -> str:
    """Context under which a private key is sealed."""
    return f"key {key_id}"

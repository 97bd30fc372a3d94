"""The table of backends. Each key says where its private part is, and the backend uses it there.

Keys are made in their backend; only public parts and sealed private parts leave it. A backend that
has the holder's phone use the key would be one more row here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, assert_never

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from card_os.piv.names import Algorithm
from card_os.uses import KeyUse
from cloud_keystore.model.cards import PKCS11, SOFTWARE, Destroyed, HeldKey, OnToken, Sealed
from cloud_keystore.model.errors import KeyBackendUnavailable, KeyNotFound

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


class Backend(Protocol):
    """Makes, uses and destroys private keys."""

    def make(self, key_id: str, algorithm: Algorithm) -> MadeKey:
        """Make a key pair. Raises InvalidInput if the backend does not support the algorithm."""

    def use(self, key: HeldKey, key_use: KeyUse, inputs: Sequence[bytes]) -> list[bytes]:
        """Use a key once on each input, which `padding.check` has accepted; the results are those
        of `private_keys.using.use`.

        Raises MalformedKeyInput, SealBroken, KeyBackendUnavailable.
        """

    def destroy(self, key: HeldKey) -> None:
        """Destroy the private key; does nothing if it is destroyed already."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The backends by name, and the one that makes new keys."""

    backends: Mapping[str, Backend]
    new: str = SOFTWARE

    def make(self, key_id: str, algorithm: Algorithm) -> MadeKey:
        """Make a key pair; raises what the backend raises."""
        return self._backend(self.new).make(key_id, algorithm)

    def use(self, key: HeldKey, key_use: KeyUse, inputs: Sequence[bytes]) -> list[bytes]:
        """Use a key in its backend; raises what that raises, or KeyNotFound if it is destroyed."""
        return self._of(key).use(key, key_use, inputs)

    def destroy(self, key: HeldKey) -> None:
        """Destroy a key that is in no row; raises what `use` raises."""
        self._of(key).destroy(key)

    def discard(self, made: MadeKey) -> None:
        """Destroy a key pair of a token that is in no row; raises what `use` raises. A software key
        is gone when nobody has it.
        """
        if isinstance(made.private, OnToken):
            self._backend(PKCS11).destroy(_nobodys(made.private))

    def _of(self, key: HeldKey) -> Backend:
        match key.private:
            case Sealed():
                return self._backend(SOFTWARE)
            case OnToken():
                return self._backend(PKCS11)
            case Destroyed():
                raise KeyNotFound("the key has been destroyed")
        assert_never(key.private)

    def _backend(self, name: str) -> Backend:
        found = self.backends.get(name)
        if found is None:
            raise KeyBackendUnavailable(
                f"the key is in the backend {name}, which is not configured: start the keystore "
                "with the options of that backend"
            )
        return found


def _nobodys(private: OnToken) -> HeldKey:
    """A key of which only the place matters."""
    return HeldKey("", "", 0, Algorithm.ECC_P256, b"", datetime.min, private=private)


def key_context(key_id: str) -> str:
    """Return the context under which a private key is sealed."""
    return f"key {key_id}"


def public_der(public: PublicKey) -> bytes:
    """Encode a public key as SubjectPublicKeyInfo, DER."""
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

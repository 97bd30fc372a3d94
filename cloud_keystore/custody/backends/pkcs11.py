"""The backend of keys in a PKCS #11 token: made there, used there, destroyed there.

The database has what finds a key, sealed: identifier in the token and hash of the public key. So no
row can be pointed at another key of the token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

import gmpy2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import load_der_public_key

from cloud_keystore.custody.backends.arithmetic import FIELD_HASH
from cloud_keystore.custody.backends.making import MadeKey, key_context, public_der
from cloud_keystore.custody.backends.pkcs11_pool import Pool
from cloud_keystore.custody.backends.pkcs11_worker import CURVES
from cloud_keystore.custody.sealing.seal import Seal, SealBroken
from cloud_keystore.model.algorithms import MODULUS_BYTES, Algorithm, KeyUse
from cloud_keystore.model.cards import Destroyed, HeldKey, OnToken, Sealed
from cloud_keystore.model.errors import InvalidInput, KeyNotFound, MalformedKeyInput

AT_ONCE = 16  # inputs of a batch in one request, so that it ends in its time and others have theirs


def realm(seal: Seal) -> str:
    """The label of a keystore's keys, so that several may share a token."""
    return f"cloudcard {seal.derive('realm', b'')[:8].hex()}"


@dataclass(frozen=True, slots=True)
class TokenKeys:
    """The keys of one token."""

    pool: Pool
    seal: Seal

    def make(self, key_id: str, algorithm: Algorithm) -> MadeKey:
        """Make a key pair in the token, not extractable; raises InvalidInput for an algorithm that
        is not of SP 800-78-5, KeyBackendUnavailable.
        """
        if algorithm not in MODULUS_BYTES and algorithm not in CURVES:
            raise InvalidInput(f"the token makes no keys of {algorithm.name}: use RSA or NIST's")
        handle = UUID(key_id).bytes
        der = self.pool.call("make", handle, algorithm, again=False)
        public = load_der_public_key(der if isinstance(der, bytes) else b"")
        if not isinstance(public, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
            raise TypeError("the token made a key of another kind")
        mark = self.seal.close(_mark(handle, public_der(public)), key_context(key_id))
        return MadeKey(public, OnToken(handle, mark))

    def use(self, key: HeldKey, key_use: KeyUse, inputs: Sequence[bytes]) -> list[bytes]:
        """Use a key in the token; what it signed is checked with the key's public part."""
        if not isinstance(key.private, OnToken):
            raise KeyNotFound("the key is not in the token")
        handle = key.private.handle
        mark = self.seal.open(key.private.mark, key_context(key.id))
        if mark != _mark(handle, key.public_key):
            raise SealBroken(
                f"key {key.id} is not the one that the database names: it was altered; restore it "
                "from a backup"
            )
        for data in inputs:
            _check_input(key, key_use, data)
        return [
            result
            for start in range(0, len(inputs), AT_ONCE)
            for result in self._use(key, handle, key_use, inputs[start : start + AT_ONCE])
        ]

    def _use(
        self, key: HeldKey, handle: bytes, key_use: KeyUse, inputs: Sequence[bytes]
    ) -> list[bytes]:
        results = self.pool.call("use", handle, key.algorithm, key_use, list(inputs))
        if not isinstance(results, list):
            raise TypeError("the token's process answers with something else")
        for data, result in zip(inputs, results, strict=True):
            _check(key, key_use, data, result)
        return results

    def destroy(self, key: HeldKey) -> None:
        """Destroy a key in the token; one that is gone already is no error."""
        match key.private:
            case OnToken(handle) | Destroyed(bytes(handle)):
                self.destroy_handle(handle)
            case Sealed() | Destroyed():
                pass

    def handles(self) -> list[bytes]:
        """Of all this keystore's keys in the token."""
        found = self.pool.call("handles")
        return found if isinstance(found, list) else []

    def destroy_handle(self, handle: bytes) -> None:
        """Destroy a key that no row knows."""
        self.pool.call("destroy", handle)


def _mark(handle: bytes, public_der: bytes) -> bytes:
    return b"pkcs11\0" + sha256(public_der).digest() + handle


def _check_input(key: HeldKey, key_use: KeyUse, data: bytes) -> None:
    """Raise MalformedKeyInput as `software` does; tokens have no common word for it."""
    public = load_der_public_key(key.public_key)
    match public, key_use:
        case rsa.RSAPublicKey(), _ if int.from_bytes(data) >= public.public_numbers().n:
            raise MalformedKeyInput("the block is a number beyond the key's modulus")
        case ec.EllipticCurvePublicKey(), KeyUse.AGREE:
            try:
                ec.EllipticCurvePublicKey.from_encoded_point(public.curve, data)
            except ValueError:
                raise MalformedKeyInput("the peer's point is not on the key's curve") from None


def _check(key: HeldKey, key_use: KeyUse, data: bytes, result: bytes) -> None:
    """Raise ArithmeticError unless the result is one of this very key; a secret agreed on shows
    nothing of it.
    """
    public = load_der_public_key(key.public_key)
    match public, key_use:
        case rsa.RSAPublicKey(), _:
            numbers = public.public_numbers()
            back = gmpy2.powmod(int.from_bytes(result), numbers.e, numbers.n)
            right = back == int.from_bytes(data)
        case ec.EllipticCurvePublicKey(), KeyUse.SIGN:
            field_hash = FIELD_HASH[public.curve.name]
            fitted = data[: field_hash.digest_size].rjust(field_hash.digest_size, b"\0")
            try:
                public.verify(result, fitted, ec.ECDSA(Prehashed(field_hash)))
                right = True
            except InvalidSignature:
                right = False
        case _:
            right = True
    if not right:
        raise ArithmeticError("a result of the token did not verify and was thrown away")

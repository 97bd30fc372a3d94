"""A software authenticator: one passkey in a folder; the holder always counts as verified.

It does for a software phone what a phone's platform does in hardware (WebAuthn level 3, 6).
"""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass, replace
from hashlib import sha256

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

# Flags of the authenticator data (6.1)
USER_PRESENT = 0x01
USER_VERIFIED = 0x04
BACKUP_ELIGIBLE = 0x08
BACKED_UP = 0x10
ATTESTED = 0x40

AAGUID = bytes(16)  # no particular model
CREDENTIAL_ID_BYTES = 32
ES256 = -7


@dataclass(frozen=True, slots=True)
class Created:
    """What navigator.credentials.create() returns (5.2.1)."""

    attestation_object: bytes
    client_data: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What navigator.credentials.get() returns (5.2.2)."""

    credential_id: bytes
    authenticator_data: bytes
    client_data: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class SoftwarePasskey:
    """One credential. `sign_count` is that of its last use; `get` also returns the next state."""

    private: ec.EllipticCurvePrivateKey
    credential_id: bytes
    rp_id: str
    origin: str
    user_handle: bytes
    sign_count: int = 0
    flags: int = USER_PRESENT | USER_VERIFIED

    def create(self, challenge: bytes) -> Created:
        """Register with attestation "none" (8.7)."""
        client_data = self._client_data("webauthn.create", challenge)
        length = len(self.credential_id).to_bytes(2)
        attested = AAGUID + length + self.credential_id + self.cose_key()
        data = self._authenticator_data(self.flags | ATTESTED, self.sign_count) + attested
        return Created(cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data}), client_data)

    def get(self, challenge: bytes) -> tuple[Answer, SoftwarePasskey]:
        """Sign a challenge. The counter of the returned passkey has grown by one."""
        used = replace(self, sign_count=self.sign_count + 1)
        client_data = self._client_data("webauthn.get", challenge)
        data = self._authenticator_data(self.flags, used.sign_count)
        signed = data + sha256(client_data).digest()
        signature = self.private.sign(signed, ec.ECDSA(SHA256()))
        return Answer(self.credential_id, data, client_data, signature), used

    def cose_key(self) -> bytes:
        """The public key (RFC 9053, 7.1.1)."""
        numbers = self.private.public_key().public_numbers()
        key = {1: 2, 3: ES256, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)}
        return cbor2.dumps(key)

    def __bytes__(self) -> bytes:
        """The JSON that a file keeps; `load` reads it."""
        pkcs8 = self.private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        kept = {
            "private": pkcs8.hex(),
            "credential_id": self.credential_id.hex(),
            "rp_id": self.rp_id,
            "origin": self.origin,
            "user_handle": self.user_handle.hex(),
            "sign_count": self.sign_count,
        }
        return json.dumps(kept, indent=2).encode() + b"\n"

    def _authenticator_data(self, flags: int, sign_count: int) -> bytes:
        return sha256(self.rp_id.encode()).digest() + bytes((flags,)) + sign_count.to_bytes(4)

    def _client_data(self, ceremony: str, challenge: bytes) -> bytes:
        written = base64.urlsafe_b64encode(challenge).decode().rstrip("=")
        facts = {
            "type": ceremony,
            "challenge": written,
            "origin": self.origin,
            "crossOrigin": False,
        }
        return json.dumps(facts, separators=(",", ":")).encode()


def new(rp_id: str, origin: str, user_handle: bytes) -> SoftwarePasskey:
    """Make a passkey for a relying party and one of its users."""
    return SoftwarePasskey(
        private=ec.generate_private_key(ec.SECP256R1()),
        credential_id=os.urandom(CREDENTIAL_ID_BYTES),
        rp_id=rp_id,
        origin=origin,
        user_handle=user_handle,
    )


def load(kept: bytes) -> SoftwarePasskey:
    """Read a passkey's file. Raises ValueError, KeyError or TypeError if it is damaged."""
    facts = json.loads(kept)
    private = load_der_private_key(bytes.fromhex(facts["private"]), None)
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise TypeError("its key is of another kind")
    return SoftwarePasskey(
        private,
        bytes.fromhex(facts["credential_id"]),
        facts["rp_id"],
        facts["origin"],
        bytes.fromhex(facts["user_handle"]),
        int(facts["sign_count"]),
    )

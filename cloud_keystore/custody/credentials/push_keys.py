"""The key by which push services know the keystore (VAPID, RFC 8292). It is made when the first
page asks for it, and kept sealed; browsers take rings from it alone.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import Connection

from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.custody.sealing.sealing_keys import secret_context
from cloud_keystore.storage.sealing import sealing_keys

NAME = "push key"
COORDINATE_BYTES = 32
TOKEN_TIME = timedelta(hours=12)  # a day at most (RFC 8292, 2)


@dataclass(frozen=True, slots=True)
class PushKey:
    """The key, and what it signs."""

    private: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def public(self) -> bytes:
        """The public key as browsers take it."""
        return point(self.private.public_key())

    def authorization(self, origin: str, subject: str, now: datetime) -> str:
        """The field by which a push service, of this origin, knows the keystore. `subject` is where
        its administrator is found, an address of https.
        """
        until = int((now + TOKEN_TIME).timestamp())
        claims = {"aud": origin, "exp": until, "sub": subject}
        signed = ".".join(map(_json, ({"typ": "JWT", "alg": "ES256"}, claims)))
        r, s = decode_dss_signature(self.private.sign(signed.encode(), ec.ECDSA(SHA256())))
        raw = r.to_bytes(COORDINATE_BYTES) + s.to_bytes(COORDINATE_BYTES)
        return f"vapid t={signed}.{_base64url(raw)}, k={_base64url(self.public)}"


def find_or_make(connection: Connection, seal: Seal) -> PushKey:
    """The key, which is made if there is none; raises SealBroken if the sealing key is wrong."""
    found = find(connection, seal)
    if found is not None:
        return found
    private = ec.generate_private_key(ec.SECP256R1())
    raw = private.private_numbers().private_value.to_bytes(COORDINATE_BYTES)
    sealing_keys.add_secret(connection, NAME, seal.close(raw, secret_context(NAME)))
    return PushKey(private)


def find(connection: Connection, seal: Seal) -> PushKey | None:
    """The key, if it was made; raises SealBroken."""
    sealed = sealing_keys.find_secret(connection, NAME)
    if sealed is None:
        return None
    scalar = int.from_bytes(seal.open(sealed, secret_context(NAME)))
    return PushKey(ec.derive_private_key(scalar, ec.SECP256R1()))


def point(public: ec.EllipticCurvePublicKey) -> bytes:
    """A public key as browsers have it, an uncompressed point."""
    return public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _json(value: object) -> str:
    return _base64url(json.dumps(value, separators=(",", ":")).encode())


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

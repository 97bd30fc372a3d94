"""A browser that is rung by its push service: it decrypts what is sent, and knows from whom it is,
by other code than the keystore's.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cloud_keystore.model.outbox.bells import Address

CURVE = ec.SECP256R1()
UNCOMPRESSED = (Encoding.X962, PublicFormat.UncompressedPoint)


def decoded(text: str) -> bytes:
    """base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class PushBrowser:
    """What a browser has made when a page subscribes."""

    secret: bytes = b"sixteen bytes..!"
    private: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(CURVE)
    )

    @property
    def public(self) -> bytes:
        return self.private.public_key().public_bytes(*UNCOMPRESSED)

    def address(self, endpoint: str) -> Address:
        """Where it is rung."""
        return Address(endpoint, self.public, self.secret)

    def read(self, body: bytes) -> bytes:
        """What a message says (RFC 8291, 3.4; RFC 8188, 2.1)."""
        salt, size, length = body[:16], int.from_bytes(body[16:20]), body[20]
        sender, record = body[21 : 21 + length], body[21 + length :]
        assert len(record) <= size
        public = ec.EllipticCurvePublicKey.from_encoded_point(CURVE, sender)
        shared = self.private.exchange(ec.ECDH(), public)
        info = b"WebPush: info\0" + self.public + sender
        secret = HKDF(SHA256(), 32, self.secret, info).derive(shared)
        key = HKDF(SHA256(), 16, salt, b"Content-Encoding: aes128gcm\0").derive(secret)
        nonce = HKDF(SHA256(), 12, salt, b"Content-Encoding: nonce\0").derive(secret)
        padded = AESGCM(key).decrypt(nonce, record, None).rstrip(b"\0")
        assert padded.endswith(b"\2")
        return padded[:-1]


def claims(authorization: str, key: bytes) -> dict[str, object]:
    """What the keystore says of itself, under the key from which the browser takes messages (RFC
    8292, 2 and 3).
    """
    scheme, _, rest = authorization.partition(" ")
    said = dict(each.strip().split("=", 1) for each in rest.split(","))
    assert (scheme, decoded(said["k"])) == ("vapid", key)
    signed, _, signature = said["t"].rpartition(".")
    raw = decoded(signature)
    public = ec.EllipticCurvePublicKey.from_encoded_point(CURVE, key)
    der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    public.verify(der, signed.encode(), ec.ECDSA(SHA256()))
    header, body = (json.loads(decoded(each)) for each in signed.split("."))
    assert header == {"typ": "JWT", "alg": "ES256"}
    found: dict[str, object] = body
    return found

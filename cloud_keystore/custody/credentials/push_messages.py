"""What is sent to a browser by its push service, which cannot read it (RFC 8291 with RFC 8188)."""

from __future__ import annotations

from hmac import digest

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cloud_keystore.custody.credentials.push_keys import point
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.outbox.bells import Address

SALT_BYTES = 16
RECORD_BYTES = 4096  # the only record is shorter
KEY_BYTES, NONCE_BYTES = 16, 12
LAST = b"\x02"  # of the only record (RFC 8188, 2)
KEY_INFO, NONCE_INFO = b"Content-Encoding: aes128gcm\0", b"Content-Encoding: nonce\0"


def encrypted(content: bytes, to: Address, own: ec.EllipticCurvePrivateKey, salt: bytes) -> bytes:
    """Content for one browser, under a key and a salt that are used once. Raises InvalidInput for a
    browser's key that is none.
    """
    sender, browser = point(own.public_key()), browser_key(to.public_key)
    shared = own.exchange(ec.ECDH(), browser)
    info = b"WebPush: info\0" + to.public_key + sender
    secret = _hkdf(to.secret, shared, info, len(shared))
    key = _hkdf(salt, secret, KEY_INFO, KEY_BYTES)
    nonce = _hkdf(salt, secret, NONCE_INFO, NONCE_BYTES)
    header = salt + RECORD_BYTES.to_bytes(4) + len(sender).to_bytes(1) + sender
    return header + AESGCM(key).encrypt(nonce, content + LAST, None)


def browser_key(raw: bytes) -> ec.EllipticCurvePublicKey:
    """The public key of a browser. Raises InvalidInput for what is no point of the curve."""
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), raw)
    except ValueError:
        raise InvalidInput("this is not the key of a browser: open the page again") from None


def _hkdf(salt: bytes, secret: bytes, info: bytes, length: int) -> bytes:
    """HKDF of one block (RFC 5869)."""
    return digest(digest(salt, secret, "sha256"), info + b"\x01", "sha256")[:length]

"""Envelopes. Each value is encrypted under its own data key, which a key-encryption key wraps.

    magic CC 53 | version 01 | id of the key-encryption key (8)
    | nonce (12) | data key, wrapped (32 + 16) | nonce (12) | value, encrypted (n + 16)

Both are encrypted with AES-256-GCM. The data key is authenticated with header and context, the
value with magic, version and context: so a new key-encryption key replaces only the wrapped data
key.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cloud_keystore.model.clock import Random

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
ID_BYTES = 8
FORMAT = b"\xcc\x53\x01"  # values that were sealed before envelopes have a random nonce here
WRAPPED_BYTES = NONCE_BYTES + KEY_BYTES + TAG_BYTES
HEADER_BYTES = len(FORMAT) + ID_BYTES


class WillNotOpen(Exception):
    """The key or the context is another one, or a byte was altered."""


@dataclass(frozen=True, slots=True)
class KeyEncryptionKey:
    """Wraps data keys. Its identifier reveals nothing about it."""

    id: bytes
    _aead: AESGCM = field(repr=False)

    @classmethod
    def of(cls, key: bytes) -> KeyEncryptionKey:
        """Derive the key and its identifier from 32 secret bytes, which are not themselves used to
        encrypt.
        """
        derived = HKDF(SHA256(), ID_BYTES + KEY_BYTES, None, b"cloudcard key-encryption key 1")
        both = derived.derive(key)
        return cls(both[:ID_BYTES], AESGCM(both[ID_BYTES:]))

    def wrap(self, data_key: bytes, context: bytes, random: Random) -> bytes:
        """Return header and wrapped data key."""
        header, nonce = FORMAT + self.id, random(NONCE_BYTES)
        return header + nonce + self._aead.encrypt(nonce, data_key, header + context)

    def unwrap(self, sealed: bytes, context: bytes) -> bytes:
        """Return the data key of an envelope; raises WillNotOpen."""
        header = sealed[:HEADER_BYTES]
        wrapped = sealed[HEADER_BYTES : HEADER_BYTES + WRAPPED_BYTES]
        return _decrypt(self._aead, wrapped, header + context)


def key_id(sealed: bytes) -> bytes | None:
    """Return the identifier of an envelope's key-encryption key; None if it is not an envelope."""
    if not sealed.startswith(FORMAT) or len(sealed) < HEADER_BYTES + WRAPPED_BYTES:
        return None
    return sealed[len(FORMAT) : HEADER_BYTES]


def close(value: bytes, context: str, key: KeyEncryptionKey, random: Random) -> bytes:
    """Seal a value under a new data key."""
    data_key, nonce, name = random(KEY_BYTES), random(NONCE_BYTES), context.encode()
    encrypted = AESGCM(data_key).encrypt(nonce, value, FORMAT + name)
    return key.wrap(data_key, name, random) + nonce + encrypted


def open_(sealed: bytes, context: str, key: KeyEncryptionKey) -> bytes:
    """Return the value of an envelope; raises WillNotOpen."""
    name = context.encode()
    data_key = key.unwrap(sealed, name)
    return _decrypt(AESGCM(data_key), sealed[HEADER_BYTES + WRAPPED_BYTES :], FORMAT + name)


def rewrap(
    sealed: bytes, context: str, old: KeyEncryptionKey, new: KeyEncryptionKey, random: Random
) -> bytes:
    """Wrap the data key of an envelope under another key-encryption key; raises WillNotOpen."""
    name = context.encode()
    data_key = old.unwrap(sealed, name)
    return new.wrap(data_key, name, random) + sealed[HEADER_BYTES + WRAPPED_BYTES :]


def _decrypt(aead: AESGCM, sealed: bytes, associated: bytes) -> bytes:
    try:
        return aead.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], associated)
    # ValueError: too short to hold a nonce
    except (InvalidTag, ValueError):
        raise WillNotOpen from None

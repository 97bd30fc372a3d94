"""Envelopes. Each value is encrypted under its own data key, which a key-encryption key wraps.

    magic CC 53 | version 02 | id of the key-encryption key (8)
    | nonce (12) | data key, wrapped (32 + 16) | nonce (12) | value, encrypted (n + 16)

Both are encrypted with AES-256-GCM-SIV (RFC 8452), so that nonces which repeat, by chance or
because the machine was copied while it ran, reveal no more than that two values are equal. The data
key is authenticated with header and context, the value with magic, version and context: so a new
key-encryption key replaces only the wrapped data key.

Envelopes of version 01 are encrypted with AES-256-GCM. They still open; none is made any more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESGCMSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cloud_keystore.model.clock import Random

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
ID_BYTES = 8
FORMAT = b"\xcc\x53\x02"  # values that were sealed before envelopes have a random nonce here
FORMAT_1 = b"\xcc\x53\x01"
WRAPPED_BYTES = NONCE_BYTES + KEY_BYTES + TAG_BYTES
HEADER_BYTES = len(FORMAT) + ID_BYTES


class Aead(Protocol):
    """Authenticated encryption under a key."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes, /) -> bytes: ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes, /) -> bytes: ...


CIPHERS: Mapping[bytes, Callable[[bytes], Aead]] = {FORMAT: AESGCMSIV, FORMAT_1: AESGCM}


class WillNotOpen(Exception):
    """The key or the context is another one, or a byte was altered."""


@dataclass(frozen=True, slots=True)
class KeyEncryptionKey:
    """Wraps data keys. Its identifier reveals nothing about it."""

    id: bytes
    _aeads: Mapping[bytes, Aead] = field(repr=False)  # by the format of the envelope

    @classmethod
    def of(cls, key: bytes) -> KeyEncryptionKey:
        """Derive the key and its identifier from 32 secret bytes, which are not themselves used to
        encrypt.
        """
        both = _derive(key, "1", ID_BYTES + KEY_BYTES)
        aeads: Mapping[bytes, Aead] = {
            FORMAT: AESGCMSIV(_derive(key, "2", KEY_BYTES)),
            FORMAT_1: AESGCM(both[ID_BYTES:]),
        }
        return cls(both[:ID_BYTES], aeads)

    def wrap(self, data_key: bytes, context: bytes, random: Random) -> bytes:
        """Return header and wrapped data key."""
        header, nonce = FORMAT + self.id, random(NONCE_BYTES)
        return header + nonce + self._aeads[FORMAT].encrypt(nonce, data_key, header + context)

    def unwrap(self, sealed: bytes, context: bytes) -> bytes:
        """Return the data key of an envelope; raises WillNotOpen."""
        header = sealed[:HEADER_BYTES]
        aead = self._aeads[_format(sealed)]
        wrapped = sealed[HEADER_BYTES : HEADER_BYTES + WRAPPED_BYTES]
        return _decrypt(aead, wrapped, header + context)


def key_id(sealed: bytes) -> bytes | None:
    """Return the identifier of an envelope's key-encryption key; None if it is not an envelope."""
    if not sealed.startswith(tuple(CIPHERS)) or len(sealed) < HEADER_BYTES + WRAPPED_BYTES:
        return None
    return sealed[len(FORMAT) : HEADER_BYTES]


def is_current(sealed: bytes) -> bool:
    """Whether an envelope has the version that is made now."""
    return sealed.startswith(FORMAT)


def close(value: bytes, context: str, key: KeyEncryptionKey, random: Random) -> bytes:
    """Seal a value under a new data key."""
    data_key, nonce, name = random(KEY_BYTES), random(NONCE_BYTES), context.encode()
    encrypted = AESGCMSIV(data_key).encrypt(nonce, value, FORMAT + name)
    return key.wrap(data_key, name, random) + nonce + encrypted


def open_(sealed: bytes, context: str, key: KeyEncryptionKey) -> bytes:
    """Return the value of an envelope; raises WillNotOpen."""
    name, version = context.encode(), _format(sealed)
    aead = CIPHERS[version](key.unwrap(sealed, name))
    return _decrypt(aead, sealed[HEADER_BYTES + WRAPPED_BYTES :], version + name)


def rewrap(
    sealed: bytes, context: str, old: KeyEncryptionKey, new: KeyEncryptionKey, random: Random
) -> bytes:
    """Wrap the data key of an envelope under another key-encryption key. A value of an older
    version is sealed anew. Raises WillNotOpen.
    """
    if not is_current(sealed):
        return close(open_(sealed, context, old), context, new, random)
    name = context.encode()
    data_key = old.unwrap(sealed, name)
    return new.wrap(data_key, name, random) + sealed[HEADER_BYTES + WRAPPED_BYTES :]


def _format(sealed: bytes) -> bytes:
    found = sealed[: len(FORMAT)]
    if found not in CIPHERS:
        raise WillNotOpen
    return found


def _derive(key: bytes, version: str, length: int) -> bytes:
    label = f"cloudcard key-encryption key {version}"
    return HKDF(SHA256(), length, None, label.encode()).derive(key)


def _decrypt(aead: Aead, sealed: bytes, associated: bytes) -> bytes:
    try:
        return aead.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], associated)
    # ValueError: too short to hold a nonce
    except (InvalidTag, ValueError):
        raise WillNotOpen from None

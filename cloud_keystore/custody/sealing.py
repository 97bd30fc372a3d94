"""Sealing at rest: AES-256-GCM under a key that is kept apart from the database."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from cloud_keystore.model.clock import Random
from cloud_keystore.model.errors import KeystoreError

KEY_BYTES = 32
NONCE_BYTES = 12


class SealBroken(KeystoreError):
    """A sealed value does not open: another sealing key, or the database was altered."""


class SealingKeyError(KeystoreError):
    """The sealing key's file cannot be used; says why and what to do."""


class Seal:
    """Seals and opens values. The context (what a value belongs to) is authenticated with it."""

    def __init__(self, key: bytes, random: Random) -> None:
        self._key = key
        self._aead = AESGCM(key)
        self._random = random

    def close(self, value: bytes, context: str) -> bytes:
        """Return nonce and ciphertext of `value`."""
        nonce = self._random(NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, value, context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """Return the value; raise SealBroken if key, context or a byte is not the right one."""
        try:
            return self._aead.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context.encode())
        except (InvalidTag, ValueError):  # ValueError: too short to hold a nonce
            raise SealBroken(
                f"the sealed value of {context} does not open: the sealing key is not the one of "
                "this database, or the database was altered; restore both from the same backup"
            ) from None

    def derive(self, label: str, data: bytes) -> bytes:
        """A 32-byte secret that depends on the sealing key, `label` and `data`, and reveals none of
        them.
        """
        mac = HMAC(self._key, SHA256())
        mac.update(label.encode() + b"\0" + data)
        return mac.finalize()


def load_or_make_key(path: Path, random: Random) -> bytes:
    """Read the sealing key, or make it where there is none; its file is readable by its owner
    alone.
    """
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        return _make_key(path, random)
    except OSError as error:
        raise SealingKeyError(f"cannot read the sealing key {path}: {error.strerror}") from None
    if len(key) != KEY_BYTES:
        raise SealingKeyError(f"{path} is not a sealing key: restore it from the backup")
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise SealingKeyError(f"others may read the sealing key: run chmod 600 {path}")
    return key


def _make_key(path: Path, random: Random) -> bytes:
    key = random(KEY_BYTES)
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(descriptor)
    draft.rename(path)
    return key

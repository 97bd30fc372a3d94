"""Seals and opens values, under keys that are kept apart from the database."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from cloud_keystore.custody.sealing import envelope
from cloud_keystore.custody.sealing.envelope import (
    KEY_BYTES,
    NONCE_BYTES,
    KeyEncryptionKey,
    WillNotOpen,
)
from cloud_keystore.model.clock import Random
from cloud_keystore.model.errors import (
    KeyBackendUnavailable,
    KeystoreError,
    RecordDamaged,
    SealingKeyMissing,
)
from private_files import rules, writing
from private_files.rules import FileRefused

LARGEST_SECRET = 64 * 1024  # bytes


class SealBroken(RecordDamaged):
    """A sealed value does not open: the sealing key is another one, or the database was altered."""


class SealingKeyError(KeystoreError):
    """A sealing key cannot be used; the text says why, and what to do."""


class Seal:
    """Seals and opens values. The context, which says what a value belongs to, is authenticated.

    Values are sealed under the first key-encryption key and can be opened with any of them. Secrets
    are derived from `root`, which stays the same when these keys change.
    """

    def __init__(
        self,
        root: bytes,
        random: Random,
        keys: Sequence[KeyEncryptionKey] = (),
        bare: bytes | None = None,
    ) -> None:
        """Without `keys`, the root secret is the only key. `bare` opens values that were sealed
        before there were envelopes.
        """
        self._root = root
        self._random = random
        self._keys = {key.id: key for key in keys or (KeyEncryptionKey.of(root),)}
        self._bare = None if bare is None else AESGCM(bare)
        self._bare_id = None if bare is None else KeyEncryptionKey.of(bare).id

    @property
    def key_ids(self) -> tuple[bytes, ...]:
        """The identifiers of the key-encryption keys, the current one first."""
        return tuple(self._keys)

    def close(self, value: bytes, context: str) -> bytes:
        """Return the envelope of `value` under the current key; raises KeyBackendUnavailable if all
        keys are retired.
        """
        return envelope.close(value, context, self._current(), self._random)

    def open(self, sealed: bytes, context: str) -> bytes:
        """Return the value; raises SealBroken if the context is wrong or a byte was altered, and
        SealingKeyMissing if it is sealed under a key that is not here.
        """
        key = self._key(sealed)
        try:
            if key is not None:
                return envelope.open_(sealed, context, key)
            if self._bare is not None:
                nonce, rest = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
                return self._bare.decrypt(nonce, rest, context.encode())
        # ValueError: too short to hold a nonce
        except (WillNotOpen, InvalidTag, ValueError):
            pass
        missing = envelope.key_id(sealed)
        if key is None and missing is not None:
            raise SealingKeyMissing(
                f"a value needs the sealing key {missing.hex()}, which this service was not given: "
                "restart it with that key (`cloudcard keys list` shows the keys; if it is not "
                "among them, the database was altered)"
            )
        raise _broken(context)

    def renew(self, sealed: bytes, context: str) -> bytes:
        """Return the value sealed under the current key in an envelope of the current version;
        unchanged if it already is.

        Raises SealBroken, SealingKeyMissing, and KeyBackendUnavailable if all keys are retired.
        """
        key, current = self._key(sealed), self._current()
        if key is current and envelope.is_current(sealed):
            return sealed
        if key is None:
            return self.close(self.open(sealed, context), context)
        try:
            return envelope.rewrap(sealed, context, key, current, self._random)
        except WillNotOpen:
            raise _broken(context) from None

    def derive(self, label: str, data: bytes) -> bytes:
        """Derive 32 secret bytes from the root secret, `label` and `data`; they reveal none of the
        three.
        """
        mac = HMAC(self._root, SHA256())
        mac.update(label.encode() + b"\0" + data)
        return mac.finalize()

    @property
    def row_key(self) -> bytes:
        """The key that authenticates the rows of the database."""
        return self.derive("rows 1", b"")

    def forget(self, retired: Collection[bytes]) -> bool:
        """Stop using the keys with these identifiers; the next one left becomes the current key.
        Returns whether there was one of them.
        """
        kept = {key_id: key for key_id, key in self._keys.items() if key_id not in retired}
        if len(kept) == len(self._keys):
            return False
        self._keys = kept
        if self._bare_id in retired:
            self._bare = None
        return True

    def _current(self) -> KeyEncryptionKey:
        for key in self._keys.values():
            return key
        raise KeyBackendUnavailable(
            "this keystore's sealing keys are all retired: restart it with the one in use"
        )

    def _key(self, sealed: bytes) -> KeyEncryptionKey | None:
        return self._keys.get(envelope.key_id(sealed) or b"")


def _broken(context: str) -> SealBroken:
    return SealBroken(
        f"the sealed value of {context} does not open: the sealing key is not the one of "
        "this database, or the database was altered; restore both from the same backup"
    )


def load_or_make_key(path: Path, random: Random) -> bytes:
    """Read the sealing key, or make it if there is none. Only its owner can read the file."""
    if not path.exists():
        return make_key_file(path, random)
    return load_key(path)


def load_key(path: Path) -> bytes:
    """Read a sealing key from its file; raises SealingKeyError if it cannot be used."""
    key = read_secret(path)
    if len(key) != KEY_BYTES:
        raise SealingKeyError(f"{path} is not a sealing key: restore it from the backup")
    return key


def read_secret(path: Path) -> bytes:
    """Read a secret from its file; raises SealingKeyError if anybody but its owner may read it, or
    if the owner is somebody else. A link stays a link; its target is read.
    """
    try:
        secret = rules.read(path.resolve(), LARGEST_SECRET)
    except FileRefused as refused:
        raise SealingKeyError(str(refused)) from None
    except OSError as error:
        raise SealingKeyError(f"cannot read the secret {path}: {error.strerror}") from None
    if secret is None:
        raise SealingKeyError(f"cannot read the secret {path}: {os.strerror(errno.ENOENT)}")
    return secret


def make_key_file(path: Path, random: Random) -> bytes:
    """Make a sealing key and write it to a new file, durably; raises OSError, and FileExistsError
    if there is something already.
    """
    key = random(KEY_BYTES)
    writing.make(path, key)
    return key

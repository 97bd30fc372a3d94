"""A database with sealing keys and sealed values, as the tests of sealing need it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import insert, select

from cloud_keystore.custody.sealing.seal import Seal, make_key_file
from cloud_keystore.custody.sealing.sealing_keys import Source, open_seal
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.engine import Database

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
NAMES = [f"authority {number}" for number in range(7)]


def source(folder: Path, name: str) -> Source:
    """A key file, made where there is none."""
    path = folder / name
    if not path.exists():
        make_key_file(path, os.urandom)
    return Source("file", str(path))


def opened(database: Database, *sources: Source) -> Seal:
    """The seal of a database."""
    return open_seal(database, sources, NOW, os.urandom)


def fill(database: Database, seal: Seal, names: Sequence[str] = NAMES) -> None:
    """Add values under these names."""
    with database.write() as connection:
        for name in names:
            sealed = seal.close(name.encode(), f"authority {name}")
            values = {"name": name, "certificate": b"", "sealed_private": sealed}
            connection.execute(insert(t.authority).values(values))


def values(database: Database, seal: Seal) -> list[bytes]:
    """What the authorities' values hold."""
    with database.read() as connection:
        rows = connection.execute(select(t.authority).order_by(t.authority.c.name)).all()
    return [seal.open(row.sealed_private, f"authority {row.name}") for row in rows]


def told(database: Database) -> list[str]:
    """The kinds of the journal's entries."""
    with database.read() as connection:
        return list(connection.execute(select(t.journal.c.kind).order_by(t.journal.c.id)).scalars())


def bare(database: Database, key: bytes, name: str = "transport") -> None:
    """Add a value as it was sealed before envelopes."""
    nonce = b"\0" + os.urandom(11)  # envelopes begin otherwise
    sealed = nonce + AESGCM(key).encrypt(nonce, b"value", f"authority {name}".encode())
    with database.write() as connection:
        row = {"name": name, "certificate": b"", "sealed_private": sealed}
        connection.execute(insert(t.authority).values(row))


def version_1(key: bytes, value: bytes, context: str) -> bytes:
    """An envelope of version 1, as it was made before AES-GCM-SIV."""
    derived = HKDF(SHA256(), 8 + 32, None, b"cloudcard key-encryption key 1").derive(key)
    magic, name = b"\xcc\x53\x01", context.encode()
    header, data_key, nonce, other = magic + derived[:8], os.urandom(32), bytes(12), bytes(12)
    wrapped = AESGCM(derived[8:]).encrypt(nonce, data_key, header + name)
    return header + nonce + wrapped + other + AESGCM(data_key).encrypt(other, value, magic + name)

"""The key that signs the journal's checkpoints. It is made at the first start and kept sealed."""

from __future__ import annotations

from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloud_keystore.audit.sequencing import Log
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.custody.sealing.sealing_keys import secret_context
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.sealing import sealing_keys

NAME = "journal key"


def load_or_make(database: Database, seal: Seal) -> Log:
    """Read the key, or make it if there is none; raises SealBroken if the sealing key is wrong."""
    with database.write() as connection:
        sealed = sealing_keys.find_secret(connection, NAME)
        if sealed is None:
            private = Ed25519PrivateKey.generate()
            raw = private.private_bytes_raw()
            sealing_keys.add_secret(connection, NAME, seal.close(raw, secret_context(NAME)))
        else:
            raw = seal.open(sealed, secret_context(NAME))
            private = Ed25519PrivateKey.from_private_bytes(raw)
    public = private.public_key().public_bytes_raw()
    return Log(origin(public), public, private.sign)


def origin(public_key: bytes) -> str:
    """Return the journal's name in checkpoints; it is derived from the public key."""
    return f"cloudcard/journal/{sha256(public_key).hexdigest()[:16]}"

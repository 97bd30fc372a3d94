"""Cosignatures of witnesses on checkpoints, in the format tlog-cosignature of C2SP (Ed25519): each
says that at a time the checkpoint was the largest that the witness had seen of this journal, and
begins with all that it had seen before.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from hmac import compare_digest

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from cloud_keystore.audit import notes
from cloud_keystore.model.errors import InvalidInput

COSIGNATURE = b"\x04"  # algorithm of a witness's key (tlog-cosignature, "Format")
KEY_BYTES = 32
TIME_BYTES = 8
HEADER = "cosignature/v1"


@dataclass(frozen=True, slots=True)
class Witness:
    """Somebody who cosigns checkpoints."""

    name: str
    public_key: bytes  # Ed25519, raw

    @property
    def key_id(self) -> bytes:
        """The id by which a note names the witness's key."""
        said = self.name.encode() + b"\n" + COSIGNATURE + self.public_key
        return sha256(said).digest()[: notes.KEY_ID_BYTES]

    @property
    def verifier_key(self) -> str:
        """The witness as one text (signed-note, "Verifier keys")."""
        key = base64.b64encode(COSIGNATURE + self.public_key).decode()
        return f"{self.name}+{self.key_id.hex()}+{key}"

    @classmethod
    def parse(cls, verifier_key: str) -> Witness:
        """Read a witness's verifier key; raises InvalidInput for other texts."""
        name, _, rest = verifier_key.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        try:
            key = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != 1 + KEY_BYTES or key[:1] != COSIGNATURE:
            raise InvalidInput(f"{verifier_key!r} is not the key of a witness: NAME+ID+KEY")
        witness = cls(notes.check_origin(name), key[1:])
        if witness.key_id.hex() != key_id:
            raise InvalidInput(f"the parts of {verifier_key!r} do not belong together")
        return witness


def signed(text: str, seconds: int) -> bytes:
    """The bytes that a witness signs, for the text of a checkpoint and a time since 1970."""
    return f"{HEADER}\ntime {seconds}\n{text}".encode()


def cosigned(note: bytes, witness: Witness) -> datetime:
    """When a witness has cosigned a note; raises InvalidInput if it has not."""
    text = note.decode(errors="replace").partition("\n\n")[0] + "\n"
    key = Ed25519PublicKey.from_public_bytes(witness.public_key)
    for name, blob in notes.signatures(note):
        key_id, said = blob[: notes.KEY_ID_BYTES], blob[notes.KEY_ID_BYTES :]
        if name != witness.name or not compare_digest(key_id, witness.key_id):
            continue
        seconds = int.from_bytes(said[:TIME_BYTES])
        try:
            key.verify(said[TIME_BYTES:], signed(text, seconds))
            return datetime.fromtimestamp(seconds, UTC)
        except (InvalidSignature, ValueError, OverflowError, OSError):
            break
    raise InvalidInput(f"the checkpoint is not cosigned by {witness.name}")

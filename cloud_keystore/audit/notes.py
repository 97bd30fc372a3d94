"""Checkpoints of the journal as signed notes, in the formats tlog-checkpoint and signed-note of
C2SP, which any tool for transparency logs can read.

    cloudcard.example/journal
    1234
    qINS1GRFhWHwdkUeqLEoP4yEMkTBBzxBkGwGQlVlVcs=

    — cloudcard.example/journal Yzs8…
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from cloud_keystore.model.errors import InvalidInput

ED25519 = b"\x01"  # algorithm of a signed note's key
KEY_ID_BYTES = 4
LONGEST_NOTE = 16384  # with cosignatures of witnesses, also by ML-DSA
ORIGIN = re.compile(r"[!-*,-~]{1,128}")  # no blanks, and no plus, which separates parts of a key
NOTE = re.compile(
    rf"(?P<origin>{ORIGIN.pattern})\n(?P<size>0|[1-9][0-9]{{0,17}})\n(?P<root>[A-Za-z0-9+/]{{43}}=)\n"
    "\n(?P<signatures>(\u2014 [!-~]+ [!-~]+\n)+)"
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log: its number of entries, and their root."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def check_origin(origin: str) -> str:
    """Return the name of a log; raises InvalidInput for one that a note cannot carry."""
    if not ORIGIN.fullmatch(origin):
        raise InvalidInput(f"{origin!r} cannot name a journal: use 1 to 128 visible characters")
    return origin


def key_id(origin: str, public_key: bytes) -> bytes:
    """The id by which a note names its key: the start of a hash (signed-note, "Signatures")."""
    return sha256(origin.encode() + b"\n" + ED25519 + public_key).digest()[:KEY_ID_BYTES]


def close(checkpoint: Checkpoint, public_key: bytes, sign: Callable[[bytes], bytes]) -> bytes:
    """The signed note of a checkpoint; `public_key` is the raw Ed25519 key of `sign`."""
    signature = sign(checkpoint.text.encode())
    blob = base64.b64encode(key_id(checkpoint.origin, public_key) + signature).decode()
    return f"{checkpoint.text}\n\u2014 {checkpoint.origin} {blob}\n".encode()


def open_(note: bytes, public_key: bytes) -> Checkpoint:
    """The checkpoint of a note that this key has signed; raises InvalidInput for other notes."""
    checkpoint, signed = _parse(note)
    wanted = key_id(checkpoint.origin, public_key)
    key = Ed25519PublicKey.from_public_bytes(public_key)
    for name, blob in signed:
        if name == checkpoint.origin and blob[:KEY_ID_BYTES] == wanted:
            try:
                key.verify(blob[KEY_ID_BYTES:], checkpoint.text.encode())
            except InvalidSignature:
                break
            return checkpoint
    raise InvalidInput("the checkpoint is not signed by the journal's key")


def signatures(note: bytes) -> list[tuple[str, bytes]]:
    """Who has signed a note, the log itself and witnesses, each with key hash and signature.
    Nothing is verified. Raises InvalidInput for what is no note.
    """
    return _parse(note)[1]


def _parse(note: bytes) -> tuple[Checkpoint, list[tuple[str, bytes]]]:
    found = NOTE.fullmatch(note.decode(errors="replace")) if len(note) <= LONGEST_NOTE else None
    if found is None:
        raise InvalidInput("this is no signed checkpoint of a journal")
    checkpoint = Checkpoint(found["origin"], int(found["size"]), base64.b64decode(found["root"]))
    # Several texts in Base64 decode to the same root; only one is the encoding.
    if not note.startswith(checkpoint.text.encode()):
        raise InvalidInput("this is no signed checkpoint of a journal")
    lines = (line.split(" ") for line in found["signatures"].splitlines())
    return checkpoint, [(name, _decode(blob)) for _, name, blob in lines]


def _decode(blob: str) -> bytes:
    """A signature; empty if this is not its text in Base64, of which each has one."""
    try:
        signature = base64.b64decode(blob, validate=True)
    except binascii.Error:
        return b""
    return signature if base64.b64encode(signature).decode() == blob else b""

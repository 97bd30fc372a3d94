"""The authority of cards in its folder, which stays."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from cloudcard_tools.simulate.cis2.places import Places
from cloudcard_tools.simulate.issuance.certifying import Authority, new_authority
from cloudcard_tools.simulate.issuance.service import AUTHORITY, LIST
from cloudcard_tools.simulate.server_keys import KeysUnusable
from private_files import rules, writing

PRIVATE, PUBLIC = "cards.key", "cards.pem"
MOST_BYTES = 16 * 1024


def load(folder: Path, at: Places, now: datetime) -> Authority:
    """The authority of a folder; made if it is missing. Raises KeysUnusable and OSError."""
    writing.make_folder(folder)
    if not (folder / PUBLIC).exists():
        key = ec.generate_private_key(ec.SECP256R1())
        encoded = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        writing.replace(folder / PRIVATE, encoded)
        writing.replace(folder / PUBLIC, new_authority(key, now).public_bytes(Encoding.PEM))
    content = rules.read(folder / PRIVATE, MOST_BYTES)
    loaded = load_pem_private_key(content, None) if content is not None else None
    if not isinstance(loaded, ec.EllipticCurvePrivateKey):
        raise KeysUnusable(f"{folder / PRIVATE} is missing: remove {folder / PUBLIC} too")
    certificate = x509.load_pem_x509_certificate((folder / PUBLIC).read_bytes())
    return Authority(loaded, certificate, at.at(LIST), at.at(AUTHORITY))

"""Attestation: a certificate that states that the keystore made a key, and how it may be used.

It has the form of Yubico's attestations, which tools can read, but the issuer is not Yubico.
"""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from card_os.piv.yubico.attestation import extensions
from cloud_keystore.model.cards import Card, Key
from cloud_keystore.pki import public_keys
from cloud_keystore.pki.building import begin, named
from cloud_keystore.pki.issuers import Authority


def attest(card: Card, key: Key, issuer: Authority, now: datetime) -> bytes:
    """Certify that the keystore made `key`; returns DER. Valid as long as its issuer."""
    start = now.replace(microsecond=0)
    subject = f"Attestation of key {key.key_ref:02X} of card {card.serial}"
    builder = begin(
        named(subject),
        public_keys.load(key.public_key),
        issuer,
        start,
        issuer.end - start,
    )
    said = extensions(card.serial, key.key_ref, key.pin_policy, key.touch_policy)
    for oid, value in said.items():
        told = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)
        builder = builder.add_extension(told, critical=False)
    return builder.sign(issuer.private, SHA256()).public_bytes(Encoding.DER)

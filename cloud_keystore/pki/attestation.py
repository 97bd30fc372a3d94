"""Attestation: a certificate that says that the keystore made a key, and how it may be used.

In the form of Yubico's, which tools know how to read, under an authority that is not Yubico's.
"""

from __future__ import annotations

from datetime import datetime

from asn1crypto import core
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from cloud_keystore.model.cards import Card, Key
from cloud_keystore.pki import public_keys
from cloud_keystore.pki.building import begin, named
from cloud_keystore.pki.issuers import Authority

SERIAL_NUMBER = x509.ObjectIdentifier("1.3.6.1.4.1.41482.3.7")  # of the card: INTEGER
POLICIES = x509.ObjectIdentifier("1.3.6.1.4.1.41482.3.8")  # of PIN and touch: a byte each


def attest(card: Card, key: Key, issuer: Authority, now: datetime) -> bytes:
    """Certify that `key` was made by the keystore; returns DER. Valid as long as its issuer."""
    start = now.replace(microsecond=0)
    subject = f"Attestation of key {key.key_ref:02X} of card {card.serial}"
    return (
        begin(
            named(subject),
            public_keys.load(key.public_key),
            issuer,
            start,
            issuer.certificate.not_valid_after_utc - start,
        )
        .add_extension(
            x509.UnrecognizedExtension(SERIAL_NUMBER, core.Integer(int(card.serial)).dump()),
            critical=False,
        )
        .add_extension(
            x509.UnrecognizedExtension(POLICIES, bytes((key.asks_for_pin, key.touch_policy or 1))),
            critical=False,
        )
        .sign(issuer.private, SHA256())
        .public_bytes(Encoding.DER)
    )

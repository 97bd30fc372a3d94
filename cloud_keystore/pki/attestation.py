"""Attestation: a certificate that states that the keystore made a key, and how it may be used.

It has the form of Yubico's attestations, which tools can read, but the issuer is not Yubico.
"""

from __future__ import annotations

from datetime import datetime

from asn1crypto import core
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from card_os.piv.oids import ATTESTED_POLICIES, ATTESTED_SERIAL_NUMBER
from card_os.uses import TouchPolicy
from cloud_keystore.model.cards import Card, Key
from cloud_keystore.pki import public_keys
from cloud_keystore.pki.building import begin, named
from cloud_keystore.pki.issuers import Authority


def attest(card: Card, key: Key, issuer: Authority, now: datetime) -> bytes:
    """Certify that the keystore made `key`; returns DER. Valid as long as its issuer."""
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
            x509.UnrecognizedExtension(
                x509.ObjectIdentifier(ATTESTED_SERIAL_NUMBER),
                core.Integer(int(card.serial)).dump(),
            ),
            critical=False,
        )
        .add_extension(
            x509.UnrecognizedExtension(
                x509.ObjectIdentifier(ATTESTED_POLICIES),
                bytes((key.asks_for_pin, key.touch_policy or TouchPolicy.NEVER)),
            ),
            critical=False,
        )
        .sign(issuer.private, SHA256())
        .public_bytes(Encoding.DER)
    )

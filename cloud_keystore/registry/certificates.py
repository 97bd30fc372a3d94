"""Certificates of cards' keys."""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cloud_keystore.model.cards import KeyTemplate
from cloud_keystore.registry.authorities import KEY_USAGE_BITS, Authority, begin

LONGEST_COMMON_NAME = 64  # ub-common-name (RFC 5280, appendix A.1), in bytes of UTF-8 to be safe


def issue(
    template: KeyTemplate,
    public_key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey,
    holder: str,
    serial: str,
    issuer: Authority,
    now: datetime,
    validity_days: int,
) -> bytes:
    """Certify a card's key; returns DER. A name too long for a certificate is cut between
    characters.
    """
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, _cut(holder)),
            x509.NameAttribute(NameOID.SERIAL_NUMBER, serial),
        ]
    )
    usage = {name: name in template.key_usage for name in KEY_USAGE_BITS}
    builder = begin(subject, public_key, issuer, now, timedelta(days=validity_days)).add_extension(
        x509.KeyUsage(**usage), critical=True
    )
    if template.client_authentication:
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
    return builder.sign(issuer.private, SHA256()).public_bytes(Encoding.DER)


def _cut(name: str) -> str:
    whole = name.encode()[:LONGEST_COMMON_NAME].decode(errors="ignore")
    return whole.rstrip()

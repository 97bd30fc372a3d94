"""A certificate of a server on this computer, which nobody has to trust for longer than a bench."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

HOST = "127.0.0.1"
LIFETIME = timedelta(days=1)


def own_certificate(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """Of the server, of each client, and of their authority."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench")])
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - LIFETIME)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(names, critical=False)
        .sign(key, SHA256())
    )

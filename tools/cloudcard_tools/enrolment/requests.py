"""Keys of identities, and requests for their certificates."""

from __future__ import annotations

import ssl
from collections.abc import Iterable

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


def fresh_key() -> tuple[bytes, bytes]:
    """A new key, PEM, and the request for a certificate of it, DER."""
    private = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    csr = builder.sign(private, SHA256()).public_bytes(Encoding.DER)
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), csr


def bundle(certificates: Iterable[bytes]) -> bytes:
    """Certificates, given in DER, as one file."""
    return "".join(map(ssl.DER_cert_to_PEM_cert, certificates)).encode()

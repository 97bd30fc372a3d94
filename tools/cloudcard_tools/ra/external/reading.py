"""Certificates in files, as authorities hand them out: PEM, DER or PKCS#7."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import pkcs7

from cloudcard_tools.shared.failures import Failure

LARGEST_FILE = 1 << 20
PEM, PEM_PKCS7 = b"-----BEGIN CERTIFICATE-----", b"-----BEGIN PKCS7-----"


def read(path: Path) -> list[x509.Certificate]:
    """The certificates of a file. Raises Failure if it holds none, and OSError."""
    with path.open("rb") as file:
        content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise Failure(
            f"{path} has more than {LARGEST_FILE >> 20} MiB: it is no file of certificates"
        )
    for known in _readers(content):
        try:
            if found := list(known(content)):
                return found
        except (ValueError, UnsupportedAlgorithm):
            continue
    raise Failure(f"{path} holds no certificate: give a file in PEM, DER or PKCS#7")


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether a certificate lets its subject issue others."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except (x509.ExtensionNotFound, ValueError):
        return False
    return found.value.ca


def _readers(content: bytes) -> Sequence[Callable[[bytes], Sequence[x509.Certificate]]]:
    if PEM_PKCS7 in content:
        return (pkcs7.load_pem_pkcs7_certificates,)
    if PEM in content:
        return (x509.load_pem_x509_certificates,)
    return (_one, pkcs7.load_der_pkcs7_certificates)


def _one(content: bytes) -> Sequence[x509.Certificate]:
    return [x509.load_der_x509_certificate(content)]

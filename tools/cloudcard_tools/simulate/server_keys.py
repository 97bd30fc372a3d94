"""The simulators' own authority, which stays, and what it issues to them at each start."""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cloud_keystore.pki.building import key_usage
from private_files import rules, writing

NAME = "cloudcard simulator, for development alone"
LIFE, SERVER_LIFE = timedelta(days=730), timedelta(days=30)
EARLY = timedelta(minutes=5)
MOST_BYTES = 16 * 1024
PRIVATE, PUBLIC = "authority.key", "authority.pem"


class KeysUnusable(Exception):
    """The folder's authority cannot be used; the text says what to do."""


def authority(folder: Path, host: str, now: datetime) -> Path:
    """The file with the authority's certificate, for clients; made if it is missing. It certifies
    this host alone. Raises KeysUnusable and OSError.
    """
    writing.make_folder(folder)
    private, public = folder / PRIVATE, folder / PUBLIC
    if not public.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(key, host, now)
        encoded = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        writing.replace(private, encoded)
        writing.replace(public, certificate.public_bytes(Encoding.PEM))
    certificate = x509.load_pem_x509_certificate(public.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    if _general_name(host, network=True) not in (names.permitted_subtrees or ()):
        raise KeysUnusable(f"{public} is for another host: name another --data, or remove it")
    if now >= certificate.not_valid_after_utc:
        raise KeysUnusable(f"{public} has ended: remove it, and trust the next one")
    return public


def server(folder: Path, host: str, now: datetime) -> ssl.SSLContext:
    """How the host's server proves itself, with a new key. Raises KeysUnusable and OSError."""
    content = rules.read(folder / PRIVATE, MOST_BYTES)
    loaded = load_pem_private_key(content, None) if content is not None else None
    if not isinstance(loaded, ec.EllipticCurvePrivateKey):
        raise KeysUnusable(f"{folder / PRIVATE} is missing: remove {folder / PUBLIC} too")
    issuer = x509.load_pem_x509_certificate((folder / PUBLIC).read_bytes())
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _begin(key.public_key(), issuer.subject, host, now, SERVER_LIFE)
        .add_extension(x509.SubjectAlternativeName([_general_name(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(key_usage(frozenset({"digital_signature"})), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(loaded.public_key()), critical=False
        )
        .sign(loaded, SHA256())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # ssl reads files alone.
    with tempfile.TemporaryDirectory(dir=folder) as place:
        path = Path(place) / "server.pem"
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        writing.write_new(path, private + certificate.public_bytes(Encoding.PEM))
        context.load_cert_chain(path)
    return context


def asking_for_cards(
    context: ssl.SSLContext, authorities: Sequence[x509.Certificate]
) -> ssl.SSLContext:
    """The same server, where it asks for a card's certificate each time."""
    context.verify_mode = ssl.CERT_OPTIONAL  # without one, a page says so
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    for each in authorities:
        context.load_verify_locations(cadata=each.public_bytes(Encoding.DER))
    return context


def _certificate(key: ec.EllipticCurvePrivateKey, host: str, now: datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    permitted = [_general_name(host, network=True)]
    return (
        _begin(key.public_key(), name, NAME, now, LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
        .add_extension(key_usage(frozenset({"key_cert_sign"})), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, SHA256())
    )


def _begin(
    key: ec.EllipticCurvePublicKey, issuer: x509.Name, name: str, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLY)
        .not_valid_after(now + life)
    )


def _general_name(host: str, *, network: bool = False) -> x509.GeneralName:
    try:
        address = ip_address(host)
    except ValueError:
        return x509.DNSName(host)
    if not network:
        return x509.IPAddress(address)
    return x509.IPAddress(ip_network(f"{address}/{address.max_prefixlen}"))

"""What listens where a keystore should be, with certificates of all kinds; and who calls it."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

Serve: TypeAlias = Callable[[socket.socket], object]

DAY = timedelta(days=1)
NOW = datetime.now(UTC)


class Issuer:
    """An authority, and the certificates by it."""

    def __init__(self, name: str = "authority") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self.issue(self.key.public_key(), authority=True)

    def issue(
        self,
        public: ec.EllipticCurvePublicKey,
        begin: datetime = NOW - DAY,
        end: datetime = NOW + DAY,
        host: str = "127.0.0.1",
        *,
        authority: bool = False,
    ) -> x509.Certificate:
        """A certificate for a key, and for a numeric address."""
        subject = self.name if authority else x509.Name([])
        return (
            x509.CertificateBuilder()
            .issuer_name(self.name)
            .subject_name(subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))]), critical=False
            )
            .sign(self.key, SHA256())
        )


def pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key as the file of an identity."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


AUTHORITY, KEY = Issuer(), ec.generate_private_key(ec.SECP256R1())
REQUEST_KEY = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def enrolled(folder: Path, place: int | str, certificate: x509.Certificate | None = None) -> Path:
    """An identity that was enrolled at a keystore of the authority: an address, or a port of
    this computer.
    """
    address = place if isinstance(place, str) else f"127.0.0.1:{place}"
    own = certificate or AUTHORITY.issue(KEY.public_key())
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "key.pem").write_bytes(pem(KEY))
    (folder / "certificate.pem").write_bytes(own.public_bytes(Encoding.PEM))
    (folder / "ca.pem").write_bytes(AUTHORITY.certificate.public_bytes(Encoding.PEM))
    facts = {"role": "operator", "id": "1", "display_name": "Olga", "address": address}
    facts["request_key"] = REQUEST_KEY.hex()
    (folder / "identity.json").write_text(json.dumps(facts))
    for each in folder.iterdir():
        each.chmod(0o600)
    return folder


@contextmanager
def listening(serve: Serve) -> Iterator[int]:
    """A server that treats each connection in this way."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def run() -> None:
            with suppress(OSError):
                while True:
                    accepted, _ = server.accept()
                    with accepted, suppress(OSError):
                        serve(accepted)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
    thread.join()


def tls(
    folder: Path,
    certificate: x509.Certificate,
    *,
    protocol: str = "h2",
    clients: Issuer = AUTHORITY,
) -> Serve:
    """How a keystore with this certificate treats a connection."""
    folder.mkdir(exist_ok=True)
    (folder / "server.pem").write_bytes(certificate.public_bytes(Encoding.PEM) + pem(KEY))
    (folder / "clients.pem").write_bytes(clients.certificate.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    context.load_verify_locations(folder / "clients.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols([protocol])

    def serve(accepted: socket.socket) -> None:
        with context.wrap_socket(accepted, server_side=True) as session:
            session.send(b"settings")
            session.recv(1)

    return serve

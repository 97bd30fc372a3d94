"""An EST server over TLS (RFC 7030) with an authority of openssl's, which also makes its PKCS#7; it
answers as a test says.
"""

from __future__ import annotations

import base64
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from support.authority import Authority
from support.external_ca import ExternalCa

PATH = "/.well-known/est"
PKCS7 = "application/pkcs7-mime; smime-type=certs-only"
SPKI = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
USER, PASSWORD = "ra", "open sesame: 1"
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; None in place of one ends the connection."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


Answers: TypeAlias = "Callable[[EstServer, bytes], Reply | None]"


@dataclass
class EstServer:
    """A server. `answers` are those to what is asked for next; then it certifies everything."""

    ca: ExternalCa
    folder: Path
    tls: Authority = field(default_factory=Authority)
    answers: list[Answers] = field(default_factory=list)
    cacerts: list[bytes] = field(default_factory=list)  # DER; none: the authority's
    needs_password: bool = True
    asked: list[tuple[str, Mapping[str, str], bytes]] = field(default_factory=list)
    issued: list[bytes] = field(default_factory=list)
    clients: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def anchors(self) -> bytes:
        return self.tls.certificate.public_bytes(Encoding.PEM)

    def issue(self, csr: bytes, *more: str) -> bytes:
        """Certify a request, DER, and remember that."""
        made = self.ca.certify(csr, *more)
        self.issued.append(made)
        return made

    def _renews(self, csr: bytes) -> bool:
        """Whether a request has the names of a certificate that was issued (RFC 7030, 4.2.2)."""
        asked = names(x509.load_der_x509_csr(csr))
        held = (x509.load_der_x509_certificate(each) for each in self.issued)
        return any(names(each) == asked for each in held)

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> Reply | None:
        """What is answered to a request."""
        csr = base64.b64decode(body)
        self.asked.append((path, headers, csr))
        if path == f"{PATH}/cacerts":
            return certificates(self, *(self.cacerts or [self.ca.certificate]))
        if self.needs_password and headers.get("Authorization") != BASIC:
            return Reply(401, {"WWW-Authenticate": 'Basic realm="est"'})
        known = (f"{PATH}/simpleenroll", f"{PATH}/simplereenroll")
        if path not in known or headers["Content-Type"] != "application/pkcs10":
            return Reply(404)
        if path == f"{PATH}/simplereenroll" and not self._renews(csr):
            return Reply(400)
        if self.answers:
            return self.answers.pop(0)(self, csr)
        return certificates(self, self.issue(csr))


def names(of: x509.Certificate | x509.CertificateSigningRequest) -> tuple[bytes, bytes]:
    """The subject and the alternative names, as they are encoded."""
    others = (each for each in of.extensions if each.oid == x509.SubjectAlternativeName.oid)
    return of.subject.public_bytes(), b"".join(each.value.public_bytes() for each in others)


def certificates(server: EstServer, *ders: bytes) -> Reply:
    """PKCS#7 with certificates alone, made by openssl, in lines of base64."""
    return Reply(200, {"Content-Type": PKCS7}, base64.encodebytes(pkcs7(server.folder, *ders)))


def pkcs7(folder: Path, *ders: bytes) -> bytes:
    """What openssl makes of some certificates."""
    file = folder / "bag.pem"
    found = [x509.load_der_x509_certificate(each) for each in ders]
    file.write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in found))
    made = subprocess.run(
        ["openssl", "crl2pkcs7", "-nocrl", "-certfile", str(file), "-outform", "DER"],
        check=True,
        capture_output=True,
    )
    return made.stdout


@contextmanager
def serving(server: EstServer, clients: Path | None = None) -> Iterator[EstServer]:
    """Run a server; it demands certificates from authorities in a file, if one is named."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        def _answer(self, body: bytes) -> None:
            assert isinstance(self.connection, ssl.SSLSocket)
            peer = self.connection.getpeercert() or {}
            for name in peer.get("subject", ()):
                server.clients.append(str(name[0][1]))  # type: ignore[index]
            reply = server.answer(self.path, dict(self.headers), body)
            self.close_connection = True
            if reply is None:
                return
            self.send_response(reply.status)
            for each in reply.headers.items():
                self.send_header(*each)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.tls.write_server(server.folder))
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients)
    listening.socket = context.wrap_socket(listening.socket, server_side=True)
    listening.handle_error = lambda *_: None  # type: ignore[method-assign]
    server.port = listening.server_port
    thread = threading.Thread(target=listening.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()

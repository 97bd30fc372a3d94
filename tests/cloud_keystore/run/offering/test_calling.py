"""Who says whose a ticket is, as the settings name it."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cloud_keystore.custody.sealing.seal import SealingKeyError
from cloud_keystore.est.spine.checking import Checking
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.spine.terms import SpineTerms
from cloud_keystore.model.spine.tickets import SpineIdentity, Verdict
from cloud_keystore.run.offering.calling import source
from support.authority import Authority

KNOWN = {"ticket": {"uid": "555073168108", "name": "LOVELACE Ada"}}


def test_simulated_tickets_are_those_of_a_file(tmp_path: Path) -> None:
    """SPINE-01."""
    file = tmp_path / "tickets.json"
    file.write_text(json.dumps(KNOWN))
    found = Checking(source(SpineTerms(simulated=str(file))))
    answer = asyncio.run(found.check("ticket"))
    assert answer.identity == SpineIdentity("555073168108", "LOVELACE Ada")
    assert asyncio.run(found.check("another")).verdict is Verdict.REFUSED


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"ticket": {}}', '{"a\\nb": {"uid": "", "name": ""}}']
)
def test_a_file_that_has_no_tickets(tmp_path: Path, text: str) -> None:
    file = tmp_path / "tickets.json"
    file.write_text(text)
    with pytest.raises(InvalidInput, match="JSON object such as"):
        source(SpineTerms(simulated=str(file)))


def test_the_keystore_proves_itself_by_its_certificate(tmp_path: Path) -> None:
    """SPINE-01: mutual TLS, at a server that wants it. The key's file is its owner's alone."""
    authority = Authority()
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = authority.certify("keystore", key.public_key())
    own, private = tmp_path / "own.pem", tmp_path / "key.pem"
    own.write_bytes(certificate.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    private.chmod(0o600)
    trust = authority.write(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.write_server(tmp_path))
    context.load_verify_locations(trust)
    context.verify_mode = ssl.CERT_REQUIRED
    shown: list[bytes | None] = []

    def serve(listener: socket.socket) -> None:
        plain, _ = listener.accept()
        with suppress(OSError), context.wrap_socket(plain, server_side=True) as client:
            shown.append(client.getpeercert(binary_form=True))
            client.recv(4096)
            client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            client.recv(4096)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        url = f"https://localhost:{listener.getsockname()[1]}"
        terms = SpineTerms(url, str(trust), str(own), str(private))
        answer = asyncio.run(Checking(source(terms)).check("ticket"))
    assert answer.verdict is Verdict.REFUSED
    assert shown == [certificate.public_bytes(Encoding.DER)]
    private.chmod(0o644)
    with pytest.raises(SealingKeyError):
        source(terms)


def test_files_that_are_no_certificates(tmp_path: Path) -> None:
    nothing = tmp_path / "nothing.pem"
    nothing.touch(0o600)
    url = "https://broker.example.org"
    with pytest.raises(InvalidInput, match="no certificates to know the broker by"):
        source(SpineTerms(url, str(nothing)))
    with pytest.raises(InvalidInput, match="no certificate and its key"):
        source(SpineTerms(url, "", str(nothing), str(nothing)))

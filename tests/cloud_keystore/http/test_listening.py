"""The port: what a connection takes of memory."""

from __future__ import annotations

import asyncio
import socket
import ssl
import tracemalloc
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from cloud_keystore.config import Address
from cloud_keystore.http.listening import Listener
from cloud_keystore.http.places import TLS_BYTES, Places
from cloudcard_tools.bench.certificates import HOST, own_certificate

BODY = bytes(range(256)) * 400  # more than a connection holds at once
OPEN = 20


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    body = await Request(scope, receive).body()
    await Response(body)(scope, receive, send)


def contexts(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Of a server, and of its clients."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = own_certificate(key).public_bytes(Encoding.PEM)
    (folder / "own.pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "own.pem")
    return server, ssl.create_default_context(cadata=certificate.decode())


async def asked(port: int, trust: ssl.SSLContext) -> bytes:
    """The body that comes back."""
    reader, writer = await asyncio.open_connection(HOST, port, ssl=trust)
    head = f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
    writer.write(head + BODY)
    await reader.readuntil(b"\r\n\r\n")
    told = await reader.readexactly(len(BODY))
    writer.close()
    await writer.wait_closed()
    return told


def shaken(port: int, trust: ssl.SSLContext) -> ssl.SSLSocket:
    """A connection after its handshake, of which this end holds next to nothing."""
    plain = socket.create_connection((HOST, port), timeout=60)
    return trust.wrap_socket(plain, server_hostname=HOST)


async def held(port: int, trust: ssl.SSLContext) -> float:
    """By how many bytes the memory grows for each connection that is open."""
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    opened = [await asyncio.to_thread(shaken, port, trust) for _ in range(OPEN)]
    now, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    for each in opened:
        each.close()
    return (now - before) / OPEN


def test_a_connection_with_tls_holds_little_and_takes_much(tmp_path: Path) -> None:
    server, trust = contexts(tmp_path)

    async def run() -> None:
        listener = Listener(Address(HOST, 0), echo, server, Places(lambda _: object()))
        await listener.start()
        try:
            assert await asked(listener.port, trust) == BODY
            assert await held(listener.port, trust) < 4 * TLS_BYTES
        finally:
            await listener.close()

    asyncio.run(run())

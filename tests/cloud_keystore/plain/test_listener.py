"""Strangers at the port: those who are slow, send too much, or come in crowds."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path

import pytest

from cloud_keystore.config import Address
from cloud_keystore.plain import listener as listening
from cloud_keystore.plain.listener import LARGEST_BODY, MOST_OF_PLACE, Listener
from cloud_keystore.plain.messages import LARGEST_HEAD, Request, Response
from support.authority import Authority

Talk = Callable[[int], Awaitable[None]]
LARGE = bytes(3 << 20)


def echo(request: Request, place: Hashable) -> Response:
    if request.path == "/large":
        return Response(HTTPStatus.OK, LARGE)
    if request.path == "/broken":
        raise RuntimeError
    return Response(HTTPStatus.OK, f"{request.method} {place} ".encode() + request.body)


def serve(talk: Talk, tls: ssl.SSLContext | None = None) -> None:
    """Let a client talk with a port, which is open meanwhile."""

    async def run() -> None:
        port = Listener(Address("127.0.0.1", 0), echo, lambda host: host, tls)
        await port.start()
        try:
            await talk(port.port)
        finally:
            port.close()

    asyncio.run(run())


async def said(port: int, request: bytes) -> bytes:
    """All that comes back for some bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


def test_a_request_and_its_body() -> None:
    async def talk(port: int) -> None:
        sent = b"POST /ocsp HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"
        head, _, body = (await said(port, sent)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK")
        assert b"Connection: close" in head
        assert body == b"POST 127.0.0.1 abc"

    serve(talk)


def test_the_head_alone() -> None:
    async def talk(port: int) -> None:
        head, _, body = (await said(port, b"HEAD /x HTTP/1.1\r\n\r\n")).partition(b"\r\n\r\n")
        assert b"Content-Length: 15" in head
        assert body == b""

    serve(talk)


def test_a_large_answer_is_whole() -> None:
    async def talk(port: int) -> None:
        _, _, body = (await said(port, b"GET /large HTTP/1.1\r\n\r\n")).partition(b"\r\n\r\n")
        assert body == LARGE

    serve(talk)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (LARGEST_BODY + 1), b"413"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
        (b"GET / HTTP/1.1\r\nA: %s\r\n\r\n" % (b"a" * LARGEST_HEAD), b"431"),
        (b"GET / HTTP/1.1\r\nA: %s" % (b"a" * 2 * LARGEST_HEAD), b"431"),
    ],
)
def test_what_is_refused_before_it_is_answered(request_: bytes, status: bytes) -> None:
    async def talk(port: int) -> None:
        assert (await said(port, request_)).startswith(b"HTTP/1.1 " + status)

    serve(talk)


def test_who_is_slow_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "REQUEST_SECONDS", 0.2)

    async def talk(port: int) -> None:
        parts = (b"", b"GET / HT", b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabc")
        assert [await said(port, each) for each in parts] == [b""] * 3

    serve(talk)


def test_who_hangs_up_or_breaks_something_stops_nobody() -> None:
    async def talk(port: int) -> None:
        for _ in range(5):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /large HTTP/1.1\r\n\r\n")
            writer.transport.abort()
        assert await said(port, b"GET /broken HTTP/1.1\r\n\r\n") == b""
        assert (await said(port, b"GET / HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 200")

    serve(talk)


def test_a_crowd_from_one_place_is_cut_off() -> None:
    """And is served again once it has gone."""

    async def talk(port: int) -> None:
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MOST_OF_PLACE)]
        assert await said(port, b"GET / HTTP/1.1\r\n\r\n") == b""
        for _, writer in silent:
            writer.close()
        for reader, _ in silent:
            assert await reader.read() == b""
        answer = b""
        while not answer:
            answer = await said(port, b"GET / HTTP/1.1\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200")

    serve(talk)


def test_a_crowd_without_a_handshake_is_cut_off(tmp_path: Path) -> None:
    """Others are served meanwhile, and the crowd's place once it has gone."""
    authority = Authority()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(authority.write_server(tmp_path))
    trust = ssl.create_default_context(cafile=str(authority.write(tmp_path)))

    async def answered(port: int, host: str) -> bool:
        try:
            reader, writer = await asyncio.open_connection(
                "localhost", port, ssl=trust, local_addr=(host, 0)
            )
        except OSError:
            return False
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        told = await reader.read()
        writer.close()
        return told.startswith(b"HTTP/1.1 200")

    async def talk(port: int) -> None:
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MOST_OF_PLACE)]
        assert not await answered(port, "127.0.0.1")
        assert await answered(port, "127.0.0.2")
        for _, writer in silent:
            writer.close()
        while not await answered(port, "127.0.0.1"):
            pass

    serve(talk, server)


def test_who_takes_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The place was given back, and the connection stayed."""
    monkeypatch.setattr(listening, "SENDING_SECONDS", 0.2)

    async def talk(port: int) -> None:
        greedy = socket.socket()
        greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        greedy.setblocking(False)
        loop = asyncio.get_running_loop()
        with greedy:
            await loop.sock_connect(greedy, ("127.0.0.1", port))
            await loop.sock_sendall(greedy, b"GET /large HTTP/1.1\r\n\r\n")
            await asyncio.sleep(1)
            taken = 0
            with suppress(ConnectionResetError):
                while part := await loop.sock_recv(greedy, 1 << 20):
                    taken += len(part)
        assert taken < len(LARGE)

    serve(talk)

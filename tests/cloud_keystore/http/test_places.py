"""Crowds at a port: what connections hold before they say anything, and how they give it back."""

from __future__ import annotations

import asyncio
import ssl
from asyncio import constants
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from starlette.responses import Response

from cloud_keystore.config import Address
from cloud_keystore.http.listening import Listener
from cloud_keystore.http.places import HANDSHAKE_SECONDS, Places
from support.authority import Authority

HOST, ELSEWHERE, THIRD = "127.0.0.1", "127.0.0.2", "127.0.0.3"
MOST, MOST_OF_PLACE = 4, 3
PATIENCE = 60.0
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


class Counted(Places):
    """Places, and how often one was given back."""

    back = 0

    def give_back(self, place: Hashable) -> None:
        super().give_back(place)
        self.back += 1


class Silent:
    """Somebody who has connected and says nothing."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ends(self) -> None:
        """Wait until the port ends it."""
        with suppress(ConnectionError):
            while await self.reader.read(4096):
                pass
        await self.leave()

    async def leave(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


@dataclass
class Port:
    """A port that is open."""

    number: int
    places: Counted
    trust: ssl.SSLContext | None

    async def silent(self, host: str) -> Silent:
        return Silent(
            *await asyncio.open_connection("localhost", self.number, local_addr=(host, 0))
        )

    async def asked(self, host: str) -> bytes:
        """What is answered to a request that comes from an address."""
        reader, writer = await asyncio.open_connection(
            "localhost", self.number, ssl=self.trust, local_addr=(host, 0)
        )
        writer.write(REQUEST)
        told = await reader.read()
        writer.close()
        await writer.wait_closed()
        return told

    async def given_back(self, times: int) -> None:
        """Wait until places were given back so often, and not more often."""
        while self.places.back < times:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0)
        assert self.places.back == times

    async def crowd(self) -> list[Silent]:
        """As many silent ones of one address as there are places; nobody else of it gets in."""
        crowd = [await self.silent(HOST) for _ in range(MOST_OF_PLACE)]
        await (await self.silent(HOST)).ends()
        return crowd


Talk = Callable[[Port], Awaitable[None]]


@pytest.fixture(params=["tls", "plain"])
def contexts(
    request: pytest.FixtureRequest, tmp_path: Path
) -> tuple[ssl.SSLContext | None, ssl.SSLContext | None]:
    """Of a server and its clients."""
    return tls(tmp_path) if request.param == "tls" else (None, None)


def tls(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Of a server and its clients."""
    authority = Authority()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(authority.write_server(folder))
    return server, ssl.create_default_context(cafile=str(authority.write(folder)))


def serve(
    contexts: tuple[ssl.SSLContext | None, ssl.SSLContext | None],
    talk: Talk,
    seconds: int = HANDSHAKE_SECONDS,
) -> None:
    """Let clients talk with a port, which is open meanwhile."""

    async def run() -> None:
        server, trust = contexts
        places = Counted(str, MOST, MOST_OF_PLACE)
        listener = Listener(
            Address(HOST, 0), Response(b"here"), server, places, handshake_seconds=seconds
        )
        await listener.start()
        try:
            async with asyncio.timeout(PATIENCE):
                await talk(Port(listener.port, places, trust))
        finally:
            await listener.close()

    asyncio.run(run())


def test_silent_ones_of_one_address_shut_out_nobody_else(
    contexts: tuple[ssl.SSLContext | None, ssl.SSLContext | None],
) -> None:
    async def talk(port: Port) -> None:
        crowd = await port.crowd()
        assert (await port.asked(ELSEWHERE)).endswith(b"here")
        await port.given_back(1)
        for each in crowd:
            await each.leave()
        await port.given_back(1 + len(crowd))
        assert (await port.asked(HOST)).endswith(b"here")

    serve(contexts, talk, 3600)


def test_silent_ones_of_many_addresses_are_bounded(
    contexts: tuple[ssl.SSLContext | None, ssl.SSLContext | None],
) -> None:
    async def talk(port: Port) -> None:
        crowd = [*await port.crowd(), await port.silent(ELSEWHERE)]
        await (await port.silent(THIRD)).ends()
        for each in crowd:
            await each.leave()
        await port.given_back(MOST)

    serve(contexts, talk, 3600)


def test_what_is_no_handshake_gives_its_place_back(tmp_path: Path) -> None:
    async def talk(port: Port) -> None:
        crowd = await port.crowd()
        for each in crowd:
            each.writer.write(REQUEST)
            await each.ends()
        await port.given_back(MOST_OF_PLACE)
        for each in await port.crowd():
            await each.leave()
        await port.given_back(2 * MOST_OF_PLACE)

    serve(tls(tmp_path), talk, 3600)


def test_whoever_goes_in_the_handshake_gives_the_place_back(tmp_path: Path) -> None:
    async def talk(port: Port) -> None:
        for each in await port.crowd():
            each.writer.write(b"\x16\x03\x01")
            each.writer.transport.abort()
            await each.leave()
        await port.given_back(MOST_OF_PLACE)
        for each in await port.crowd():
            await each.leave()
        await port.given_back(2 * MOST_OF_PLACE)

    serve(tls(tmp_path), talk, 3600)


def test_a_handshake_that_does_not_come_gives_its_place_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "SSL_HANDSHAKE_TIMEOUT", 3600)

    async def talk(port: Port) -> None:
        for each in await port.crowd():
            await each.ends()
        await port.given_back(MOST_OF_PLACE)

    serve(tls(tmp_path), talk, 1)

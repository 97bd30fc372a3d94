"""Hears HTTP from anybody: each connection has one request, within some seconds."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from http import HTTPStatus

import structlog

from cloud_keystore.config import Address
from cloud_keystore.http.places import HANDSHAKE_SECONDS, MOST_CONNECTIONS, Places, in_tls
from cloud_keystore.plain.messages import (
    HEAD_END,
    LARGEST_HEAD,
    Refused,
    Request,
    Response,
    parse,
    refusal,
)

log = structlog.get_logger()

REQUEST_SECONDS = 10.0  # from the beginning of the connection until its request has been answered
SENDING_SECONDS = 60.0  # until the client has taken the answer
LARGEST_BODY = 4096
CHUNK = 1 << 16
MOST_OF_PLACE = 50  # connections of one place
THREADS = 2  # so that custody has no more than so many of these calls at a time


@dataclass(slots=True)
class Listener:
    """Serves one port of the event loop. `answer` can block, and gets a request and where it comes
    from; `place_of` says what counts as one place for an address.
    """

    address: Address
    answer: Callable[[Request, Hashable], Response]
    place_of: Callable[[str], Hashable]
    tls: ssl.SSLContext | None = None  # None: plain HTTP
    _server: asyncio.Server | None = field(default=None, init=False)
    _accepted: Places = field(init=False)
    # An answer can be under way whose connection is lost.
    _answered: Places = field(init=False)
    _threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(THREADS, "status"), init=False
    )

    def __post_init__(self) -> None:
        self._accepted = Places(self.place_of, MOST_CONNECTIONS, MOST_OF_PLACE)
        self._answered = Places(self.place_of, MOST_CONNECTIONS, MOST_OF_PLACE)

    async def start(self) -> None:
        """Open the port; raises OSError if that is not possible."""
        loop = asyncio.get_running_loop()

        def made() -> asyncio.BaseProtocol:
            reader = asyncio.StreamReader(limit=LARGEST_HEAD, loop=loop)
            inner = asyncio.StreamReaderProtocol(reader, self._serve, loop=loop)
            if self.tls is None:
                return inner
            return in_tls(inner, self.tls, HANDSHAKE_SECONDS, self._accepted)

        self._server = await loop.create_server(made, self.address.host, self.address.port)

    @property
    def port(self) -> int:
        """The port that was opened."""
        return 0 if self._server is None else int(self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Close the port."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Who has hung up already has no address any more.
        peer = writer.get_extra_info("peername")
        place = None if peer is None else self._answered.take(peer[0])
        try:
            # The client has hung up, or is too slow: its own affair.
            with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                if place is not None:
                    await self._talk(reader, writer, place)
        except Exception:
            log.exception("a request was not answered")
        finally:
            if place is not None:
                self._answered.give_back(place)
            # What is still open then: closed, it would wait for a client who takes nothing.
            writer.transport.abort()

    async def _talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, place: Hashable
    ) -> None:
        async with asyncio.timeout(REQUEST_SECONDS):
            response, with_body = await self._response(reader, place, _fingerprint(writer))
        async with asyncio.timeout(SENDING_SECONDS):
            writer.write(response.head(datetime.now(UTC)))
            # In parts, so that those who take it slowly do not each have a copy of the whole.
            for start in range(0, len(response.body) if with_body else 0, CHUNK):
                writer.write(response.body[start : start + CHUNK])
                await writer.drain()
            writer.close()
            await writer.wait_closed()

    async def _response(
        self, reader: asyncio.StreamReader, place: Hashable, certificate: bytes
    ) -> tuple[Response, bool]:
        """The response to the request that comes, and whether its body is sent."""
        try:
            request = parse(await reader.readuntil(HEAD_END))
            length = request.length(LARGEST_BODY)
            body = await reader.readexactly(length)
            request = replace(request, body=body, certificate=certificate)
        except asyncio.LimitOverrunError:
            return refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE), True
        except Refused as refused:
            return refusal(refused.status), True
        loop = asyncio.get_running_loop()
        response = await loop.run_in_executor(self._threads, self.answer, request, place)
        return response, request.method != "HEAD"


def _fingerprint(writer: asyncio.StreamWriter) -> bytes:
    """SHA-256 of the client's certificate, which TLS has checked; empty if there is none."""
    session = writer.get_extra_info("ssl_object")
    der = None if session is None else session.getpeercert(binary_form=True)
    return sha256(der).digest() if der else b""

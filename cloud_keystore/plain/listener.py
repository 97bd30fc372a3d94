"""Hears HTTP from anybody: each connection has one request, within some seconds."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from http import HTTPStatus

import structlog

from cloud_keystore.config import Address
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

HANDSHAKE_SECONDS = 5.0
REQUEST_SECONDS = 10.0  # from the beginning of the connection until its request has been answered
SENDING_SECONDS = 60.0  # until the client has taken the answer
LARGEST_BODY = 4096
CHUNK = 1 << 16
MOST_CONNECTIONS = 500
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
    _places: Counter[Hashable] = field(default_factory=Counter, init=False)
    _threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(THREADS, "status"), init=False
    )

    async def start(self) -> None:
        """Open the port; raises OSError if that is not possible."""
        self._server = await asyncio.start_server(
            self._serve,
            self.address.host,
            self.address.port,
            limit=LARGEST_HEAD,
            ssl=self.tls,
            ssl_handshake_timeout=None if self.tls is None else HANDSHAKE_SECONDS,
        )

    @property
    def port(self) -> int:
        """The port that was opened."""
        return 0 if self._server is None else int(self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Close the port."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            # The client has hung up, or is too slow: its own affair.
            with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                if (peer := writer.get_extra_info("peername")) is not None:
                    place = self.place_of(peer[0])
                    with self._held(place) as held:
                        if held:
                            await self._talk(reader, writer, place)
        except Exception:
            log.exception("a request was not answered")
        finally:
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

    @contextmanager
    def _held(self, place: Hashable) -> Iterator[bool]:
        """Hold a place for a connection; whether there was one."""
        free = self._places.total() < MOST_CONNECTIONS and self._places[place] < MOST_OF_PLACE
        self._places[place] += free
        try:
            yield free
        finally:
            self._places[place] -= free
            if not self._places[place]:
                del self._places[place]


def _fingerprint(writer: asyncio.StreamWriter) -> bytes:
    """SHA-256 of the client's certificate, which TLS has checked; empty if there is none."""
    session = writer.get_extra_info("ssl_object")
    der = None if session is None else session.getpeercert(binary_form=True)
    return sha256(der).digest() if der else b""

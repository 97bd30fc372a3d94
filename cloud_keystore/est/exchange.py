"""One request and its answer over HTTPS or HTTP, each on a connection of its own. All is bounded:
what is sent, and how long it takes; and nothing is followed, so whoever answers cannot send us
elsewhere.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import h11

LARGEST_HEAD = 16 * 1024
LARGEST_BODY = 256 * 1024
READ_BYTES = 16 * 1024


class NoAnswer(Exception):
    """The connection ends before there is an answer."""


class TooLarge(Exception):
    """An answer has more than is taken."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What was answered; the names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


async def ask(
    place: tuple[str, int],
    tls: ssl.SSLContext | None,
    target: str,
    headers: Sequence[tuple[str, str]],
    body: bytes | None,
    largest: int = LARGEST_BODY,
) -> Reply:
    """Ask by POST, or without a body by GET; of an answer, at most so many bytes are taken. Raises
    OSError, NoAnswer, TooLarge, and h11.ProtocolError for what is no HTTP.
    """
    host, port = place
    reader, writer = await asyncio.open_connection(
        host, port, ssl=tls, server_hostname=host if tls else None, limit=READ_BYTES
    )
    try:
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=LARGEST_HEAD)
        name = f"[{host}]" if ":" in host else host
        always = [("Host", f"{name}:{port}"), ("User-Agent", "cloudcard"), ("Connection", "close")]
        if body is not None:
            always.append(("Content-Length", str(len(body))))
        asked = h11.Request(
            method="GET" if body is None else "POST", target=target, headers=[*always, *headers]
        )
        said = [asked, *([] if body is None else [h11.Data(data=body)]), h11.EndOfMessage()]
        for each in said:
            writer.write(connection.send(each) or b"")
        await writer.drain()
        return await _reply(connection, reader, largest)
    finally:
        # Whoever is silent is not waited for.
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


async def _reply(connection: h11.Connection, reader: asyncio.StreamReader, largest: int) -> Reply:
    head: h11.Response | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            came = await reader.read(READ_BYTES)
            if not came and head is None:
                raise NoAnswer
            connection.receive_data(came)
        elif isinstance(event, h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > largest:
                raise TooLarge
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            named = {name.decode("ascii"): value.decode("latin-1") for name, value in head.headers}
            return Reply(head.status_code, named, bytes(body))
        elif isinstance(event, h11.ConnectionClosed):
            raise NoAnswer

"""Calls webhooks and push services: HTTPS to addresses that others have given, and therefore to
none within the keystore's own network, unless its administrator allows the host.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import h11

from cloud_keystore.mail.sending import Tried
from cloud_keystore.mail.webhooks.signing import Signed
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields import hosts
from cloud_keystore.model.outbox.notifications import Outcome
from cloud_keystore.model.outbox.webhooks import HTTPS, LONGEST_URL, place

CALL_SECONDS = 10.0  # for all of it
LARGEST_HEAD = 16 * 1024  # of an answer; nothing more of it is read
CHUNK = 4096
MOST_ADDRESSES = 2  # of a host that are tried
TAKEN = range(200, 300)
GONE = 410  # nothing is wanted there any more
NOT_REACHED = "the address is not reached"

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class NotAllowed(Exception):
    """A host is none of the internet."""


async def resolve(host: str, port: int) -> Sequence[str]:
    """The numeric addresses of a host; raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


@dataclass(frozen=True, slots=True)
class Calling:
    """Calls one address after another. `inside` are hosts that need not be of the internet."""

    inside: Collection[str]
    tls: ssl.SSLContext
    resolve: Resolve = resolve
    seconds: float = CALL_SECONDS
    longest: int = LONGEST_URL  # address

    async def call(self, signed: Signed) -> Tried:
        """Try to tell a webhook something."""
        fields = {
            "Content-Type": "application/json",
            "webhook-id": signed.delivery_id,
            "webhook-timestamp": str(signed.seconds),
            "webhook-signature": signed.signature,
        }
        answer = await self.post(signed.url, fields, signed.body)
        return answer if isinstance(answer, Tried) else _tried(answer)

    async def post(self, url: str, fields: Mapping[str, str], body: bytes) -> int | Tried:
        """Post something; the status of the answer, or why there is none."""
        try:
            async with asyncio.timeout(self.seconds):
                return await self._status(url, fields, body)
        except NotAllowed:
            return Tried(Outcome.LATER, "the address is none of the internet")
        except TimeoutError:
            return Tried(Outcome.LATER, "there was no answer in time")
        except h11.ProtocolError:
            return Tried(Outcome.LATER, "the answer was no HTTP")
        except (OSError, ValueError, InvalidInput) as error:
            return Tried(Outcome.LATER, f"{NOT_REACHED} ({type(error).__name__})")

    async def _status(self, url: str, fields: Mapping[str, str], body: bytes) -> int:
        host, port, target = place(url, self.longest)
        reader, writer = await self._connect(host, port)
        try:
            connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=LARGEST_HEAD)
            headers = [
                ("Host", host if port == HTTPS else f"{host}:{port}"),
                ("User-Agent", "cloudcard"),
                ("Content-Length", str(len(body))),
                ("Connection", "close"),
                *fields.items(),
            ]
            for event in (
                h11.Request(method="POST", target=target, headers=headers),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ):
                writer.write(connection.send(event) or b"")
            await writer.drain()
            return await _answer(connection, reader)
        finally:
            writer.transport.abort()

    async def _connect(
        self, host: str, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to an address that was looked at: the name is not resolved a second time, when it
        could stand for another one.
        """
        found = list(await self.resolve(host, port))[:MOST_ADDRESSES]
        if host not in self.inside and not all(map(_is_public, found)):
            raise NotAllowed
        failure: OSError = OSError("the name has no address")
        for each in found:
            try:
                return await asyncio.open_connection(
                    each, port, ssl=self.tls, server_hostname=host, limit=LARGEST_HEAD
                )
            except OSError as error:
                failure = error
        raise failure


def _is_public(address: str) -> bool:
    numeric = hosts.number(address)
    return numeric is not None and hosts.is_public(numeric)


async def _answer(connection: h11.Connection, reader: asyncio.StreamReader) -> int:
    """The status of the answer; nothing that follows it is read, and nobody is followed."""
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Response):
            return event.status_code
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(CHUNK))
        elif not isinstance(event, h11.InformationalResponse):
            raise h11.RemoteProtocolError("no answer")


def _tried(status: int) -> Tried:
    if status in TAKEN:
        return Tried(Outcome.TAKEN)
    return Tried(Outcome.REFUSED if status == GONE else Outcome.LATER, f"the answer was {status}")

"""Reads the whole body of a request within bounds, and sends responses within a time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from cloud_keystore.model.errors import MessageOverdue

LARGEST_BODY = 64 * 1024
BODY_SECONDS = 10.0  # within which a request that has begun has to bring its body
SENDING_SECONDS = 60.0  # until the client has taken a part of the response


class TooLarge(Exception):
    """The body of a request has more bytes than any has to have."""

    def __init__(self) -> None:
        super().__init__(f"a request has at most {LARGEST_BODY} bytes: send less")


@dataclass(slots=True)
class Answer:
    """Sends a response, with header fields that every one has. `kept` is those that the response
    can have otherwise.
    """

    out: Send
    fields: Mapping[str, str]
    kept: Mapping[str, str]
    status: int = 0
    begun: bool = False

    async def send(self, message: Message) -> None:
        """Send a part of the response."""
        if message["type"] == "http.response.start":
            self.begun, self.status = True, message["status"]
            fields = MutableHeaders(scope=message)
            for name, value in self.kept.items():
                fields.setdefault(name, value)
            for name, value in self.fields.items():
                fields[name] = value
        # Whoever takes nothing of it is not waited for.
        async with asyncio.timeout(SENDING_SECONDS):
            await self.out(message)


async def read(scope: Scope, receive: Receive) -> bytes:
    """The whole body; raises TooLarge, MessageOverdue."""
    told = Headers(scope=scope).get("content-length", "0")
    if told.isdecimal() and int(told[:10]) > LARGEST_BODY:
        raise TooLarge
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                body += message.get("body", b"")
                if len(body) > LARGEST_BODY:
                    raise TooLarge
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        raise MessageOverdue(
            "the body of the request did not come in time: send it again"
        ) from None


def replayed(body: bytes, receive: Receive) -> Receive:
    """What the application behind hears: the body that was read, and then whether the client is
    still there.
    """
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def hear() -> Message:
        return messages.pop() if messages else await receive()

    return hear

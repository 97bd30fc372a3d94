"""Posts short messages to an address that the administrator has configured, and to no other: to a
gateway of SMS, or into a chat. Each is JSON; those to a gateway are signed.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import digest
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from types import MappingProxyType
from urllib.parse import SplitResult, urlsplit

from cloud_keystore.config import ChatForm
from cloud_keystore.mail.letters import Letter
from cloud_keystore.mail.sending import Tried
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.outbox.notifications import Outcome

ANSWER_SECONDS = 20.0
NOW_AND_THEN = frozenset({408, 425, 429})  # that can be other another time, as 5xx are
TAKEN = range(200, 300)
REFUSED = range(400, 500)

Body = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Hook:
    """Where messages are posted. Neither the address nor the secret is ever shown: the address of a
    chat is a secret too.
    """

    url: str = field(repr=False)
    body: Callable[[Letter], Body]
    clock: Clock
    secret: bytes = field(default=b"", repr=False)
    tls: ssl.SSLContext | None = None
    answer_seconds: float = ANSWER_SECONDS

    async def send(self, letter: Letter) -> Tried:
        """Try to post a message."""
        return await asyncio.to_thread(self._post, letter)

    async def end_portion(self) -> None:
        """Nothing is shared: each message has its own connection."""

    def _post(self, letter: Letter) -> Tried:
        raw = json.dumps(self.body(letter), sort_keys=True).encode()
        to = urlsplit(self.url)
        connection = self._connection(to)
        try:
            path = to.path or "/"
            connection.request(
                "POST", f"{path}?{to.query}" if to.query else path, raw, self._headers(letter, raw)
            )
            status = connection.getresponse().status
        except (HTTPException, OSError, ValueError) as error:
            return Tried(Outcome.LATER, f"the address is not reached ({type(error).__name__})")
        finally:
            connection.close()
        return _tried(status)

    def _connection(self, to: SplitResult) -> HTTPConnection:
        # Nothing is followed: whoever answers cannot send us elsewhere.
        if to.scheme == "https":
            return HTTPSConnection(
                to.hostname or "", to.port, timeout=self.answer_seconds, context=self.tls
            )
        return HTTPConnection(to.hostname or "", to.port, timeout=self.answer_seconds)

    def _headers(self, letter: Letter, raw: bytes) -> dict[str, str]:
        """The headers; the signature is that of Standard Webhooks."""
        headers = {"Content-Type": "application/json", "User-Agent": "cloudcard"}
        if not self.secret:
            return headers
        seconds = int(self.clock().timestamp())
        signed = f"{letter.notification_id}.{seconds}.".encode() + raw
        signature = base64.b64encode(digest(self.secret, signed, sha256)).decode()
        return headers | {
            "webhook-id": letter.notification_id,
            "webhook-timestamp": str(seconds),
            "webhook-signature": f"v1,{signature}",
        }


@dataclass(frozen=True, slots=True)
class Sink:
    """Writes messages into a file, a line each, in place of a gateway: for development."""

    descriptor: int

    async def send(self, letter: Letter) -> Tried:
        """Write a message."""
        line = json.dumps(sms(letter), sort_keys=True) + "\n"
        os.write(self.descriptor, line.encode())
        return Tried(Outcome.TAKEN)

    async def end_portion(self) -> None:
        """Nothing is shared."""


def sms(letter: Letter) -> Body:
    """What a gateway of SMS gets."""
    return {"id": letter.notification_id, "to": letter.address, "text": letter.text}


def _slack(letter: Letter) -> Body:
    return {"text": letter.text}


def _teams(letter: Letter) -> Body:
    block = {"type": "TextBlock", "text": letter.text, "wrap": True}
    card = {"type": "AdaptiveCard", "version": "1.4", "body": [block]}
    attached = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return {"type": "message", "attachments": [attached]}


def _generic(letter: Letter) -> Body:
    return {"id": letter.notification_id, "text": letter.text}


CHATS: Mapping[ChatForm, Callable[[Letter], Body]] = MappingProxyType(
    {ChatForm.SLACK: _slack, ChatForm.TEAMS: _teams, ChatForm.GENERIC: _generic}
)


def _tried(status: int) -> Tried:
    if status in TAKEN:
        return Tried(Outcome.TAKEN)
    for_ever = status in REFUSED and status not in NOW_AND_THEN
    return Tried(Outcome.REFUSED if for_ever else Outcome.LATER, f"the answer was {status}")

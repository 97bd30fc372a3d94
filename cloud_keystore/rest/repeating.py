"""Requests with an Idempotency-Key: who repeats one gets the answer of the first time.

What is kept of an answer is encrypted under the client's token, so that nobody else reads it: there
are one-time tokens in some.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from hmac import digest
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud_keystore.http.problems import of_error
from cloud_keystore.model.errors import InvalidInput, KeystoreError
from cloud_keystore.model.people import Identity
from cloud_keystore.rest.calls import CALL, Call, current

NAME = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
FORM = re.compile(r"[!-~]{1,200}", re.ASCII)
LARGEST_ANSWER = 64 * 1024  # a larger one is not kept, so that its request is done anew
PURPOSE = b"cloudcard answer v1\0"
NONCE_BYTES = 12
KEPT_FIELDS = frozenset({"content-type", "etag", "retry-after"})
NOT_KEPT = frozenset({401, 408, 429})  # and all of the keystore's own


class Remembering(Protocol):
    """The use cases behind this."""

    def begin(self, key_sha256: bytes, request_mac: bytes, client: Identity) -> bytes | None: ...

    def settle(self, key_sha256: bytes, answer: bytes | None, client: Identity) -> None: ...


@dataclass(frozen=True, slots=True)
class Repeating:
    """An ASGI application in front of another one, behind the gate."""

    behind: ASGIApp
    repeats: Remembering

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or answer it as before."""
        given = Headers(scope=scope).getlist(NAME)
        if scope["method"] != "POST" or not given:
            await self.behind(scope, receive, send)
            return
        if len(given) > 1 or FORM.fullmatch(given[0]) is None:
            wrong = InvalidInput(f"{NAME} is 1 to 200 characters of ASCII without blanks, once")
            await of_error(wrong).response()(scope, receive, send)
            return
        call = replace(current(), repeat_key=given[0])
        CALL.set(call)
        body = (await receive())["body"]
        own = _Own.of(call, scope, body)
        try:
            known = await asyncio.to_thread(
                self.repeats.begin, own.key_sha256, own.request_mac, call.caller
            )
        except KeystoreError as error:
            await of_error(error).response()(scope, receive, send)
            return
        if known is not None:
            await _opened(known, own.secret)(scope, receive, send)
            return
        await self._first(scope, body, send, own, call)

    async def _first(self, scope: Scope, body: bytes, send: Send, own: _Own, call: Call) -> None:
        """Do what is asked, and keep the answer before it is sent."""
        held = _Held()

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        kept: bytes | None = None
        try:
            await self.behind(scope, receive, held.take)
            kept = held.sealed(own.secret)
        finally:
            # If this fails, a repeated request is under way for a while, and then done anew.
            with suppress(KeystoreError):
                await asyncio.to_thread(self.repeats.settle, own.key_sha256, kept, call.caller)
            for message in held.messages:
                await send(message)


@dataclass(frozen=True, slots=True)
class _Own:
    """What a client's token makes of a request."""

    key_sha256: bytes
    request_mac: bytes
    secret: bytes = field(repr=False)

    @classmethod
    def of(cls, call: Call, scope: Scope, body: bytes) -> _Own:
        key = call.repeat_key.encode()
        made = HKDF(SHA256(), 64, None, PURPOSE + key).derive(call.token.encode())
        said = json.dumps([scope["path"], scope["query_string"].decode("latin-1")]).encode()
        mac = digest(made[32:], said + b"\0" + body, "sha256")
        return cls(sha256(key).digest(), mac, made[:32])


@dataclass(slots=True)
class _Held:
    """A response that is not sent yet."""

    messages: list[Message] = field(default_factory=list)

    async def take(self, message: Message) -> None:
        self.messages.append(message)

    def sealed(self, secret: bytes) -> bytes | None:
        """What is kept of it; None if a repeated request is to be done anew."""
        begun, *parts = self.messages
        status: int = begun["status"]
        body = b"".join(part.get("body", b"") for part in parts)
        if status >= 500 or status in NOT_KEPT or len(body) > LARGEST_ANSWER:
            return None
        fields = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in begun["headers"]
            if name.decode("latin-1").lower() in KEPT_FIELDS
        }
        told = json.dumps([status, fields, body.decode("latin-1")]).encode()
        nonce = os.urandom(NONCE_BYTES)
        return nonce + AESGCM(secret).encrypt(nonce, told, PURPOSE)


def _opened(answer: bytes, secret: bytes) -> Response:
    """The response that was kept."""
    try:
        told = AESGCM(secret).decrypt(answer[:NONCE_BYTES], answer[NONCE_BYTES:], PURPOSE)
    except InvalidTag as error:
        return of_error(error).response()
    status, fields, body = json.loads(told)
    return Response(body.encode("latin-1"), status, {**fields, REPLAYED: "true"})

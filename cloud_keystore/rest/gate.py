"""The gate in front of an HTTP face for API clients: it reads each request within its bounds, finds
out who has sent it, and counts it, before the face behind sees anything of it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Collection, Hashable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeAlias

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud_keystore.border.presented import PRESENTED, Presented
from cloud_keystore.model.errors import IdentityRejected, MessageOverdue
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.model.rights.clients import token_sha256
from cloud_keystore.model.tracing import TRACE_ID
from cloud_keystore.observability.metrics import Metrics
from cloud_keystore.people.callers import Callers
from cloud_keystore.rest.calls import CALL, Call
from cloud_keystore.rest.problems import Problem, of_error, of_status

log = structlog.get_logger()

LARGEST_BODY = 64 * 1024
BODY_SECONDS = 10.0  # within which a request that has begun has to bring its body
SENDING_SECONDS = 60.0  # until the client has taken a part of the response
TRACE_ID_BYTES = 16
UNKNOWN = "other"  # what the metrics call the path of a request that is for nothing that there is

Admit: TypeAlias = Callable[[str, Hashable], None]  # raises TooManyCalls


class TooLarge(Exception):
    """The body of a request has more bytes than any has to have."""


@dataclass(frozen=True, slots=True)
class Gate:
    """An ASGI application in front of another one.

    `admit` counts a call against a limit, `held` holds a place for it, and `place_of` says what
    counts as one place for an address. Whoever asks for one of the paths in `public` need not say
    who they are.
    """

    behind: ASGIApp
    callers: Callers
    admit: Admit
    held: Callable[[], AbstractContextManager[None]]
    place_of: Callable[[str], Hashable]
    metrics: Metrics
    public: Collection[str] = ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request_id, began = os.urandom(TRACE_ID_BYTES).hex(), time.perf_counter()
        TRACE_ID.set(request_id)
        structlog.contextvars.bind_contextvars(trace_id=request_id)
        answer = _Answer(send, request_id)
        identity_id = ""
        try:
            self.admit("rest", self._place(scope))
            with self.held():
                body = await _body(scope, receive)
                if scope["path"] not in self.public:
                    token = _token(Headers(scope=scope))
                    caller = await self._caller(token)
                    identity_id = caller.id
                    self.admit("client", identity_id)
                    CALL.set(Call(request_id, caller, token))
                await self.behind(scope, _replay(body), answer.send)
        except Exception as error:
            # Whatever is behind has told the client of its own failure, and raises it again.
            if not answer.begun:
                await _problem(error).response()(scope, receive, answer.send)
        finally:
            path = getattr(scope.get("route"), "path", UNKNOWN)
            self.metrics.calls.labels(f"{scope['method']} {path}"[:64], answer.status).inc()
            log.info(
                "request",
                method=scope["method"],
                path=path,
                status=answer.status,
                ms=round((time.perf_counter() - began) * 1000, 1),
                identity=identity_id,
            )

    def _place(self, scope: Scope) -> Hashable:
        client = scope.get("client")
        return self.place_of(client[0]) if client else ""

    async def _caller(self, token: str) -> Identity:
        """The client whose token it is; raises IdentityRejected."""
        fingerprint = token_sha256(token)
        if fingerprint is None:
            raise IdentityRejected("there is no token")
        PRESENTED.set(Presented(fingerprint, Role.CLIENT))
        return await asyncio.to_thread(self.callers.identify, fingerprint, Role.CLIENT)


def _token(fields: Headers) -> str:
    """The token of a request; empty if there is none, or more than one."""
    given = fields.getlist("authorization")
    scheme, _, token = (given[0] if len(given) == 1 else "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


@dataclass(slots=True)
class _Answer:
    """Sends a response, with what every one has."""

    out: Send
    request_id: str
    status: int = 0
    begun: bool = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun, self.status = True, message["status"]
            fields = MutableHeaders(scope=message)
            fields["X-Request-Id"] = self.request_id
            fields.setdefault("Cache-Control", "no-store")
            fields["X-Content-Type-Options"] = "nosniff"
        # Whoever takes nothing of it is not waited for.
        async with asyncio.timeout(SENDING_SECONDS):
            await self.out(message)


async def _body(scope: Scope, receive: Receive) -> bytes:
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


def _replay(body: bytes) -> Receive:
    """What the application behind hears: the body that was read."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else {"type": "http.disconnect"}

    return receive


def _problem(error: Exception) -> Problem:
    if isinstance(error, TooLarge):
        text = f"a request has at most {LARGEST_BODY} bytes: send less"
        return of_status(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text)
    return of_error(error)

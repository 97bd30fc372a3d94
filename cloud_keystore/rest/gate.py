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
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from cloud_keystore.border.presented import PRESENTED, Presented
from cloud_keystore.http.bodies import Answer, TooLarge, read, replayed
from cloud_keystore.http.problems import Problem, of_error, of_status
from cloud_keystore.model.errors import IdentityRejected
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.model.rights.clients import token_sha256
from cloud_keystore.model.tracing import TRACE_ID
from cloud_keystore.observability.metrics import Metrics
from cloud_keystore.people.callers import Callers
from cloud_keystore.rest.calls import CALL, Call

log = structlog.get_logger()

TRACE_ID_BYTES = 16
TYPED = {"X-Content-Type-Options": "nosniff"}
NOT_KEPT = {"Cache-Control": "no-store"}
UNKNOWN = "other"  # what the metrics call the path of a request that is for nothing that there is

Admit: TypeAlias = Callable[[str, Hashable], None]  # raises TooManyCalls
Tell: TypeAlias = Callable[[str, Problem], Response]


@dataclass(frozen=True, slots=True)
class Gate:
    """An ASGI application in front of another one.

    `admit` counts a call against a limit, `held` holds a place for it, and `place_of` says what
    counts as one place for an address. Whoever asks for one of the paths in `public` need not say
    who they are. `tell` is how a problem is told to who asked for a path.
    """

    behind: ASGIApp
    callers: Callers
    admit: Admit
    held: Callable[[], AbstractContextManager[None]]
    place_of: Callable[[str], Hashable]
    metrics: Metrics
    public: Collection[str] = ()
    tell: Tell = lambda _path, problem: problem.response()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request_id, began = os.urandom(TRACE_ID_BYTES).hex(), time.perf_counter()
        TRACE_ID.set(request_id)
        structlog.contextvars.bind_contextvars(trace_id=request_id)
        answer = Answer(send, {"X-Request-Id": request_id, **TYPED}, NOT_KEPT)
        identity_id = ""
        try:
            self.admit("rest", self._place(scope))
            with self.held():
                body = await read(scope, receive)
                if scope["path"] not in self.public:
                    token = _token(Headers(scope=scope))
                    caller = await self._caller(token)
                    identity_id = caller.id
                    self.admit("client", identity_id)
                    CALL.set(Call(request_id, caller, token))
                await self.behind(scope, replayed(body, receive), answer.send)
        except Exception as error:
            # Whatever is behind has told the client of its own failure, and raises it again.
            if not answer.begun:
                told = self.tell(scope["path"], _problem(error))
                await told(scope, receive, answer.send)
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


def _problem(error: Exception) -> Problem:
    if isinstance(error, TooLarge):
        return of_status(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error))
    return of_error(error)

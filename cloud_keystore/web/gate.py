"""The gate in front of the pages: what a request may be, and what every response has."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Hashable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http import HTTPStatus
from ipaddress import ip_address
from typing import TypeAlias
from urllib.parse import quote

import structlog
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from cloud_keystore.http.bodies import Answer, TooLarge, read, replayed
from cloud_keystore.http.problems import Problem, of_error, of_status
from cloud_keystore.model.tracing import TRACE_ID
from cloud_keystore.observability.metrics import Metrics
from cloud_keystore.web.origins import Origins, is_own
from cloud_keystore.web.pages import Pages

log = structlog.get_logger()

TRACE_ID_BYTES = 16
CALLS = "/authenticator/v1/"  # of scripts, which are told problems instead of pages
METHODS = ("GET", "HEAD", "POST")
UNKNOWN = "other"
POLICY = "; ".join(
    (
        "default-src 'none'",
        *(
            f"{each}-src 'self'"
            for each in ("script", "style", "img", "connect", "manifest", "worker")
        ),
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types worker",  # the one place of a script that is no element
    )
)
FIELDS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # With none at all, browsers do not say from which origin a form is.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=(), payment=(), usb=()",
}
STRICT_TRANSPORT = "max-age=31536000"
# What can be otherwise when it is tried again.
PASSING = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
NOT_KEPT = {"Cache-Control": "no-store"}

Admit: TypeAlias = Callable[[str, Hashable], None]  # raises TooManyCalls


class Refused(Exception):
    """A request that is not served, and the status that says why."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


@dataclass(frozen=True, slots=True)
class Gate:
    """An ASGI application in front of the pages.

    `admit` counts a request against a limit, `held` holds a place for it, and `place_of` says what
    counts as one place for an address. Forms can come to some paths from another origin too, which
    is `foreign`.
    """

    behind: ASGIApp
    origins: Origins
    pages: Pages
    admit: Admit
    held: Callable[[], AbstractContextManager[None]]
    place_of: Callable[[str], Hashable]
    metrics: Metrics
    fields: Mapping[str, str] = field(default_factory=lambda: FIELDS)
    foreign: Mapping[str, str] = field(default_factory=dict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request_id, began = os.urandom(TRACE_ID_BYTES).hex(), time.perf_counter()
        TRACE_ID.set(request_id)
        structlog.contextvars.bind_contextvars(trace_id=request_id)
        fields = Headers(scope=scope)
        origin = self.origins.asked(fields.get("host", ""))
        answer = Answer(send, self._fields(request_id, origin), NOT_KEPT)
        try:
            place = scope["cloudcard.place"] = self.place_of(_address(scope, fields))
            self.admit("web", place)
            with self.held():
                scope["cloudcard.origin"] = self._checked(scope, fields, origin)
                body = await read(scope, receive)
                await self.behind(scope, replayed(body, receive), answer.send)
        except Exception as error:
            # Whatever is behind has told the browser of its own failure, and raises it again.
            if not answer.begun:
                response = told(self.pages, scope, problem_of(error), request_id)
                await response(scope, receive, answer.send)
        finally:
            path = getattr(scope.get("route"), "path", UNKNOWN)
            self.metrics.calls.labels(f"{scope['method']} {path}"[:64], answer.status).inc()
            log.info(
                "request",
                method=scope["method"],
                path=path,
                status=answer.status,
                ms=round((time.perf_counter() - began) * 1000, 1),
            )

    def _checked(self, scope: Scope, fields: Headers, origin: str | None) -> str:
        """The origin that a request is for; raises Refused for what no page of ours sends."""
        if origin is None:
            raise Refused(HTTPStatus.MISDIRECTED_REQUEST)
        if scope["method"] not in METHODS:
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED)
        foreign = self.foreign.get(scope["path"], origin)
        if not is_own(scope["method"], origin, fields) and fields.get("origin") != foreign:
            raise Refused(HTTPStatus.FORBIDDEN)
        return origin

    def _fields(self, request_id: str, origin: str | None) -> dict[str, str]:
        fields = {"X-Request-Id": request_id, **self.fields}
        if origin is not None and origin.startswith("https://"):
            fields["Strict-Transport-Security"] = STRICT_TRANSPORT
        return fields


def told(pages: Pages, scope: Scope, problem: Problem, request_id: str) -> Response:
    """A problem as whoever asks understands it: a script, or a person before a browser."""
    response = problem.response()
    if scope["path"].startswith(CALLS):
        return response
    kept = {name: response.headers[name] for name in ("retry-after",) if name in response.headers}
    passes = problem.status in PASSING and scope["method"] == "GET"
    return pages.error(problem.status, request_id, kept, _asked(scope) if passes else "")


def problem_of(error: Exception) -> Problem:
    """What to tell of an error."""
    if isinstance(error, TooLarge):
        return of_status(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error))
    if isinstance(error, Refused):
        return Problem(error.status, "refused", error.status.phrase)
    return of_error(error)


def _asked(scope: Scope) -> str:
    """The page that was asked for, of this host whatever it is called."""
    path = "/" + quote(scope["path"]).lstrip("/")
    query = scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path


def _address(scope: Scope, fields: Headers) -> str:
    """Where a request comes from: what a proxy on this computer says, else the connection."""
    client = scope.get("client")
    host = str(client[0]) if client else "::"
    try:
        if ip_address(host).is_loopback:
            forwarded = ",".join(fields.getlist("x-forwarded-for"))
            forwarded = forwarded.rpartition(",")[2].strip()
            return str(ip_address(forwarded)) if forwarded else host
    except ValueError:
        pass
    return host

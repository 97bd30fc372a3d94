"""The pages and the calls of devices as an application, to be put behind the gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from cloud_keystore.http.problems import Problem, of_status
from cloud_keystore.http.reading import tell_problems
from cloud_keystore.model.tracing import TRACE_ID
from cloud_keystore.web.assets import VERSION, Assets, packed
from cloud_keystore.web.authenticator import Row
from cloud_keystore.web.gate import told
from cloud_keystore.web.pages import Pages
from cloud_keystore.web.rows import Part
from cloud_keystore.web.streams import Streams


@dataclass(frozen=True, slots=True)
class Shells:
    """The pages that are the same for everybody."""

    pages: Pages
    assets: Assets

    async def start(self, _request: Request) -> Response:
        """The page at which people begin."""
        return self.pages.page("start")

    async def authenticator(self, request: Request) -> Response:
        """The frame of the authenticator, which its scripts fill."""
        assets = self.assets
        fields = {VERSION: assets.version}
        page = self.pages.page(
            "authenticator", fields=fields, version=assets.version, product=assets.product
        )
        return packed(request, page)

    async def address(self, _request: Request) -> Response:
        """The frame of the page on which an e-mail address is verified."""
        return self.pages.page("address")


class _Told(Route):
    """A route that log and metrics know, as they know those of calls."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = self
        await super().handle(scope, receive, send)


def application(
    calls: Sequence[Row],
    streams: Mapping[str, Streams],
    pages: Pages,
    assets: Assets,
    parts: Sequence[Part],
) -> FastAPI:
    """The pages, to be put behind the gate; `streams` are told by their paths, and `parts` are
    those for which people log in.
    """
    made = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    for row in calls:
        made.add_api_route(row.path, row.serve, methods=[row.method], status_code=row.status)
    for part in parts:
        for each in part.rows:
            shown = partial(part.serve, each.serve)
            made.router.routes.append(_Told(each.path, shown, methods=[each.method]))
    shells = Shells(pages, assets)
    made.router.routes += [
        *(_Told(path, each, methods=["GET"]) for path, each in streams.items()),
        _Told("/", shells.start, methods=["GET"]),
        _Told("/authenticator", shells.authenticator, methods=["GET"]),
        _Told("/address", shells.address, methods=["GET"]),
        _Told("/assets/{path:path}", assets.serve, methods=["GET"]),
    ]
    tell_problems(made)

    async def no_page(request: Request, error: Exception) -> Response:
        """What the framework refuses: a path that is not there, or a method it does not have."""
        assert isinstance(error, HTTPException)  # noqa: S101 (it is registered for nothing else)
        return told(pages, request.scope, _problem(error), TRACE_ID.get())

    made.add_exception_handler(HTTPException, no_page)
    return made


def _problem(error: HTTPException) -> Problem:
    if error.status_code == HTTPStatus.NOT_FOUND:
        return Problem(HTTPStatus.NOT_FOUND, "not-found", "there is no such path")
    return of_status(error.status_code)

"""Pages that are served by their path, and what was refused as a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import NamedTuple, TypeAlias
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cloud_keystore.http.problems import of_error
from cloud_keystore.model.errors import SecondNeeded
from cloud_keystore.web.pages import Pages
from cloud_keystore.web.visiting import current

View: TypeAlias = Callable[[Request], Response]
Serve: TypeAlias = Callable[[View, Request], Response]
NOTHING: Mapping[str, str] = MappingProxyType({})

TITLES: Mapping[int, str] = MappingProxyType(
    {
        HTTPStatus.FORBIDDEN: "You may not do this",
        HTTPStatus.NOT_FOUND: "This is not there",
        HTTPStatus.CONFLICT: "This cannot be done now",
        HTTPStatus.UNPROCESSABLE_ENTITY: "This cannot be used",
        HTTPStatus.TOO_MANY_REQUESTS: "Too many requests",
        HTTPStatus.SERVICE_UNAVAILABLE: "The keystore does not answer now",
        HTTPStatus.INTERNAL_SERVER_ERROR: "Sorry, there is a problem with the keystore",
    }
)


class Row(NamedTuple):
    """One page, or one thing that forms do."""

    method: str
    path: str
    serve: View


class Part(NamedTuple):
    """The pages of a part of the site, and how each of them is served."""

    serve: Serve
    rows: Sequence[Row]


def served(pages: Pages, problem_page: str, view: View, request: Request) -> Response:
    """What a view answers, or a page that says why it does not."""
    try:
        return view(request)
    # A fault of ours is a page too.
    except Exception as error:
        problem, waits = of_error(error), isinstance(error, SecondNeeded)
    status = int(problem.status)
    title = TITLES.get(status, TITLES[HTTPStatus.CONFLICT])
    if waits:
        title = "Another operator has to approve this"
    again = str(request.url.path) if request.method == "GET" else ""
    if again and request.url.query:
        again = f"{again}?{request.url.query}"
    fields = {"Retry-After": "1"} if status == HTTPStatus.SERVICE_UNAVAILABLE else NOTHING
    # A menu would need the keystore, which can be what does not answer.
    return pages.page(
        problem_page, status, fields, title=title, text=problem.detail, again=again, waits=waits
    )


def see(path: str, done: str = "") -> Response:
    """Lead to a page after something was done, so that nobody does it again by loading it. What was
    done can be said there.
    """
    if done:
        said = urlencode({"done": current().sealed("done", done)})
        path = f"{path}{'&' if '?' in path else '?'}{said}"
    return RedirectResponse(path, HTTPStatus.SEE_OTHER)

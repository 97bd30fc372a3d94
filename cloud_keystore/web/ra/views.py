"""How pages of the registration authority are made: with the visit they belong to, and with what
was refused as a page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cloud_keystore.http.problems import of_error
from cloud_keystore.model.errors import SecondNeeded
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.people.rights.visits import Visits
from cloud_keystore.web.pages import Pages
from cloud_keystore.web.ra.visiting import AT, current

View: TypeAlias = Callable[[Request], Response]
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


class MenuItem(NamedTuple):
    """An entry of the menu, and the right without which it is left out."""

    path: str
    text: str
    right: Right
    whole: bool = False  # whether it is needed for all organisations together


EXPIRING, MAIL, JOURNAL = f"{AT}/expiring", f"{AT}/mail", f"{AT}/journal"
MENU = (
    MenuItem(f"{AT}/people", "People", Right.VIEW),
    MenuItem(EXPIRING, "Ending soon", Right.VIEW),
    MenuItem(MAIL, "E-mail", Right.PEOPLE),
    MenuItem(JOURNAL, "Journal", Right.JOURNAL, whole=True),
)


@dataclass(frozen=True, slots=True)
class Views:
    """Renders pages for whoever visits."""

    pages: Pages
    visits: Visits

    def page(
        self,
        name: str,
        status: int = HTTPStatus.OK,
        fields: Mapping[str, str] = NOTHING,
        **said: object,
    ) -> Response:
        """The page of a template below ra/, with menu and log-out."""
        visiting = current()
        held = self.visits.held(visiting.operator)
        return self.pages.page(
            f"ra/{name}",
            status,
            fields,
            operator=visiting.operator.display_name,
            form_token=visiting.form_token,
            menu=[
                each
                for each in MENU
                if each.right in (held.everywhere if each.whole else held.somewhere)
            ],
            **said,
        )

    def serve(self, view: View, request: Request) -> Response:
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
        # The menu would need the keystore, which can be what does not answer.
        return self.pages.page(
            "ra/problem", status, fields, title=title, text=problem.detail, again=again, waits=waits
        )


def see(path: str) -> Response:
    """Lead to a page after something was done, so that nobody does it again by loading it."""
    return RedirectResponse(path, HTTPStatus.SEE_OTHER)

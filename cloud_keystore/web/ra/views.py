"""How pages of the registration authority are made: with the visit they belong to, and with what
was refused as a page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import NamedTuple, TypeAlias
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cloud_keystore.http.problems import of_error
from cloud_keystore.model.errors import SecondNeeded
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.people.rights.visits import HeldRights, Visits
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

    def is_for(self, held: HeldRights) -> bool:
        """Whether whoever has some rights is shown it."""
        return self.right in (held.everywhere if self.whole else held.somewhere)


EXPIRING, MAIL, JOURNAL = f"{AT}/expiring", f"{AT}/mail", f"{AT}/journal"
REQUESTS, ORGANISATIONS = f"{AT}/requests", f"{AT}/organisations"
ALERTS, REPORT = f"{AT}/alerts", f"{AT}/report"
MENU = (
    MenuItem(f"{AT}/people", "People", Right.VIEW),
    MenuItem(EXPIRING, "Ending soon", Right.VIEW),
    MenuItem(MAIL, "E-mail", Right.PEOPLE),
    MenuItem(ALERTS, "Alerts", Right.VIEW),
    MenuItem(REQUESTS, "Requests", Right.VIEW),
    MenuItem(REPORT, "Reports", Right.VIEW),
    MenuItem(JOURNAL, "Journal", Right.JOURNAL, whole=True),
    MenuItem(ORGANISATIONS, "Administration", Right.VIEW),
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
        section: Sequence[MenuItem] = (),
        **said: object,
    ) -> Response:
        """The page of a template below ra/, with menu and log-out, and the pages beside it."""
        visiting = current()
        held = self.visits.held(visiting.operator)
        return self.pages.page(
            f"ra/{name}",
            status,
            fields,
            operator=visiting.operator.display_name,
            form_token=visiting.form_token,
            menu=[each for each in MENU if each.is_for(held)],
            section=[each for each in section if each.is_for(held)],
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


def see(path: str, done: str = "") -> Response:
    """Lead to a page after something was done, so that nobody does it again by loading it. What was
    done can be said there.
    """
    if done:
        path = f"{path}{'&' if '?' in path else '?'}{urlencode({'done': current().sealed(done)})}"
    return RedirectResponse(path, HTTPStatus.SEE_OTHER)

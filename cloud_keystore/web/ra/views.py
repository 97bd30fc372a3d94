"""How pages of the registration authority are made: with the visit they belong to, and with what
was refused as a page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from cloud_keystore.model.errors import ProofNeeded
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.people.rights.visits import HeldRights, Visits
from cloud_keystore.web.pages import Pages
from cloud_keystore.web.ra.proving import HIGH_RISK, once_more, route
from cloud_keystore.web.ra.visiting import AT
from cloud_keystore.web.rows import NOTHING, View, served
from cloud_keystore.web.visiting import current


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
        held = self.visits.held(visiting.visitor)
        return self.pages.page(
            f"ra/{name}",
            status,
            fields,
            operator=visiting.visitor.display_name,
            form_token=visiting.form_token,
            menu=[each for each in MENU if each.is_for(held)],
            section=[each for each in section if each.is_for(held)],
            **said,
        )

    def serve(self, view: View, request: Request) -> Response:
        """What a view answers, or a page that says why it does not."""
        return served(self.pages, "ra/problem", partial(self._proven, view), request)

    def _proven(self, view: View, request: Request) -> Response:
        """What a view answers to whoever has logged in lately, if it is of high risk."""
        try:
            if route(request) in HIGH_RISK:
                self.visits.prove(current().secret_sha256)
            return view(request)
        except ProofNeeded:
            return once_more(request)

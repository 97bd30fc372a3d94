"""How pages of the portal are made: with the visit they belong to, and with what was done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from cloud_keystore.cards.own.holdings import Holdings
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import FactorNeeded
from cloud_keystore.web.me.visiting import AT
from cloud_keystore.web.me.words import DONE, Done
from cloud_keystore.web.pages import Pages
from cloud_keystore.web.rows import NOTHING, View, see, served
from cloud_keystore.web.visiting import current

JUST_NOW = timedelta(minutes=2)  # for which a page says that something was done


class MenuItem(NamedTuple):
    """An entry of the menu."""

    path: str
    text: str


PHONES, SESSIONS, HISTORY = f"{AT}/phones", f"{AT}/sessions", f"{AT}/history"
CONTACT, PASSWORD = f"{AT}/contact", f"{AT}/password"
QUESTIONS, FACTOR = f"{AT}/questions", f"{AT}/log-in-by"
PASSKEYS = f"{AT}/passkeys"
MENU = (
    MenuItem(AT, "Cards"),
    MenuItem(PHONES, "Phones"),
    MenuItem(SESSIONS, "In use"),
    MenuItem(HISTORY, "History"),
    MenuItem(CONTACT, "Contact"),
    MenuItem(PASSWORD, "Password"),
)


@dataclass(frozen=True, slots=True)
class OwnViews:
    """Renders pages for whoever has logged in."""

    pages: Pages
    holdings: Holdings
    clock: Clock

    def page(
        self,
        name: str,
        status: int = HTTPStatus.OK,
        fields: Mapping[str, str] = NOTHING,
        **said: object,
    ) -> Response:
        """The page of a template below me/, with menu and log-out."""
        visiting = current()
        return self.pages.page(
            f"me/{name}",
            status,
            fields,
            holder=visiting.visitor.display_name,
            form_token=visiting.form_token,
            menu=MENU,
            **said,
        )

    def serve(self, view: View, request: Request) -> Response:
        """What a view answers, or a page that says why it does not; whose log-ins do not need yet
        what a policy demands is led to where that is chosen.
        """

        def led(request: Request) -> Response:
            try:
                return view(request)
            except FactorNeeded:
                return see(FACTOR)

        return served(self.pages, "me/problem", led, request)

    def done(self, request: Request) -> Done | None:
        """What was done a moment ago. An address that says so of what was not done shows
        nothing.
        """
        told = DONE.get(request.query_params.get("done", ""))
        if told is None:
            return None
        since = self.clock() - JUST_NOW
        happened = self.holdings.events(current().visitor)
        was = any(each.kind is told.kind and each.time >= since for each in happened)
        return told if was else None

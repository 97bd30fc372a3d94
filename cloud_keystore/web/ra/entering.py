"""Log-in and log-out."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cloud_keystore.model.errors import TokenRejected
from cloud_keystore.model.rights.visits import SECRET_PREFIX, text_sha256
from cloud_keystore.people.rights.visits import Visits
from cloud_keystore.web.pages import Pages
from cloud_keystore.web.ra.visiting import AREA, AT, LOG_IN
from cloud_keystore.web.rows import Row
from cloud_keystore.web.visiting import current, given


@dataclass(frozen=True, slots=True)
class Entering:
    """Lets operators in by a code, and out."""

    pages: Pages
    visits: Visits

    def rows(self) -> tuple[Row, ...]:
        """Its pages."""
        return (
            Row("GET", LOG_IN, self.ask),
            Row("POST", LOG_IN, self.begin),
            Row("POST", f"{AT}/log-out", self.end),
        )

    def ask(self, request: Request) -> Response:
        """The page that asks for a code."""
        wanted = AREA.own_path(request.query_params.get("next", ""))
        return self.pages.page("ra/log_in", wanted=wanted, wrong="", by="")

    def begin(self, _request: Request) -> Response:
        """Begin a visit, with a secret that no browser has had before."""
        wanted = AREA.own_path(given("next"))
        try:
            secret = self.visits.begin(given("code"))
        except TokenRejected as error:
            return self.pages.page(
                "ra/log_in", HTTPStatus.FORBIDDEN, wanted=wanted, wrong=str(error), by="code"
            )
        return RedirectResponse(
            quote(wanted, safe="/?=&%+"), HTTPStatus.SEE_OTHER, {"Set-Cookie": AREA.kept(secret)}
        )

    def end(self, _request: Request) -> Response:
        """End the visit, here and in the browser."""
        fingerprint = text_sha256(SECRET_PREFIX, current().secret)
        if fingerprint is not None:
            self.visits.end(fingerprint)
        fields = {"Set-Cookie": AREA.kept(""), "Clear-Site-Data": '"cache"'}
        return RedirectResponse(LOG_IN, HTTPStatus.SEE_OTHER, fields)

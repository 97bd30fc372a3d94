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
from cloud_keystore.web.visiting import cookie, current, given


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
        """The page that asks who that is."""
        wanted = AREA.own_path(request.query_params.get("next", ""))
        return asked(self.pages, wanted, again=request.query_params.get("again", "") == "yes")

    def begin(self, request: Request) -> Response:
        """Begin a visit, with a secret that no browser has had before."""
        wanted = AREA.own_path(given("next"))
        try:
            secret = self.visits.begin(given("code"))
        except TokenRejected as error:
            return asked(self.pages, wanted, wrong=str(error), by="code")
        return entered(self.visits, request, secret, wanted)

    def end(self, _request: Request) -> Response:
        """End the visit, here and in the browser."""
        self.visits.end(current().secret_sha256)
        fields = {"Set-Cookie": AREA.kept(""), "Clear-Site-Data": '"cache"'}
        return RedirectResponse(LOG_IN, HTTPStatus.SEE_OTHER, fields)


def asked(
    pages: Pages, wanted: str, *, again: bool = False, wrong: str = "", by: str = ""
) -> Response:
    """The page of the log-in; after an answer that was wrong, with why and in which way it was
    given.
    """
    status = HTTPStatus.FORBIDDEN if wrong else HTTPStatus.OK
    return pages.page(
        "ra/log_in",
        status,
        wanted=wanted,
        again=again,
        wrong=wrong,
        by=by,
        by_card=pages.by_card,
        by_oidc=pages.by_oidc,
    )


def entered(visits: Visits, request: Request, secret: str, wanted: str) -> Response:
    """Let a browser keep the secret of a visit that has begun. The one before is over by that."""
    before = text_sha256(SECRET_PREFIX, cookie(request.headers, AREA.cookie))
    if before is not None:
        visits.end(before)
    fields = {"Set-Cookie": AREA.kept(secret)}
    return RedirectResponse(quote(wanted, safe="/?=&%+"), HTTPStatus.SEE_OTHER, fields)

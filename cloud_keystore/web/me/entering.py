"""Log-in by password, and by what else it needs; and log-out."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote, urlencode

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from cloud_keystore.http.problems import of_error
from cloud_keystore.model.errors import (
    AddressUnreachable,
    InvalidInput,
    PortalClosed,
    TokenRejected,
    TooManyCalls,
    TooManyGuesses,
    UserClosed,
)
from cloud_keystore.model.rights.visits import OWN_PREFIX, STEP_TIME, text_sha256
from cloud_keystore.people.portal.visits import PortalVisits
from cloud_keystore.web.me.visiting import AGAIN, AREA, AT, CODE, CODE_ASKED, HELP, LOG_IN, STEP
from cloud_keystore.web.me.words import ANOTHER, PHONE_SAYS, left
from cloud_keystore.web.pages import Pages
from cloud_keystore.web.ra.own.answers import given_answer, said_of_allowed
from cloud_keystore.web.rows import Row
from cloud_keystore.web.visiting import cookie, current, given, kept, typed

WRONG = "The name or the password is wrong."
SAID = (AddressUnreachable, InvalidInput, PortalClosed, TooManyCalls, TooManyGuesses, UserClosed)


@dataclass(frozen=True, slots=True)
class EnteringPages:
    """Lets holders in, and out. What it answers to a wrong password is the same for everybody."""

    pages: Pages
    visits: PortalVisits

    def rows(self) -> tuple[Row, ...]:
        """Its pages."""
        return (
            Row("GET", LOG_IN, self.ask),
            Row("POST", LOG_IN, self.check),
            Row("GET", CODE, self.ask_code),
            Row("POST", CODE, self.begin),
            Row("POST", CODE_ASKED, self.asked),
            Row("POST", AGAIN, self.again),
            Row("GET", HELP, self.help),
            Row("POST", f"{AT}/log-out", self.end),
        )

    def ask(self, request: Request) -> Response:
        """The page that asks for name and password, or that says why nobody can log in."""
        offer = self.visits.look()
        if not offer.is_open:
            return self.pages.page("me/closed", offer=offer)
        wanted = AREA.own_path(request.query_params.get("next", ""))
        return self._log_in(wanted)

    def check(self, _request: Request) -> Response:
        """Take name and password, and let a code be mailed."""
        offer, wanted = self.visits.look(), AREA.own_path(given("next"))
        if not offer.is_open:
            return self.pages.page("me/closed", offer=offer)
        try:
            step = self.visits.ask(given("name"), typed("password"))
        except SAID as error:
            return self._log_in(wanted, str(error), of_error(error).status)
        if step is None:
            return self._log_in(wanted, WRONG, HTTPStatus.FORBIDDEN)
        to = CODE if wanted == AT else f"{CODE}?{urlencode({'next': wanted})}"
        fields = {"Set-Cookie": kept(STEP, step.text, int(STEP_TIME.total_seconds()))}
        return RedirectResponse(to, HTTPStatus.SEE_OTHER, fields)

    def ask_code(self, request: Request) -> Response:
        """The page that asks for the code."""
        if not _step(request):
            return RedirectResponse(LOG_IN, HTTPStatus.SEE_OTHER)
        return self._code(request, AREA.own_path(request.query_params.get("next", "")))

    def asked(self, request: Request) -> Response:
        """What a script is to ask the holder's passkeys for."""
        try:
            wanted = self.visits.ask_passkey(_step(request))
        except TokenRejected:
            return Response(status_code=HTTPStatus.FORBIDDEN)
        return JSONResponse(said_of_allowed(wanted))

    def begin(self, request: Request) -> Response:
        """Begin a visit, with a secret that no browser has had before."""
        wanted = AREA.own_path(given("next"))
        try:
            answer = given_answer() if given("credential_id") else None
            entered = self.visits.begin(_step(request), given("code"), answer)
        except TokenRejected as error:
            return self._from_the_beginning(str(error))
        if not entered.secret:
            of_phone = PHONE_SAYS.get(entered.phone)
            wrong = entered.passkey or of_phone or left(entered.tries_left)
            return self._code(request, wanted, wrong, HTTPStatus.FORBIDDEN)
        to = RedirectResponse(quote(wanted, safe="/?=&%+"), HTTPStatus.SEE_OTHER)
        to.headers.append("Set-Cookie", AREA.kept(entered.secret))
        to.headers.append("Set-Cookie", kept(STEP, "", 0))
        return to

    def again(self, request: Request) -> Response:
        """Let another code be sent, or the phone be asked again."""
        wanted = AREA.own_path(given("next"))
        try:
            self.visits.again(_step(request), by_phone=given("by") == "phone")
        except TokenRejected as error:
            return self._from_the_beginning(str(error))
        except (AddressUnreachable, InvalidInput, TooManyCalls) as error:
            return self._code(request, wanted, str(error), of_error(error).status)
        return self._code(request, wanted, said=ANOTHER)

    def help(self, _request: Request) -> Response:
        """What to do without the authenticator, without the password, or without either."""
        return self.pages.page("me/help")

    def end(self, _request: Request) -> Response:
        """End the visit, here and in the browser."""
        fingerprint = text_sha256(OWN_PREFIX, current().secret)
        if fingerprint is not None:
            self.visits.end(fingerprint)
        fields = {"Set-Cookie": AREA.kept(""), "Clear-Site-Data": '"cache"'}
        return RedirectResponse(LOG_IN, HTTPStatus.SEE_OTHER, fields)

    def _log_in(self, wanted: str, wrong: str = "", status: int = HTTPStatus.OK) -> Response:
        return self.pages.page("me/log_in", status, wanted=wanted, wrong=wrong)

    def _code(
        self,
        request: Request,
        wanted: str,
        wrong: str = "",
        status: int = HTTPStatus.OK,
        said: str = "",
    ) -> Response:
        try:
            needed = self.visits.needed(_step(request))
        except TokenRejected as error:
            return self._from_the_beginning(wrong or str(error))
        return self.pages.page(
            "me/code", status, wanted=wanted, wrong=wrong, said=said, needed=needed
        )

    def _from_the_beginning(self, wrong: str) -> Response:
        page = self._log_in(AT, wrong, HTTPStatus.FORBIDDEN)
        page.headers.append("Set-Cookie", kept(STEP, "", 0))
        return page


def _step(request: Request) -> str:
    """What the browser has kept since the password was right."""
    return cookie(Headers(scope=request.scope), STEP)

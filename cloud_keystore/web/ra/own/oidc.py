"""Log-in by an OpenID provider, at the pages: a browser is sent there, comes back with a code for
this browser alone, and waits here until the provider has said who it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cloud_keystore.model.clock import Random
from cloud_keystore.model.errors import TokenRejected
from cloud_keystore.model.rights.oidc import BROWSER_BYTES, STATE_TIME, browser_sha256
from cloud_keystore.people.rights.oidc_log_ins import REFUSED, OidcLogIns
from cloud_keystore.web.proofs import ProofRejected, decoded, encoded
from cloud_keystore.web.ra.entering import asked, entered
from cloud_keystore.web.ra.views import Views
from cloud_keystore.web.ra.visiting import AREA, OIDC, OIDC_ANSWER, OIDC_WAIT
from cloud_keystore.web.rows import Row
from cloud_keystore.web.visiting import cookie

COOKIE = "__Host-cloudcard-oidc"
SECONDS = int(STATE_TIME.total_seconds())
# The browser comes back from another site, by a link.
ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Lax"
LONGEST_ANSWER = 4000  # of what a browser brings


@dataclass(frozen=True, slots=True)
class OidcLogInPages:
    """Lets operators in whom a provider has logged in; `back` is the origin of these pages, and
    empty without a provider.
    """

    views: Views
    log_ins: OidcLogIns
    back: str
    random: Random

    def rows(self) -> tuple[Row, ...]:
        """Its pages; none without a provider."""
        if not self.back:
            return ()
        return (
            Row("GET", OIDC, self.send),
            Row("GET", OIDC_ANSWER, self.bring),
            Row("GET", OIDC_WAIT, self.begin),
        )

    def send(self, request: Request) -> Response:
        """Send the browser to the provider."""
        wanted = AREA.own_path(request.query_params.get("next", ""))
        # The cookie is of one host, to which the browser comes back.
        if request.scope["cloudcard.origin"] != self.back:
            to = f"{self.back}{OIDC}?{urlencode({'next': wanted})}"
            return RedirectResponse(to, HTTPStatus.SEE_OTHER)
        secret = f"{encoded(self.random(BROWSER_BYTES))}.{encoded(wanted.encode())}"
        try:
            to = self.log_ins.ask(browser_sha256(secret))
        except TokenRejected as error:
            return asked(self.views.pages, wanted, wrong=str(error), by="oidc")
        return RedirectResponse(to, HTTPStatus.SEE_OTHER, {"Set-Cookie": _kept(secret)})

    def bring(self, request: Request) -> Response:
        """Take what the browser has brought from the provider. The page that follows asks for the
        next one by itself: a redirect would be the other site's, without the cookies of this one.
        """
        kept, said = cookie(request.headers, COOKIE), request.query_params
        state, code, issuer = (said.get(each, "") for each in ("state", "code", "iss"))
        twice = any(len(said.getlist(each)) > 1 for each in ("code", "state", "iss"))
        if "error" in said or twice or len(request.url.query) > LONGEST_ANSWER:
            return asked(self.views.pages, _wanted(kept), wrong=REFUSED, by="oidc")
        try:
            self.log_ins.bring(state, code, issuer, browser_sha256(kept))
        except TokenRejected as error:
            return asked(self.views.pages, _wanted(kept), wrong=str(error), by="oidc")
        return self._wait(state)

    def begin(self, request: Request) -> Response:
        """Begin a visit, with a secret that no browser has had before, once the provider has said
        who it is.
        """
        kept, state = cookie(request.headers, COOKIE), request.query_params.get("state", "")
        wanted = _wanted(kept)
        try:
            secret = self.log_ins.begin(state, browser_sha256(kept))
        except TokenRejected as error:
            return asked(self.views.pages, wanted, wrong=str(error), by="oidc")
        if not secret:
            return self._wait(state)
        response = entered(self.views.visits, request, secret, wanted)
        response.headers.append("Set-Cookie", _kept(""))
        return response

    def _wait(self, state: str) -> Response:
        to = f"{OIDC_WAIT}?{urlencode({'state': state})}"
        fields = {"Refresh": f"1; url={to}"}
        return self.views.pages.page("ra/oidc", HTTPStatus.OK, fields, to=to)


def _wanted(kept: str) -> str:
    """The page to which a log-in leads, which is one of this part always."""
    try:
        return AREA.own_path(decoded(kept.partition(".")[2]).decode("ascii"))
    except (ProofRejected, ValueError):
        return AREA.at


def _kept(secret: str) -> str:
    return f"{COOKIE}={secret}; Max-Age={SECONDS if secret else 0}; {ATTRIBUTES}"

"""Log-in by cards, at the pages: a browser is sent to the port where it shows a card, and comes
back with a code, which is for this browser alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cloud_keystore.model.clock import Random
from cloud_keystore.model.errors import TokenRejected
from cloud_keystore.model.rights.card_log_ins import BROWSER_BYTES, browser_sha256
from cloud_keystore.people.rights.card_log_ins import CardLogIns
from cloud_keystore.web.proofs import encoded
from cloud_keystore.web.ra.entering import asked, entered
from cloud_keystore.web.ra.views import Views
from cloud_keystore.web.ra.visiting import AREA, CARD, CARD_CODE
from cloud_keystore.web.rows import Row
from cloud_keystore.web.visiting import cookie, given

COOKIE = "__Host-cloudcard-card"
SECONDS = 300  # for the PIN, and an approval on a phone
# The browser comes back from another port. Whoever sends it here has no code for this cookie.
ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=None"


@dataclass(frozen=True, slots=True)
class CardPlaces:
    """Where browsers show cards, and where they come back."""

    cards: str  # an origin; empty if there is none
    back: str  # the origin of these pages


@dataclass(frozen=True, slots=True)
class CardLogInPages:
    """Lets operators in by their cards."""

    views: Views
    log_ins: CardLogIns
    places: CardPlaces
    random: Random

    def rows(self) -> tuple[Row, ...]:
        """Its pages; none without a port for cards."""
        if not self.places.cards:
            return ()
        return (Row("GET", CARD, self.send), Row("POST", CARD_CODE, self.begin))

    def send(self, request: Request) -> Response:
        """Send the browser to where it shows a card."""
        wanted = AREA.own_path(request.query_params.get("next", ""))
        # The cookie is of one host, to which the browser comes back.
        if request.scope["cloudcard.origin"] != self.places.back:
            to = f"{self.places.back}{CARD}?{urlencode({'next': wanted})}"
            return RedirectResponse(to, HTTPStatus.SEE_OTHER)
        secret = encoded(self.random(BROWSER_BYTES))
        said = urlencode({"for": encoded(browser_sha256(secret)), "next": wanted})
        fields = {"Set-Cookie": _kept(secret)}
        return RedirectResponse(f"{self.places.cards}/?{said}", HTTPStatus.SEE_OTHER, fields)

    def begin(self, request: Request) -> Response:
        """Begin a visit, with a secret that no browser has had before."""
        wanted = AREA.own_path(given("next"))
        browser = browser_sha256(cookie(request.headers, COOKIE))
        try:
            secret = self.log_ins.begin(given("code"), browser)
        except TokenRejected as error:
            return asked(self.views.pages, wanted, wrong=str(error), by="card")
        response = entered(self.views.visits, request, secret, wanted)
        response.headers.append("Set-Cookie", _kept(""))
        return response


def _kept(secret: str) -> str:
    return f"{COOKIE}={secret}; Max-Age={SECONDS if secret else 0}; {ATTRIBUTES}"

"""The provider: who asks, who logs in, which role is chosen, and the code that answers."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hmac import compare_digest
from http import HTTPStatus

from cloudcard_tools.simulate import pages
from cloudcard_tools.simulate.cards import CardRefused, Cards
from cloudcard_tools.simulate.cis2 import asking, places, screens
from cloudcard_tools.simulate.cis2.asking import AskedWrongly, CannotReturn
from cloudcard_tools.simulate.cis2.clients import Client
from cloudcard_tools.simulate.cis2.grants import Grant, Grants
from cloudcard_tools.simulate.cis2.leaving import Leaving
from cloudcard_tools.simulate.cis2.levels import Login, Way, reached, ways
from cloudcard_tools.simulate.cis2.places import Places
from cloudcard_tools.simulate.cis2.sessions import Sessions
from cloudcard_tools.simulate.cis2.steps import WAITED, Step, Waiting, chosen, next_step
from cloudcard_tools.simulate.codes import Codes
from cloudcard_tools.simulate.exchange import Notice, Request, Response, as_json, redirect
from cloudcard_tools.simulate.faults import Fault, Faults
from cloudcard_tools.simulate.once import Handed
from cloudcard_tools.simulate.phones import NotRung, Phones, Ring

BROWSER, SESSION = "__Host-simulator-browser", "__Host-simulator-session"
OVER = (
    "this log-in was not begun in this browser, or has waited too long: begin again at the client"
)


@dataclass(slots=True)
class Provider:
    """What browsers are answered."""

    places: Places
    clients: Mapping[str, Client]
    cards: Cards
    codes: Codes
    sessions: Sessions
    grants: Grants
    leaving: Leaving
    phones: Phones | None = None
    draw: Callable[[int], str] = secrets.token_urlsafe
    _waiting: Handed[Waiting] = field(init=False)

    def __post_init__(self) -> None:
        self._waiting = Handed(WAITED, self.draw)

    def authorize(self, request: Request, now: datetime, faults: Faults) -> Response:  # noqa: ARG002
        """A client sends somebody here."""
        parameters = request.parameters
        try:
            client, redirect_uri = asking.client_of(parameters, self.clients)
        except CannotReturn as error:
            return pages.refusal(HTTPStatus.BAD_REQUEST, str(error))
        try:
            asked = asking.read(parameters, client, redirect_uri)
        except AskedWrongly as error:
            return self._sent_back(redirect_uri, parameters.get("state", ""), error)
        browser = request.cookie(BROWSER) or self.draw(16)
        waiting = Waiting(asked, browser)
        response = self._proceed(self._waiting.hand(waiting, now), waiting, request, now)
        return response.with_cookie(BROWSER, browser)

    def resume(self, request: Request, now: datetime, faults: Faults) -> Response:  # noqa: ARG002
        """A browser goes on, after a login elsewhere."""
        key, waiting = self._found(request, now)
        if waiting is None:
            return pages.refusal(HTTPStatus.BAD_REQUEST, OVER)
        return self._proceed(key, waiting, request, now)

    def by_card(self, request: Request, now: datetime, faults: Faults) -> Response:
        """The card's key has spoken, over mutual TLS."""
        key, waiting = self._found(request, now)
        if waiting is None:
            return pages.refusal(HTTPStatus.BAD_REQUEST, OVER)
        if request.certificate is None:
            return pages.refusal(
                HTTPStatus.FORBIDDEN, "no certificate came: put the card in, and choose its own"
            )
        try:
            _require_in_force(faults)
            person = self.cards.holder(request.certificate, now)
        except CardRefused as error:
            return pages.refusal(HTTPStatus.FORBIDDEN, str(error))
        return self._logged_in(key, waiting, Login(person, Way.CARD, now), request, now)

    def challenge(self, request: Request, now: datetime, faults: Faults) -> Response:
        """A program that has a card asks what to sign, and answers with the signature."""
        key, waiting = self._found(request, now)
        if waiting is None:
            return as_json({"error": OVER}, HTTPStatus.BAD_REQUEST)
        if request.method != "POST":
            waiting.challenge = self._challenge()
            text = base64.b64encode(waiting.challenge.encode()).decode("ascii")
            return as_json({"challenge": text})
        challenge, waiting.challenge = waiting.challenge, ""
        if not challenge:
            return as_json(
                {"error": "ask for another challenge: each counts once"}, HTTPStatus.FORBIDDEN
            )
        try:
            _require_in_force(faults)
            der, signature = (
                _decoded(request.parameters.get(name, "")) for name in ("certificate", "signature")
            )
            person = self.cards.signer(der, signature, challenge.encode(), now)
        except CardRefused as error:
            return as_json({"error": str(error)}, HTTPStatus.FORBIDDEN)
        return self._logged_in(key, waiting, Login(person, Way.CHALLENGE, now), request, now)

    def by_code(self, request: Request, now: datetime, faults: Faults) -> Response:  # noqa: ARG002
        """Somebody has typed a passphrase and a one-time code."""
        key, waiting = self._found(request, now)
        if waiting is None:
            return pages.refusal(HTTPStatus.BAD_REQUEST, OVER)
        form = request.parameters
        person = self.codes.check(
            form.get("person", ""), form.get("passphrase", ""), form.get("code", ""), now
        )
        if person is None:
            return self._log_in(key, waiting, "Number, passphrase or code is wrong.")
        return self._logged_in(key, waiting, Login(person, Way.CODE, now), request, now)

    def by_phone(self, request: Request, now: datetime, faults: Faults) -> Response:
        """Somebody has their phone rung, and approves there."""
        key, waiting = self._found(request, now)
        if waiting is None:
            return pages.refusal(HTTPStatus.BAD_REQUEST, OVER)
        if self.phones is None:
            return pages.refusal(HTTPStatus.NOT_FOUND, "no phone is rung here")
        try:
            if request.method == "POST":
                self._hang_up(waiting)
                waiting.ring = self.phones.ring(request.parameters.get("user", ""), now)
            if waiting.ring is None:
                return self._log_in(key, waiting)
            _require_in_force(faults)
            found = self._rung(self.phones, waiting.ring, key, waiting, now)
        except (NotRung, CardRefused) as error:
            self._hang_up(waiting)
            return self._log_in(key, waiting, pages.sentence(str(error)))
        if isinstance(found, Response):
            return found
        self._hang_up(waiting)
        return self._logged_in(key, waiting, found, request, now)

    def passcode(self, request: Request, now: datetime, faults: Faults) -> Response:  # noqa: ARG002
        """Somebody has typed the passcode of the card that was put in by phone."""
        key, waiting = self._found(request, now)
        if waiting is None or waiting.ring is None or self.phones is None:
            return pages.refusal(HTTPStatus.BAD_REQUEST, OVER)
        try:
            self.phones.ask(
                waiting.ring, request.parameters.get("passcode", ""), self._challenge().encode()
            )
        except NotRung as error:
            return screens.passcode(self.places, key, pages.sentence(str(error)))
        return screens.ringing(self.places, key, waiting.ring.number)

    def role(self, request: Request, now: datetime, faults: Faults) -> Response:  # noqa: ARG002
        """Somebody chooses a role, or searches for one."""
        key, waiting = self._found(request, now)
        session = self.sessions.find(request.cookie(SESSION), now)
        if waiting is None or session is None:
            return pages.refusal(HTTPStatus.BAD_REQUEST, OVER)
        role_id = request.parameters.get("role", "")
        if request.method != "POST" or session.login.person.role(role_id) is None:
            words = request.parameters.get("search", "")
            return screens.roles(key, session.login.person, words)
        waiting.role_id = role_id
        return self._proceed(key, waiting, request, now)

    def _rung(
        self, phones: Phones, ring: Ring, key: str, waiting: Waiting, now: datetime
    ) -> Login | Response:
        """The login, or the page that comes before it. Raises NotRung and CardRefused."""
        if not phones.has_answered(ring):
            return screens.ringing(self.places, key, ring.number)
        if reached(waiting.asked.acr, Way.PHONE) is not None:
            return Login(self.cards.holder(ring.certificate, now), Way.PHONE, now)
        if not ring.operation_id:
            return screens.passcode(self.places, key)
        signature = phones.signature(ring)
        if signature is None:
            return screens.ringing(self.places, key, ring.number)
        person = self.cards.signer(ring.certificate, signature, ring.signed, now)
        return Login(person, Way.CHALLENGE, now)

    def _hang_up(self, waiting: Waiting) -> None:
        """Give back the card that was put in by phone, if one was."""
        if self.phones is not None and waiting.ring is not None:
            self.phones.leave(waiting.ring)
        waiting.ring = None

    def _log_in(self, key: str, waiting: Waiting, wrong: str = "") -> Response:
        """The page with the ways to log in."""
        reaching, rings = ways(waiting.asked.acr), self.phones is not None
        return screens.log_in(self.places, key, reaching, wrong, rings=rings)

    def _challenge(self) -> str:
        """What a card's key signs."""
        return f"cloudcard simulator log-in\n{self.places.issuer}\n{self.draw(32)}"

    def _found(self, request: Request, now: datetime) -> tuple[str, Waiting | None]:
        """The question that a browser names, if this browser has brought it."""
        key = request.parameters.get("waiting", "")
        waiting = self._waiting.find(key, now)
        browser = request.cookie(BROWSER)
        if waiting is None or not compare_digest(waiting.browser.encode(), browser.encode()):
            return key, None
        return key, waiting

    def _logged_in(
        self, key: str, waiting: Waiting, login: Login, request: Request, now: datetime
    ) -> Response:
        if reached(waiting.asked.acr, login.way) is None:
            return pages.refusal(
                HTTPStatus.FORBIDDEN, "the client asks for a login of another assurance"
            )
        waiting.login = login
        cookie, ended = self.sessions.log_in(request.cookie(SESSION), login, now)
        notices: Sequence[Notice] = self.leaving.notices(ended, now) if ended else ()
        there = self.places.at(places.CONTINUE)
        return redirect(there, {"waiting": key}).with_cookie(SESSION, cookie).with_notices(notices)

    def _proceed(self, key: str, waiting: Waiting, request: Request, now: datetime) -> Response:
        asked = waiting.asked
        session = self.sessions.find(request.cookie(SESSION), now)
        try:
            step = next_step(waiting, session, now)
        except AskedWrongly as error:
            self._waiting.take(key, now)
            return self._sent_back(asked.redirect_uri, asked.state, error)
        acr = None if session is None else reached(asked.acr, session.login.way)
        if step is Step.LOG_IN or session is None or acr is None:
            return self._log_in(key, waiting)
        if step is Step.CHOOSE_ROLE:
            return screens.roles(key, session.login.person, "")
        self._waiting.take(key, now)
        role_id = chosen(waiting, session) or ""
        session.role_id = role_id or session.role_id
        grant = Grant(asked, session.login, acr, session.sid, role_id)
        told = {"code": self.grants.code(grant, now), "iss": self.places.issuer}
        return redirect(asked.redirect_uri, told | ({"state": asked.state} if asked.state else {}))

    def _sent_back(self, redirect_uri: str, state: str, error: AskedWrongly) -> Response:
        told = {
            "error": error.error,
            "error_description": str(error),
            "iss": self.places.issuer,
        }
        return redirect(redirect_uri, told | ({"state": state} if state else {}))


def _require_in_force(faults: Faults) -> None:
    """Raise CardRefused if cards are to be refused as revoked."""
    if Fault.REVOKED in faults:
        raise CardRefused("the card is revoked, or suspended (the fault is on)")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise CardRefused("certificate (DER) and signature are encoded as base64") from None

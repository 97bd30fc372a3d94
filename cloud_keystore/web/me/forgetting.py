"""A forgotten password: a code by e-mail, what log-ins need if that is more, answers if a policy
wants them, another password. Nobody learns whether somebody is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from cloud_keystore.http.problems import of_error
from cloud_keystore.model.errors import (
    AddressUnreachable,
    InvalidInput,
    PortalClosed,
    TokenRejected,
    TooManyCalls,
    TooManyGuesses,
)
from cloud_keystore.model.portal.factors import Factor, Needed, Unproven
from cloud_keystore.model.portal.passwords import Wanted
from cloud_keystore.model.portal.questions import MOST
from cloud_keystore.people.portal.own_passwords import OwnPasswords
from cloud_keystore.people.portal.reset_factors import Given
from cloud_keystore.people.portal.visits import PortalVisits
from cloud_keystore.web.me.visiting import (
    ANSWERS,
    AREA,
    FORGOTTEN,
    RESET,
    RESET_AGAIN,
    RESET_ASKED,
)
from cloud_keystore.web.me.words import ANOTHER, PHONE_SAYS, left
from cloud_keystore.web.pages import Pages
from cloud_keystore.web.ra.own.answers import given_answer, said_of_allowed
from cloud_keystore.web.rows import Row
from cloud_keystore.web.visiting import given, typed

WRONG = "This code is wrong, or good no longer. Enter it again, or ask for another one."
UNEQUAL = "The two new passwords are not the same."
REFUSED = "The code or an answer is wrong. Enter them again, or ask for another code."
SAID = (
    AddressUnreachable,
    InvalidInput,
    PortalClosed,
    TokenRejected,
    TooManyCalls,
    TooManyGuesses,
)


@dataclass(frozen=True, slots=True)
class ForgettingPages:
    """Asks for a name, a code, and another password. The name is never in an address."""

    pages: Pages
    visits: PortalVisits
    passwords: OwnPasswords

    def rows(self) -> tuple[Row, ...]:
        """Its pages."""
        return (
            Row("GET", FORGOTTEN, self.ask),
            Row("POST", FORGOTTEN, self.send),
            Row("POST", ANSWERS, self.take),
            Row("POST", RESET, self.reset),
            Row("POST", RESET_AGAIN, self.again),
            Row("POST", RESET_ASKED, self.asked),
        )

    def ask(self, _request: Request, wrong: str = "", status: int = HTTPStatus.OK) -> Response:
        """The page that asks whose password is forgotten."""
        offer = self.visits.look()
        if not offer.is_open:
            return self.pages.page("me/closed", offer=offer)
        return self.pages.page("me/forgotten", status, wrong=wrong)

    def send(self, request: Request) -> Response:
        """Let a code be mailed, if there is somebody who gets one, and ask for it."""
        try:
            self.passwords.forget(given("name"))
        except SAID as error:
            return self.ask(request, str(error), of_error(error).status)
        return self._code()

    def take(self, _request: Request) -> Response:
        """Take the code, and ask for another password, and for what is wanted besides."""
        return self._wanted()

    def again(self, _request: Request) -> Response:
        """Let another code be sent by SMS, or the phone be asked again, or in the place of a
        passkey.
        """
        return self._wanted(again=True)

    def asked(self, _request: Request) -> Response:
        """What a script is to ask the holder's passkeys for."""
        try:
            wanted = self.passwords.ask_passkey(given("name"), given("code"))
        except SAID as error:
            return Response(status_code=of_error(error).status)
        if wanted is None:
            return Response(status_code=HTTPStatus.FORBIDDEN)
        return JSONResponse(said_of_allowed(wanted))

    def reset(self, _request: Request) -> Response:
        """Set another password, with which the holder logs in."""
        name, code, new = given("name"), given("code"), typed("new")
        asked = [given(f"question-{number}") for number in range(1, MOST + 1)]
        questions = tuple(each for each in asked if each)
        answers = tuple(typed(f"answer-{number}") for number in range(1, len(questions) + 1))
        wanted = Wanted(questions, _shown())
        if new != typed("once-more"):
            return self._new(wanted, UNEQUAL, HTTPStatus.UNPROCESSABLE_ENTITY)
        try:
            answer = given_answer() if given("credential_id") else None
            chosen = self.passwords.reset(name, code, new, answers, Given(given("second"), answer))
        except SAID as error:
            return self._new(wanted, str(error), of_error(error).status)
        if chosen.rule:
            wrong = f"the password does not do: {chosen.rule}"
            return self._new(wanted, wrong, HTTPStatus.UNPROCESSABLE_ENTITY)
        if chosen.unproven is not None:
            return self._new(wanted, _why(chosen.unproven), HTTPStatus.FORBIDDEN)
        if not chosen.is_set:
            return self._new(wanted, REFUSED, HTTPStatus.FORBIDDEN)
        return self.pages.page("me/password_set", fields={"Set-Cookie": AREA.kept("")})

    def _wanted(self, *, again: bool = False) -> Response:
        by_phone = given("by") == "phone"
        try:
            wanted = self.passwords.wanted(
                given("name"), given("code"), again=again, by_phone=by_phone
            )
        except SAID as error:
            return self._code(str(error), of_error(error).status)
        if wanted is None:
            return self._code(WRONG, HTTPStatus.FORBIDDEN)
        return self._new(wanted, said=ANOTHER if again else "")

    def _code(self, wrong: str = "", status: int = HTTPStatus.OK) -> Response:
        return self.pages.page("me/forgotten_code", status, who=given("name"), wrong=wrong)

    def _new(
        self, wanted: Wanted, wrong: str = "", status: int = HTTPStatus.OK, said: str = ""
    ) -> Response:
        return self.pages.page(
            "me/forgotten_new",
            status,
            who=given("name"),
            code=given("code"),
            questions=wanted.questions,
            needed=wanted.needed,
            wrong=wrong,
            said=said,
        )


def _shown() -> Needed:
    """What the page has said that is needed, to be said again. It counts for nothing else."""
    try:
        factor = Factor(given("factor"))
    except ValueError:
        factor = Factor.EMAIL
    return Needed(factor, given("number"), can_phone=given("can-phone") == "yes")


def _why(unproven: Unproven) -> str:
    """Why what is needed has not come."""
    return unproven.passkey or PHONE_SAYS.get(unproven.phone) or left(unproven.tries_left)

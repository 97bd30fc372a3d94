"""A forgotten password: a code by e-mail, answers if a policy wants them, another password. Nobody
learns whether somebody is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from cloud_keystore.http.problems import of_error
from cloud_keystore.model.errors import (
    AddressUnreachable,
    InvalidInput,
    PortalClosed,
    TooManyCalls,
    TooManyGuesses,
)
from cloud_keystore.model.portal.questions import MOST
from cloud_keystore.people.portal.own_passwords import OwnPasswords
from cloud_keystore.people.portal.visits import PortalVisits
from cloud_keystore.web.me.visiting import ANSWERS, AREA, FORGOTTEN, RESET
from cloud_keystore.web.pages import Pages
from cloud_keystore.web.rows import Row
from cloud_keystore.web.visiting import given, typed

WRONG = "This code is wrong, or good no longer. Enter it again, or ask for another one."
UNEQUAL = "The two new passwords are not the same."
REFUSED = "The code or an answer is wrong. Enter them again, or ask for another code."
SAID = (AddressUnreachable, InvalidInput, PortalClosed, TooManyCalls, TooManyGuesses)


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
        """Take the code, and ask for another password, and for answers."""
        try:
            questions = self.passwords.questions_of(given("name"), given("code"))
        except SAID as error:
            return self._code(str(error), of_error(error).status)
        if questions is None:
            return self._code(WRONG, HTTPStatus.FORBIDDEN)
        return self._new(questions)

    def reset(self, _request: Request) -> Response:
        """Set another password, with which the holder logs in."""
        name, code, new = given("name"), given("code"), typed("new")
        asked = [given(f"question-{number}") for number in range(1, MOST + 1)]
        questions = tuple(each for each in asked if each)
        answers = tuple(typed(f"answer-{number}") for number in range(1, len(questions) + 1))
        if new != typed("once-more"):
            return self._new(questions, UNEQUAL, HTTPStatus.UNPROCESSABLE_ENTITY)
        try:
            chosen = self.passwords.reset(name, code, new, answers)
        except SAID as error:
            return self._new(questions, str(error), of_error(error).status)
        if chosen.rule:
            wrong = f"the password does not do: {chosen.rule}"
            return self._new(questions, wrong, HTTPStatus.UNPROCESSABLE_ENTITY)
        if not chosen.is_set:
            return self._new(questions, REFUSED, HTTPStatus.FORBIDDEN)
        return self.pages.page("me/password_set", fields={"Set-Cookie": AREA.kept("")})

    def _code(self, wrong: str = "", status: int = HTTPStatus.OK) -> Response:
        return self.pages.page("me/forgotten_code", status, who=given("name"), wrong=wrong)

    def _new(
        self, questions: tuple[str, ...], wrong: str = "", status: int = HTTPStatus.OK
    ) -> Response:
        return self.pages.page(
            "me/forgotten_new",
            status,
            who=given("name"),
            code=given("code"),
            questions=questions,
            wrong=wrong,
        )

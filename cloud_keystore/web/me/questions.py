"""Security questions: which are chosen, and choosing others. Answers are typed unseen, and never
shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from cloud_keystore.http.problems import of_error
from cloud_keystore.model.errors import InvalidInput, PortalClosed, TooManyGuesses
from cloud_keystore.model.portal.questions import FEWEST, MOST, Question
from cloud_keystore.people.portal.own_passwords import OwnPasswords
from cloud_keystore.web.me.password import WRONG
from cloud_keystore.web.me.views import QUESTIONS, OwnViews
from cloud_keystore.web.rows import Row, see
from cloud_keystore.web.visiting import current, given, typed


@dataclass(frozen=True, slots=True)
class QuestionPages:
    """Asks for questions and their answers, and for the password."""

    views: OwnViews
    passwords: OwnPasswords

    def rows(self) -> tuple[Row, ...]:
        """Its pages."""
        return (Row("GET", QUESTIONS, self.ask), Row("POST", QUESTIONS, self.choose))

    def ask(self, request: Request, wrong: str = "", status: int = HTTPStatus.OK) -> Response:
        """The page."""
        return self.views.page(
            "questions",
            status,
            access=self.passwords.look(current().visitor),
            fewest=FEWEST,
            most=MOST,
            wrong=wrong,
            done=None if wrong else self.views.done(request),
        )

    def choose(self, request: Request) -> Response:
        """Take the questions whose fields are filled."""
        asked = [(given(f"question-{n}"), typed(f"answer-{n}")) for n in range(1, MOST + 1)]
        chosen = tuple(Question(*each) for each in asked if any(each))
        try:
            is_set = self.passwords.choose_questions(typed("password"), chosen, current().visitor)
        except (InvalidInput, PortalClosed, TooManyGuesses) as error:
            return self.ask(request, str(error), of_error(error).status)
        if not is_set:
            return self.ask(request, WRONG, HTTPStatus.FORBIDDEN)
        return see(f"{QUESTIONS}?done=questions")

"""Another password, for whoever knows the one in force."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from cloud_keystore.http.problems import of_error
from cloud_keystore.model.errors import InvalidInput, TooManyGuesses
from cloud_keystore.people.portal.own_passwords import OwnPasswords
from cloud_keystore.web.me.forgetting import UNEQUAL
from cloud_keystore.web.me.views import PASSWORD, OwnViews
from cloud_keystore.web.me.visiting import AREA
from cloud_keystore.web.rows import Row
from cloud_keystore.web.visiting import current, typed

WRONG = "The password in force is another one."


@dataclass(frozen=True, slots=True)
class PasswordPages:
    """Asks for the password in force and for another one, which ends all visits."""

    views: OwnViews
    passwords: OwnPasswords

    def rows(self) -> tuple[Row, ...]:
        """Its pages."""
        return (Row("GET", PASSWORD, self.ask), Row("POST", PASSWORD, self.change))

    def ask(self, _request: Request, wrong: str = "", status: int = HTTPStatus.OK) -> Response:
        """The page, with the security questions that have to be answered for a forgotten one."""
        access = self.passwords.look(current().visitor)
        return self.views.page("password", status, access=access, wrong=wrong)

    def change(self, request: Request) -> Response:
        """Set another password, with which the holder logs in again."""
        new, unusable = typed("new"), HTTPStatus.UNPROCESSABLE_ENTITY
        if new != typed("once-more"):
            return self.ask(request, UNEQUAL, unusable)
        try:
            chosen = self.passwords.change(typed("password"), new, current().visitor)
        except (InvalidInput, TooManyGuesses) as error:
            return self.ask(request, str(error), of_error(error).status)
        if chosen.rule:
            return self.ask(request, f"the new password does not do: {chosen.rule}", unusable)
        if not chosen.is_set:
            return self.ask(request, WRONG, HTTPStatus.FORBIDDEN)
        return self.views.pages.page("me/password_set", fields={"Set-Cookie": AREA.kept("")})

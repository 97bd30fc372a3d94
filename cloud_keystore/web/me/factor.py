"""What a log-in needs besides the password, and changing that with a code to the registered
address.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from cloud_keystore.http.problems import of_error
from cloud_keystore.model.errors import AddressUnreachable, InvalidInput, TooManyCalls
from cloud_keystore.model.portal.factors import Factor
from cloud_keystore.people.portal.factors import LogInFactors
from cloud_keystore.web.me.views import FACTOR, OwnViews
from cloud_keystore.web.me.words import PHONE_SAYS, left
from cloud_keystore.web.rows import Row, see
from cloud_keystore.web.visiting import current, given

SAID = (AddressUnreachable, InvalidInput, TooManyCalls)


@dataclass(frozen=True, slots=True)
class FactorPages:
    """Shows and changes how a holder logs in."""

    views: OwnViews
    factors: LogInFactors

    def rows(self) -> tuple[Row, ...]:
        """Its pages."""
        return (
            Row("GET", FACTOR, self.show),
            Row("POST", f"{FACTOR}/ask", self.ask),
            Row("POST", FACTOR, self.change),
        )

    def show(self, request: Request, wrong: str = "", status: int = HTTPStatus.OK) -> Response:
        """What is chosen, and what can be."""
        found = self.factors.look(current().visitor)
        done = None if wrong else self.views.done(request)
        offered = [str(each) for each in Factor if not found.demanded or each in found.demanded]
        return self.views.page(
            "factor", status, factors=found, offered=offered, wrong=wrong, done=done
        )

    def ask(self, request: Request) -> Response:
        """Let a code be mailed, and the phone be asked that is chosen."""
        try:
            asked = self.factors.ask(_factor(), current().visitor)
        except SAID as error:
            return self.show(request, str(error), of_error(error).status)
        return self.views.page(
            "factor_code", factor=str(asked.factor), number=asked.number, wrong=""
        )

    def change(self, request: Request) -> Response:
        """Take the code, and the yes of the phone."""
        try:
            factor = _factor()
            changed = self.factors.change(factor, given("code"), current().visitor)
        except SAID as error:
            return self.show(request, str(error), of_error(error).status)
        if changed.is_set:
            return see(f"{FACTOR}?done=factor")
        asked = self.factors.waiting(current().visitor)
        number = "" if asked is None or factor is not Factor.PHONE else asked.number
        wrong = PHONE_SAYS.get(changed.phone) or left(changed.tries_left)
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        return self.views.page(
            "factor_code", status, factor=str(factor), number=number, wrong=wrong
        )


def _factor() -> Factor:
    """What was chosen; raises InvalidInput."""
    try:
        return Factor(given("factor"))
    except ValueError:
        raise InvalidInput("choose one of those on the page") from None

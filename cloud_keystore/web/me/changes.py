"""What holders change of their cards here, each with the yes of their phone: another passcode, and
the renewal of a card that ends soon.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from cloud_keystore.cards.own.renewals import Renewals, Waiting
from cloud_keystore.http.problems import of_error
from cloud_keystore.model.errors import InvalidInput, TooManyCalls
from cloud_keystore.model.passcodes import PASSCODE_RULE
from cloud_keystore.people.portal.resets import Asked, PasscodeResets
from cloud_keystore.web.me.views import OwnViews
from cloud_keystore.web.me.visiting import AT
from cloud_keystore.web.me.words import PHONE_SAYS
from cloud_keystore.web.rows import Row, see
from cloud_keystore.web.visiting import current, typed

PASSCODE, RENEW = f"{AT}/cards/{{serial}}/passcode", f"{AT}/cards/{{serial}}/renew"
UNEQUAL = "The two new passcodes are not the same."
USED = "What your phone agreed to is done. Ask it again for another time."


@dataclass(frozen=True, slots=True)
class CardChangePages:
    """Asks the phone, and does what it has agreed to. What is off by policy says so."""

    views: OwnViews
    resets: PasscodeResets
    renewals: Renewals

    def rows(self) -> tuple[Row, ...]:
        """Its pages."""
        return (
            Row("GET", PASSCODE, self.show_passcode),
            Row("POST", f"{PASSCODE}/ask", self.ask_passcode),
            Row("POST", PASSCODE, self.choose_passcode),
            Row("GET", RENEW, self.show_renewal),
            Row("POST", f"{RENEW}/ask", self.ask_renewal),
            Row("POST", RENEW, self.renew),
        )

    def show_passcode(self, request: Request) -> Response:
        """What it needs."""
        asked = self.resets.look(_serial(request), current().visitor)
        return self._passcode(Asked(asked.serial, asked.is_locked, "", asked.state))

    def ask_passcode(self, request: Request) -> Response:
        """Ask the phone, and show the number to type there."""
        try:
            return self._passcode(self.resets.ask(_serial(request), current().visitor))
        except TooManyCalls as error:
            asked = self.resets.look(_serial(request), current().visitor)
            return self._passcode(asked, str(error), of_error(error).status)

    def choose_passcode(self, request: Request) -> Response:
        """Take the passcode, and show the card's new PUK."""
        serial, new, unusable = _serial(request), typed("new"), HTTPStatus.UNPROCESSABLE_ENTITY
        asked = self.resets.look(serial, current().visitor)
        if new != typed("once-more"):
            return self._passcode(asked, UNEQUAL, unusable)
        chosen = self.resets.choose(serial, new.encode(), current().visitor)
        if chosen.rule:
            return self._passcode(asked, f"the passcode does not do: {chosen.rule}", unusable)
        if not chosen.puk:
            wrong = PHONE_SAYS.get(chosen.phone, USED)
            return self._passcode(asked, wrong, HTTPStatus.FORBIDDEN)
        return self.views.page("passcode_chosen", serial=serial, puk=chosen.puk)

    def show_renewal(self, request: Request) -> Response:
        """What a renewal would bring."""
        found = self.renewals.look(_serial(request), current().visitor)
        return self._renewal(request, Waiting(found.foreseen, "", found.state))

    def ask_renewal(self, request: Request) -> Response:
        """Ask the phone, and show the number to type there."""
        try:
            found = self.renewals.ask(_serial(request), current().visitor)
            return self._renewal(request, found)
        except (InvalidInput, TooManyCalls) as error:
            found = self.renewals.look(_serial(request), current().visitor)
            return self._renewal(request, found, str(error), of_error(error).status)

    def renew(self, request: Request) -> Response:
        """Renew the card."""
        renewed = self.renewals.renew(_serial(request), current().visitor)
        if renewed.done is None:
            found = self.renewals.look(_serial(request), current().visitor)
            wrong = PHONE_SAYS.get(renewed.phone, USED)
            return self._renewal(request, found, wrong, HTTPStatus.FORBIDDEN)
        return see(f"{AT}?done={'renewing' if renewed.done.waiting else 'renewed'}")

    def _passcode(self, asked: Asked, wrong: str = "", status: int = HTTPStatus.OK) -> Response:
        return self.views.page("passcode", status, asked=asked, rule=PASSCODE_RULE, wrong=wrong)

    def _renewal(
        self, request: Request, found: Waiting, wrong: str = "", status: int = HTTPStatus.OK
    ) -> Response:
        serial = _serial(request)
        return self.views.page("renew", status, serial=serial, found=found, wrong=wrong)


def _serial(request: Request) -> str:
    return str(request.path_params["serial"])

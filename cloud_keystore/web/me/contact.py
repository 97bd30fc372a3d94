"""How a holder is reached: the e-mail address and the phone number, and their verification."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from cloud_keystore.http.problems import of_error
from cloud_keystore.model.errors import (
    AddressUnreachable,
    InvalidInput,
    PhoneUnreachable,
    TooManyCalls,
)
from cloud_keystore.people.phones import Phones
from cloud_keystore.people.portal.addresses import Addresses
from cloud_keystore.people.portal.factors import LogInFactors
from cloud_keystore.web.me.views import CONTACT, OwnViews
from cloud_keystore.web.me.words import left
from cloud_keystore.web.rows import Row, see
from cloud_keystore.web.visiting import current, given

SAID = (AddressUnreachable, PhoneUnreachable, TooManyCalls, InvalidInput)


@dataclass(frozen=True, slots=True)
class ContactPages:
    """Shows how a holder is reached, and takes codes."""

    views: OwnViews
    addresses: Addresses
    numbers: Phones
    factors: LogInFactors

    def rows(self) -> tuple[Row, ...]:
        """Its pages."""
        return (
            Row("GET", CONTACT, self.show),
            Row("POST", f"{CONTACT}/email/send", self.send_email),
            Row("POST", f"{CONTACT}/email", self.take_email),
            Row("POST", f"{CONTACT}/number/send", self.send_number),
            Row("POST", f"{CONTACT}/number", self.take_number),
        )

    def show(
        self, request: Request, at: str = "", wrong: str = "", status: int = HTTPStatus.OK
    ) -> Response:
        """The page; `at` is where something was wrong."""
        user = self.factors.contact(current().visitor)
        done = None if wrong else self.views.done(request)
        return self.views.page("contact", status, user=user, at=at, wrong=wrong, done=done)

    def send_email(self, request: Request) -> Response:
        """Let a code be mailed, which voids the one before."""
        try:
            self.addresses.send_own(current().visitor)
        except SAID as error:
            return self.show(request, "email", str(error), of_error(error).status)
        return see(f"{CONTACT}?done=email-code")

    def take_email(self, request: Request) -> Response:
        """Take the code that was mailed."""
        try:
            found = self.addresses.confirm_own(given("email-code"), current().visitor)
        except SAID as error:
            return self.show(request, "email", str(error), of_error(error).status)
        if not found.is_verified:
            said = left(found.tries_left)
            return self.show(request, "email", said, HTTPStatus.UNPROCESSABLE_ENTITY)
        return see(f"{CONTACT}?done=email")

    def send_number(self, request: Request) -> Response:
        """Let a code be sent to the phone number, which voids the one before."""
        try:
            self.numbers.send_own(current().visitor)
        except SAID as error:
            return self.show(request, "number", str(error), of_error(error).status)
        return see(f"{CONTACT}?done=number-code")

    def take_number(self, request: Request) -> Response:
        """Take the code that was sent to the phone number."""
        try:
            found = self.numbers.confirm_own(given("number-code"), current().visitor)
        except SAID as error:
            return self.show(request, "number", str(error), of_error(error).status)
        if not found.is_verified:
            said = left(found.tries_left)
            return self.show(request, "number", said, HTTPStatus.UNPROCESSABLE_ENTITY)
        return see(f"{CONTACT}?done=number")

"""The passkeys of a holder, which are added and removed with a code to the registered address."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from cloud_keystore.http.problems import of_error
from cloud_keystore.model.errors import (
    AddressUnreachable,
    IdentityNotFound,
    InvalidInput,
    TokenRejected,
    TooManyCalls,
)
from cloud_keystore.model.portal.passkeys import PortalPasskey
from cloud_keystore.model.rights.log_ins import LONGEST_PASSKEY_NAME
from cloud_keystore.people.portal.passkeys import PortalPasskeys
from cloud_keystore.web.me.views import PASSKEYS, OwnViews
from cloud_keystore.web.me.visiting import LOG_IN
from cloud_keystore.web.me.words import left
from cloud_keystore.web.ra.own.answers import given_bytes, given_new, said_of_new
from cloud_keystore.web.rows import Row, see
from cloud_keystore.web.visiting import current, given

SAID = (AddressUnreachable, InvalidInput, TokenRejected, TooManyCalls)
ONE = f"{PASSKEYS}/{{passkey_id}}/remove"


@dataclass(frozen=True, slots=True)
class OwnPasskeyPages:
    """Shows holders their passkeys, and lets them add and remove some."""

    views: OwnViews
    passkeys: PortalPasskeys

    def rows(self) -> tuple[Row, ...]:
        """Its pages."""
        return (
            Row("GET", PASSKEYS, self.show),
            Row("POST", f"{PASSKEYS}/code", self.send),
            Row("POST", f"{PASSKEYS}/asked", self.asked),
            Row("POST", PASSKEYS, self.add),
            Row("GET", ONE, self.ask_remove),
            Row("POST", f"{ONE}/code", self.send_for_removal),
            Row("POST", ONE, self.remove),
        )

    def show(self, request: Request, wrong: str = "", status: int = HTTPStatus.OK) -> Response:
        """The passkeys."""
        found = self.passkeys.list_own(current().visitor)
        done = None if wrong else self.views.done(request)
        return self.views.page("passkeys", status, passkeys=found, wrong=wrong, done=done)

    def send(self, request: Request) -> Response:
        """Let a code be mailed with which one is added."""
        try:
            self.passkeys.send_code(current().visitor)
        except SAID as error:
            return self.show(request, str(error), of_error(error).status)
        return self._new()

    def asked(self, _request: Request) -> Response:
        """What a script is to let the authenticator make."""
        return JSONResponse(said_of_new(self.passkeys.ask_new(current().visitor)))

    def add(self, _request: Request) -> Response:
        """Add the passkey that was made, with the code."""
        name, code = given("name"), given("code")
        try:
            challenge, made = given_bytes("challenge"), given_new()
            added = self.passkeys.add(name, code, challenge, made, current().visitor)
        except SAID as error:
            return self._new(str(error), of_error(error).status)
        if not added.is_done:
            return self._new(left(added.tries_left), HTTPStatus.UNPROCESSABLE_ENTITY)
        return see(f"{PASSKEYS}?done=passkey")

    def ask_remove(self, request: Request) -> Response:
        """The question whether a passkey is removed."""
        return self._removal(request, is_sent=False)

    def send_for_removal(self, request: Request) -> Response:
        """Let a code be mailed with which it is removed."""
        try:
            self.passkeys.send_code(current().visitor)
        except SAID as error:
            return self._removal(request, str(error), of_error(error).status, is_sent=False)
        return self._removal(request, is_sent=True)

    def remove(self, request: Request) -> Response:
        """Take a passkey out of use for ever, with the code. Its holder is logged out then."""
        passkey_id = str(request.path_params["passkey_id"])
        try:
            removed = self.passkeys.remove_own(passkey_id, given("code"), current().visitor)
        except SAID as error:
            return self._removal(request, str(error), of_error(error).status, is_sent=True)
        if not removed.is_done:
            wrong, status = left(removed.tries_left), HTTPStatus.UNPROCESSABLE_ENTITY
            return self._removal(request, wrong, status, is_sent=True)
        return see(LOG_IN)

    def _new(self, wrong: str = "", status: int = HTTPStatus.OK) -> Response:
        return self.views.page(
            "passkey_add", status, wrong=wrong, typed=given("name"), most=LONGEST_PASSKEY_NAME
        )

    def _removal(
        self, request: Request, wrong: str = "", status: int = HTTPStatus.OK, *, is_sent: bool
    ) -> Response:
        passkey = self._named(str(request.path_params["passkey_id"]))
        return self.views.page(
            "passkey_remove", status, passkey=passkey, wrong=wrong, is_sent=is_sent
        )

    def _named(self, passkey_id: str) -> PortalPasskey:
        for each in self.passkeys.list_own(current().visitor):
            if each.id == passkey_id:
                return each
        raise IdentityNotFound("you have no such passkey: it may be removed already")

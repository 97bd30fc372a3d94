"""Log-in by passkeys, and the passkeys of whoever has logged in. Scripts ask the authenticator, and
put its answer into a form; the rest of a page needs none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from cloud_keystore.model.errors import InvalidInput, TokenRejected
from cloud_keystore.model.rights.log_ins import LogInPasskey
from cloud_keystore.people.rights.log_in_passkeys import LogInPasskeys
from cloud_keystore.web.ra.entering import asked, entered
from cloud_keystore.web.ra.forms import Question, ask
from cloud_keystore.web.ra.own.answers import (
    given_answer,
    given_bytes,
    given_new,
    said_of,
    said_of_new,
)
from cloud_keystore.web.ra.views import Views
from cloud_keystore.web.ra.visiting import AREA, AT, PASSKEY, PASSKEY_ASKED
from cloud_keystore.web.rows import Row, see
from cloud_keystore.web.visiting import current, given

OWN = f"{AT}/my-log-in"
DONE = {"added": "The passkey is added: you can log in with it from now on."}


@dataclass(frozen=True, slots=True)
class PasskeyPages:
    """Lets operators in by passkeys, and shows them their own."""

    views: Views
    passkeys: LogInPasskeys

    def rows(self) -> tuple[Row, ...]:
        """Its pages."""
        return (
            Row("POST", PASSKEY_ASKED, self.asked),
            Row("POST", PASSKEY, self.begin),
            Row("GET", OWN, self.show),
            Row("POST", f"{OWN}/asked", self.asked_new),
            Row("POST", OWN, self.add),
            Row("GET", f"{OWN}/{{passkey_id}}/remove", self.ask_remove),
            Row("POST", f"{OWN}/{{passkey_id}}/remove", self.remove),
        )

    def asked(self, _request: Request) -> Response:
        """What a script is to ask the authenticator for."""
        return JSONResponse(said_of(self.passkeys.ask()))

    def begin(self, request: Request) -> Response:
        """Begin a visit, with a secret that no browser has had before."""
        wanted = AREA.own_path(given("next"))
        try:
            secret = self.passkeys.begin(given_answer())
        except TokenRejected as error:
            return asked(self.views.pages, wanted, wrong=str(error), by="passkey")
        return entered(self.views.visits, request, secret, wanted)

    def show(self, request: Request, wrong: str = "") -> Response:
        """How whoever visits can log in."""
        done = DONE.get(current().opened("done", request.query_params.get("done", "")), "")
        return self._shown(self.passkeys.list_own(current().visitor), done, wrong)

    def asked_new(self, _request: Request) -> Response:
        """What a script is to let the authenticator make."""
        return JSONResponse(said_of_new(self.passkeys.ask_new(current().visitor)))

    def add(self, request: Request) -> Response:
        """Add the passkey that was made."""
        try:
            name, challenge = given("name"), given_bytes("challenge")
            self.passkeys.add(name, challenge, given_new(), current().visitor)
        except (InvalidInput, TokenRejected) as error:
            return self.show(request, str(error))
        return see(OWN, "added")

    def ask_remove(self, request: Request) -> Response:
        """The question whether a passkey is removed."""
        own = self.passkeys.list_own(current().visitor)
        wanted = str(request.path_params["passkey_id"])
        named = next((each.display_name for each in own if each.id == wanted), "")
        question = Question(
            f"Remove the passkey {named}?" if named else "Remove this passkey?",
            (
                "Nobody can log in with it any more, and you are logged out everywhere, here too. "
                "You can log in again with a code, and with your other passkeys. Remove it in your "
                "browser or phone too, which go on offering it.",
            ),
            "Remove the passkey",
            OWN,
            warns=True,
        )
        return ask(self.views, question)

    def remove(self, request: Request) -> Response:
        """Take a passkey out of use for ever."""
        self.passkeys.remove_own(str(request.path_params["passkey_id"]), current().visitor)
        return see(OWN)

    def _shown(self, own: Sequence[LogInPasskey], done: str, wrong: str) -> Response:
        status = HTTPStatus.UNPROCESSABLE_ENTITY if wrong else HTTPStatus.OK
        typed = given("name") if wrong else ""
        return self.views.page(
            "my_log_in", status, passkeys=own, done=done, wrong=wrong, typed=typed, path=OWN
        )

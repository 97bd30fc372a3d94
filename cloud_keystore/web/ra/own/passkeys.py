"""Log-in by passkeys, and the passkeys of whoever has logged in. Scripts ask the authenticator, and
put its answer into a form; the rest of a page needs none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from cloud_keystore.approval.passkeys import Registration
from cloud_keystore.model.errors import InvalidInput, TokenRejected
from cloud_keystore.model.rights.log_ins import LogInPasskey
from cloud_keystore.people.rights.log_in_passkeys import Asked, LogInPasskeys, PasskeyAnswer
from cloud_keystore.web.proofs import ProofRejected, decoded, encoded
from cloud_keystore.web.ra.entering import asked, entered
from cloud_keystore.web.ra.forms import Question, ask
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
        return JSONResponse(_asked(self.passkeys.ask()))

    def begin(self, request: Request) -> Response:
        """Begin a visit, with a secret that no browser has had before."""
        wanted = AREA.own_path(given("next"))
        try:
            secret = self.passkeys.begin(
                PasskeyAnswer(
                    challenge=_bytes("challenge"),
                    credential_id=_bytes("credential_id"),
                    user_handle=_bytes("user_handle"),
                    authenticator_data=_bytes("authenticator_data"),
                    client_data=_bytes("client_data"),
                    signature=_bytes("signature"),
                )
            )
        except TokenRejected as error:
            return asked(self.views.pages, wanted, wrong=str(error), by="passkey")
        return entered(self.views.visits, request, secret, wanted)

    def show(self, request: Request, wrong: str = "") -> Response:
        """How whoever visits can log in."""
        done = DONE.get(current().opened(request.query_params.get("done", "")), "")
        return self._shown(self.passkeys.list_own(current().visitor), done, wrong)

    def asked_new(self, _request: Request) -> Response:
        """What a script is to let the authenticator make."""
        wanted = self.passkeys.ask_new(current().visitor)
        said = {
            **_asked(wanted.asked),
            "user_handle": encoded(wanted.user_handle),
            "name": wanted.name,
            "present": [encoded(each) for each in wanted.present],
        }
        return JSONResponse(said)

    def add(self, request: Request) -> Response:
        """Add the passkey that was made."""
        try:
            made = Registration(_bytes("attestation_object"), _bytes("client_data"))
            self.passkeys.add(given("name"), _bytes("challenge"), made, current().visitor)
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


def _asked(asked: Asked) -> dict[str, object]:
    return {
        "challenge": encoded(asked.challenge),
        "rp_id": asked.rp_id,
        "origin": asked.origin,
    }


def _bytes(name: str) -> bytes:
    """Bytes of the form that was sent; raises TokenRejected for what is no base64url."""
    try:
        return decoded(given(name))
    except ProofRejected:
        raise TokenRejected(
            "your browser sent something that cannot be read: load the page again"
        ) from None

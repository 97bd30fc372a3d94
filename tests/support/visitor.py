"""An operator at the pages of the registration authority, without a browser."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from starlette.types import ASGIApp

from cloud_keystore.model.people import Identity
from cloud_keystore.web.ra.visiting import AREA, LOG_IN
from support.keystore_world import World
from support.rest import Answer
from support.site import ask

FORM = {"content-type": "application/x-www-form-urlencoded"}
BOUNDARY = "----aBoundary4711"
UPLOAD = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
TOKEN = re.compile(r'name="form_token" value="([^"]+)"')


@dataclass
class Visitor:
    """Somebody who has logged in, or not yet."""

    application: ASGIApp
    secret: str = ""
    sent: Mapping[str, str] = field(default_factory=dict)  # header fields, otherwise than usual

    @classmethod
    def of(cls, world: World, application: ASGIApp, operator: Identity) -> Visitor:
        """An operator who has logged in."""
        made = cls(application)
        told = made.log_in(world.visits.make_code(operator).text)
        assert told.status == 303, told.body
        return made

    def log_in(self, code: str, wanted: str = "") -> Answer:
        """Give a code, and keep what the browser is told to keep."""
        told = self.post(LOG_IN, token=False, code=code, next=wanted)
        self.take(told)
        return told

    def take(self, told: Answer) -> None:
        """Keep the cookie of an answer, or forget the one before."""
        if (cookie := told.fields.get("set-cookie")) is not None:
            self.secret = cookie.partition(";")[0].removeprefix(f"{AREA.cookie}=")

    def get(self, path: str) -> Answer:
        """Ask for a page."""
        return ask(self.application, "GET", path, {**self._cookie, **self.sent})

    def post(self, path: str, *, token: str | bool = True, **said: str) -> Answer:
        """Send a form: with the token of its page, with another one, or without any."""
        if token is True:
            token = self.form_token()
        if token:
            said["form_token"] = str(token)
        fields = {**FORM, **self._cookie, **self.sent}
        return ask(self.application, "POST", path, fields, urlencode(said).encode())

    def upload(self, path: str, raw: bytes, **said: str) -> Answer:
        """Send a form with a file."""
        if "form_token" not in said:
            said["form_token"] = self.form_token()
        fields = {**UPLOAD, **self._cookie, **self.sent}
        return ask(self.application, "POST", path, fields, uploaded(raw, said))

    def page(self, path: str) -> str:
        """The text of a page that is there."""
        told = self.get(path)
        assert told.status == 200, told.body
        return told.body.decode()

    def done(self, path: str, **said: str) -> str:
        """Send a form that does something; the text of the page to which it leads."""
        told = self.post(path, **said)
        assert told.status == 303, told.body
        return self.page(told.fields["location"])

    def form_token(self) -> str:
        """That of the visit."""
        found = TOKEN.search(self.get("/ra/people").body.decode())
        assert found is not None
        return found[1]

    @property
    def _cookie(self) -> dict[str, str]:
        return {"cookie": f"{AREA.cookie}={self.secret}"} if self.secret else {}


def uploaded(raw: bytes, said: Mapping[str, str], files: int = 1) -> bytes:
    """A form with a file, or with the same several times, as browsers send it (RFC 7578)."""
    parts = [
        f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode()
        for name, value in said.items()
    ]
    head = b'Content-Disposition: form-data; name="file"; filename="people.csv"\r\n'
    parts += [head + b"Content-Type: text/csv\r\n\r\n" + raw] * files
    line = f"--{BOUNDARY}".encode()
    return b"".join(line + b"\r\n" + each + b"\r\n" for each in parts) + line + b"--\r\n"

"""A holder at the portal of a real keystore: a plain client of HTTP, which keeps cookies."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from http.client import HTTPConnection
from urllib.parse import urlencode

from cloud_keystore.web.me.views import FACTOR
from cloud_keystore.web.me.visiting import CODE, LOG_IN
from support.mail_server import MailServer
from support.portal import PASSWORD, code_in
from support.visitor import FORM, TOKEN

NUMBER = re.compile(r'id="number">(\d\d)<')
KEPT = re.compile(r"(__Host-[a-z-]+)=([^;]*)")


@dataclass
class Letters:
    """The letters that a mail server has got for somebody, each read once."""

    mail: MailServer
    email: str
    _read: int = 0

    def code(self, subject: str) -> str:
        """The code in the next letter that is about something."""
        while True:
            letter = self.mail.wait_for(self._read + 1)[self._read]
            self._read += 1
            if (letter["to"], letter["subject"]) == (self.email, subject):
                body = letter.get_body(("plain",))
                assert body is not None
                return code_in(str(body.get_content()))


@dataclass
class WebGuest:
    """Somebody whose browser keeps cookies and nothing else."""

    at: str  # host and port
    letters: Letters
    kept: dict[str, str] = field(default_factory=dict)

    def log_in(self) -> str:
        """Give the password. Returns the number of the page that comes, if it has one."""
        self.send("POST", LOG_IN, name=self.letters.email, password=PASSWORD)
        return number_in(self.send("GET", CODE)[1])

    def enter(self, code: str = "") -> bool:
        """Give a code, or say that the phone has agreed. Returns whether that lets in."""
        return self.send("POST", CODE, code=code)[0] == 303

    def ask_phone_always(self) -> str:
        """Ask the phone whether it is asked at each log-in. Returns the number."""
        return number_in(self.send("POST", f"{FACTOR}/ask", token=True, factor="phone")[1])

    def settle(self) -> bool:
        """Do that, with the mailed code. Returns whether it is done."""
        code = self.letters.code("Your code to change how you log in")
        return self.send("POST", FACTOR, token=True, factor="phone", code=code)[0] == 303

    def send(self, method: str, path: str, *, token: bool = False, **said: str) -> tuple[int, str]:
        """Send a request, perhaps with the token of the visit's forms; status and page."""
        if token:
            found = TOKEN.search(self.send("GET", "/me")[1])
            assert found is not None
            said["form_token"] = found[1]
        connection = HTTPConnection(self.at, timeout=60)
        cookies = "; ".join(f"{name}={value}" for name, value in self.kept.items())
        fields = {**FORM, "origin": f"http://{self.at}", "cookie": cookies}
        connection.request(method, path, urlencode(said), fields)
        told = connection.getresponse()
        for each in told.headers.get_all("set-cookie") or ():
            self.kept.update(KEPT.findall(each.partition(";")[0]))
        page = told.read().decode()
        connection.close()
        return told.status, page


def number_in(page: str) -> str:
    """The number that a page shows; empty if it shows none."""
    found = NUMBER.search(page)
    return "" if found is None else found[1]

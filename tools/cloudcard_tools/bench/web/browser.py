"""A browser as far as a bench needs one: it keeps a connection and a cookie, and loads a page with
all that belongs to it.
"""

from __future__ import annotations

import gzip
import re
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPSConnection
from urllib.parse import urlencode, urljoin

from cloudcard_tools.bench.certificates import HOST

SECONDS = 120.0  # for an answer, on a busy computer
FORM = "application/x-www-form-urlencoded"
AUTHENTICATOR = "/authenticator"
# The keystore closes connections over which nothing has come for a while, of which it has read
# nothing then. On a busy computer a handshake can last longer than it waits.
CLOSED = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
# What a page, a style or a script names that belongs to it
NAMED = re.compile(r"""["'(](/assets/[\w./-]+|\./[\w.-]+\.js)["')]""")


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered."""

    status: int
    fields: Mapping[str, str]  # names in lower case
    body: bytes  # as it came over the network

    def text(self) -> str:
        """The body, read."""
        packed = self.fields.get("content-encoding") == "gzip"
        return (gzip.decompress(self.body) if packed else self.body).decode(errors="replace")


@dataclass
class Browser:
    """A browser with a connection to the port of the pages."""

    port: int
    trust: ssl.SSLContext
    cookie: str = ""
    _connection: HTTPSConnection | None = field(default=None, init=False)

    @property
    def origin(self) -> str:
        """Where the pages are."""
        return f"https://{HOST}:{self.port}"

    def connection(self) -> HTTPSConnection:
        """A new connection."""
        return HTTPSConnection(HOST, self.port, timeout=SECONDS, context=self.trust)

    def send(
        self, method: str, path: str, body: bytes = b"", fields: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request, and read the answer."""
        sent = {"Origin": self.origin, "Accept-Encoding": "gzip", **(fields or {})}
        if self.cookie:
            sent["Cookie"] = self.cookie
        with suppress(*CLOSED):
            return self._sent(method, path, body, sent)
        self.close()
        return self._sent(method, path, body, sent)

    def page(self, path: str) -> Answer:
        """A page that is there; raises RuntimeError for any other answer."""
        answer = self.send("GET", path)
        if answer.status != HTTPStatus.OK:
            raise RuntimeError(f"{path} was answered by {answer.status}: {answer.text()[-2000:]}")
        return answer

    def log_in(self, path: str, code: str) -> None:
        """Log in by a code."""
        said = urlencode({"code": code, "next": ""}).encode()
        answer = self.send("POST", path, said, {"Content-Type": FORM})
        self.cookie = answer.fields.get("set-cookie", "").partition(";")[0]
        if answer.status != HTTPStatus.SEE_OTHER or not self.cookie:
            raise RuntimeError(f"the log-in was answered by {answer.status}")

    def first_load(self) -> int:
        """How many bytes the authenticator has until it can be opened without a network: the page,
        and all that it, its scripts and its worker name.
        """
        waiting, seen, total = [AUTHENTICATOR], {AUTHENTICATOR}, 0
        while waiting:
            path = waiting.pop()
            answer = self.page(path)
            total += len(answer.body)
            if path.endswith((".png", ".svg")):
                continue
            named = {urljoin(path, each) for each in NAMED.findall(answer.text())}
            waiting += sorted(named - seen)
            seen |= named
        return total

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _sent(self, method: str, path: str, body: bytes, fields: Mapping[str, str]) -> Answer:
        if self._connection is None:
            self._connection = self.connection()
        self._connection.request(method, path, body or None, dict(fields))
        found = self._connection.getresponse()
        named = {name.lower(): value for name, value in found.getheaders()}
        return Answer(found.status, named, found.read())

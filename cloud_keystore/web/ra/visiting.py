"""Finds out whose visit a request belongs to, and whether a form is one of ours, before any page of
the registration authority is served.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest
from http import HTTPStatus
from urllib.parse import parse_qsl, quote, urlencode

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from cloud_keystore.border.presented import PRESENTED, Presented
from cloud_keystore.http.bodies import replayed
from cloud_keystore.model.errors import IdentityRejected
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.model.rights.visits import LONGEST_VISIT, SECRET_PREFIX, text_sha256
from cloud_keystore.people.rights.visits import Visits
from cloud_keystore.web.gate import Admit, Refused

AT = "/ra"
LOG_IN = f"{AT}/log-in"
COOKIE = "__Host-cloudcard-visit"  # of this host, by TLS alone, for all paths (RFC 6265bis, 4.1.3)
ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Lax"
FORM = "form_token"
MOST_FIELDS = 40
LONGEST_PATH = 500  # to which a log-in leads back


@dataclass(frozen=True, slots=True)
class Visiting:
    """The visit that a request belongs to."""

    operator: Identity
    secret: str = field(repr=False)

    @property
    def form_token(self) -> str:
        """What each form of the visit has, and nobody knows who has not seen one of its pages."""
        return self._made("form")

    def sealed(self, word: str) -> str:
        """A word in an address that nobody else can have put there."""
        return f"{word}.{self._made('word', word)}"

    def opened(self, text: str) -> str:
        """The word that was sealed in the same visit; empty for anything else."""
        word = text.partition(".")[0]
        return word if compare_digest(text.encode(), self.sealed(word).encode()) else ""

    def _made(self, *what: str) -> str:
        """What nobody makes who has not the secret, for one purpose."""
        said = "\0".join((f"cloudcard {what[0]}", *what[1:], self.secret))
        made = sha256(said.encode()).digest()
        return base64.urlsafe_b64encode(made).decode().rstrip("=")


VISITING: ContextVar[Visiting] = ContextVar("visiting")
FIELDS: ContextVar[Mapping[str, str]] = ContextVar("form_fields")


def current() -> Visiting:
    """The visit under way; raises LookupError outside of one."""
    return VISITING.get()


def given(name: str) -> str:
    """A field of the form that was sent, without blanks around it; empty if it has none."""
    return FIELDS.get().get(name, "").strip()


def has_answered() -> bool:
    """Whether the request under way is a form that was sent."""
    return bool(FIELDS.get())


def kept(secret: str) -> str:
    """The field by which a browser is told to keep a secret; or to forget it, for none."""
    age = int(LONGEST_VISIT.total_seconds()) if secret else 0
    return f"{COOKIE}={secret}; Max-Age={age}; {ATTRIBUTES}"


def own_path(text: str) -> str:
    """The page to which a log-in leads back: one of ours, else the first one."""
    is_ours = text == AT or text.startswith((f"{AT}/", f"{AT}?"))
    if is_ours and text.isascii() and text.isprintable() and len(text) <= LONGEST_PATH:
        return text if "\\" not in text and ".." not in text else AT
    return AT


@dataclass(frozen=True, slots=True)
class Doorkeeper:
    """An ASGI application in front of the pages for operators; others pass."""

    behind: ASGIApp
    visits: Visits
    admit: Admit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path = scope["path"]
        if path != AT and not path.startswith(f"{AT}/"):
            await self.behind(scope, receive, send)
            return
        fields = Headers(scope=scope)
        body = (await receive())["body"]
        FIELDS.set(_fields(fields, body) if scope["method"] == "POST" else {})
        if path != LOG_IN:
            try:
                visiting = await self._visiting(fields)
            except IdentityRejected:
                await _log_in(scope)(scope, receive, send)
                return
            self.admit("operator", visiting.operator.id)
            VISITING.set(visiting)
            if scope["method"] == "POST" and not compare_digest(
                given(FORM).encode(), visiting.form_token.encode()
            ):
                raise Refused(HTTPStatus.FORBIDDEN)
        elif scope["method"] == "POST":
            self.admit("enrolment", scope["cloudcard.place"])
        await self.behind(scope, replayed(body, receive), send)

    async def _visiting(self, fields: Headers) -> Visiting:
        """The visit whose secret a browser has kept; raises IdentityRejected."""
        # Whoever sends two can have one from somebody else.
        cookies = [each for line in fields.getlist("cookie") for each in line.split(";")]
        mine = [each for each in cookies if each.strip().startswith(f"{COOKIE}=")]
        secret = cookie_parser(mine[0]).get(COOKIE, "") if len(mine) == 1 else ""
        fingerprint = text_sha256(SECRET_PREFIX, secret)
        if fingerprint is None:
            raise IdentityRejected("there is no visit")
        operator = await asyncio.to_thread(self.visits.find, fingerprint)
        PRESENTED.set(Presented(fingerprint, Role.OPERATOR))
        return Visiting(operator, secret)


def _fields(fields: Headers, body: bytes) -> Mapping[str, str]:
    """The fields of a form; raises Refused for what is none."""
    kind = fields.get("content-type", "").partition(";")[0].strip()
    if kind != "application/x-www-form-urlencoded":
        raise Refused(HTTPStatus.BAD_REQUEST)
    try:
        found = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            max_num_fields=MOST_FIELDS,
            errors="strict",
        )
    except ValueError:
        raise Refused(HTTPStatus.BAD_REQUEST) from None
    # Browsers send lines as they went over telegraph wires (HTML, 4.10.22).
    return {name: value.replace("\r\n", "\n") for name, value in found}


def _log_in(scope: Scope) -> RedirectResponse:
    """Where somebody goes who is not logged in, and from there back."""
    path = quote(scope["path"])
    if scope["method"] == "POST":  # what was typed is lost, but not the page
        path = path.rpartition("/")[0] or AT
    elif scope["query_string"]:
        path = f"{path}?{scope['query_string'].decode('latin-1')}"
    wanted = own_path(path)
    to = LOG_IN if wanted == AT else f"{LOG_IN}?{urlencode({'next': wanted})}"
    fields = {"Cache-Control": "no-store", "Set-Cookie": kept("")}
    return RedirectResponse(to, HTTPStatus.SEE_OTHER, fields)

"""Finds out whose visit a request belongs to, and whether a form is one of ours, before any page of
a part of the site is served that people have to log in for.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest
from http import HTTPStatus
from types import MappingProxyType
from urllib.parse import parse_qsl, quote, urlencode

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from cloud_keystore.border.presented import PRESENTED, Presented
from cloud_keystore.http.bodies import replayed
from cloud_keystore.model.errors import IdentityRejected
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.model.rights.visits import LONGEST_VISIT, text_sha256
from cloud_keystore.web import uploads
from cloud_keystore.web.gate import Admit, Refused

ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Lax"
FORM = "form_token"
MOST_FIELDS = 40
LONGEST_PATH = 500  # to which a log-in leads back


@dataclass(frozen=True, slots=True)
class Visiting:
    """The visit that a request belongs to."""

    visitor: Identity
    secret: str = field(repr=False)
    secret_sha256: bytes = b""  # as the keystore has it

    @property
    def form_token(self) -> str:
        """What each form of the visit has, and nobody knows who has not seen one of its pages."""
        return form_token_of(self.secret)

    def sealed(self, purpose: str, word: str) -> str:
        """A word in an address that nobody else can have put there, nor for another purpose."""
        return f"{word}.{_made(self.secret, 'word', purpose, word)}"

    def opened(self, purpose: str, text: str) -> str:
        """The word that was sealed in the same visit for a purpose; empty for anything else."""
        word = text.partition(".")[0]
        return word if compare_digest(text.encode(), self.sealed(purpose, word).encode()) else ""


@dataclass(frozen=True, slots=True)
class Area:
    """A part of the site. Its cookie is of this host, by TLS alone, for all paths (RFC 6265bis,
    4.1.3).
    """

    at: str  # the path at which it begins
    cookie: str
    prefix: str  # of its secrets
    role: Role  # of those who visit
    rate: str  # the limit for one of them
    open: frozenset[str]  # paths for whoever has not logged in; what is sent there is counted
    uploads: frozenset[str] = frozenset()  # paths whose forms can have a file
    counted: frozenset[str] = frozenset()  # open ones where what is asked for counts as sent

    @property
    def log_in(self) -> str:
        """The path of the log-in."""
        return f"{self.at}/log-in"

    def has(self, path: str) -> bool:
        """Whether a path is in this part."""
        return path == self.at or path.startswith(f"{self.at}/")

    def kept(self, secret: str) -> str:
        """The field by which a browser is told to keep a secret; or to forget it, for none."""
        return kept(self.cookie, secret, int(LONGEST_VISIT.total_seconds()))

    def own_path(self, text: str) -> str:
        """The page to which a log-in leads back: one of this part, else the first one."""
        is_ours = text == self.at or text.startswith((f"{self.at}/", f"{self.at}?"))
        if is_ours and text.isascii() and text.isprintable() and len(text) <= LONGEST_PATH:
            return text if "\\" not in text and ".." not in text else self.at
        return self.at

    def led(self, scope: Scope) -> RedirectResponse:
        """Where somebody goes who is not logged in, and from there back."""
        path = quote(scope["path"])
        if scope["method"] == "POST":  # what was typed is lost, but not the page
            path = path.rpartition("/")[0] or self.at
        elif scope["query_string"]:
            path = f"{path}?{scope['query_string'].decode('latin-1')}"
        wanted = self.own_path(path)
        to = self.log_in if wanted == self.at else f"{self.log_in}?{urlencode({'next': wanted})}"
        fields = {"Cache-Control": "no-store", "Set-Cookie": self.kept("")}
        return RedirectResponse(to, HTTPStatus.SEE_OTHER, fields)


VISITING: ContextVar[Visiting] = ContextVar("visiting")
FIELDS: ContextVar[Mapping[str, str]] = ContextVar("form_fields")
FILES: ContextVar[Mapping[str, bytes]] = ContextVar("form_files")
NO_FILES: Mapping[str, bytes] = MappingProxyType({})


def form_token_of(secret: str) -> str:
    """What each form has of whoever has a secret."""
    return _made(secret, "form")


def current() -> Visiting:
    """The visit under way; raises LookupError outside of one."""
    return VISITING.get()


def given(name: str) -> str:
    """A field of the form that was sent, without blanks around it; empty if it has none."""
    return FIELDS.get().get(name, "").strip()


def uploaded(name: str) -> bytes:
    """A file of the form that was sent; empty if it has none."""
    return FILES.get().get(name, b"")


def has_answered() -> bool:
    """Whether the request under way is a form that was sent."""
    return bool(FIELDS.get())


def typed(name: str) -> str:
    """A secret of the form that was sent, as it was typed; empty if it has none."""
    return FIELDS.get().get(name, "")


def kept(name: str, secret: str, seconds: int) -> str:
    """The field by which a browser is told to keep a cookie for a time; or to forget it, for
    none.
    """
    return f"{name}={secret}; Max-Age={seconds if secret else 0}; {ATTRIBUTES}"


def cookie(fields: Headers, name: str) -> str:
    """What a browser has kept under a name; empty if nothing."""
    # Whoever sends two can have one from somebody else.
    cookies = [each for line in fields.getlist("cookie") for each in line.split(";")]
    mine = [each for each in cookies if each.strip().startswith(f"{name}=")]
    return cookie_parser(mine[0]).get(name, "") if len(mine) == 1 else ""


@dataclass(frozen=True, slots=True)
class Doorkeeper:
    """An ASGI application in front of a part of the site; requests for others pass. `find` finds
    who visits, by the hash of a secret.
    """

    behind: ASGIApp
    area: Area
    find: Callable[[bytes], Identity]
    admit: Admit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path = scope["path"]
        if not self.area.has(path):
            await self.behind(scope, receive, send)
            return
        fields = Headers(scope=scope)
        body = (await receive())["body"]
        said: Mapping[str, str] = {}
        files = NO_FILES
        if scope["method"] == "POST":
            said, files = await self._form(path, fields, body)
        FIELDS.set(said)
        FILES.set(files)
        if path not in self.area.open:
            try:
                visiting = await self._visiting(fields)
            except IdentityRejected:
                await self.area.led(scope)(scope, receive, send)
                return
            self.admit(self.area.rate, visiting.visitor.id)
            VISITING.set(visiting)
            if scope["method"] == "POST" and not compare_digest(
                given(FORM).encode(), visiting.form_token.encode()
            ):
                raise Refused(HTTPStatus.FORBIDDEN)
        elif scope["method"] == "POST" or path in self.area.counted:
            self.admit("enrolment", scope["cloudcard.place"])
        await self.behind(scope, replayed(body, receive), send)

    async def _form(
        self, path: str, fields: Headers, body: bytes
    ) -> tuple[Mapping[str, str], Mapping[str, bytes]]:
        """The form that was sent, with its files; raises Refused for what is none."""
        kind = fields.get("content-type", "").partition(";")[0].strip()
        if kind == uploads.MULTIPART and path in self.area.uploads:
            said, files = await uploads.read(fields, body, MOST_FIELDS)
        else:
            said, files = _fields(kind, body), NO_FILES
        # Browsers send lines as they went over telegraph wires (HTML, 4.10.22).
        return {name: value.replace("\r\n", "\n") for name, value in said.items()}, files

    async def _visiting(self, fields: Headers) -> Visiting:
        """The visit whose secret a browser has kept; raises IdentityRejected."""
        secret = cookie(fields, self.area.cookie)
        fingerprint = text_sha256(self.area.prefix, secret)
        if fingerprint is None:
            raise IdentityRejected("there is no visit")
        visitor = await asyncio.to_thread(self.find, fingerprint)
        PRESENTED.set(Presented(fingerprint, self.area.role))
        return Visiting(visitor, secret, fingerprint)


def _made(secret: str, *what: str) -> str:
    """What nobody makes who has not the secret, for one purpose."""
    said = "\0".join((f"cloudcard {what[0]}", *what[1:], secret))
    made = sha256(said.encode()).digest()
    return base64.urlsafe_b64encode(made).decode().rstrip("=")


def _fields(kind: str, body: bytes) -> Mapping[str, str]:
    """The fields of a form without files; raises Refused for what is none."""
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
    return dict(found)

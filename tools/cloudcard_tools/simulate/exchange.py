"""What the simulators are asked and what they answer, without a network. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from types import MappingProxyType
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

MOST_FIELDS = 64
FORM = "application/x-www-form-urlencoded"
# What nobody keeps, and what no page of others shows or follows.
ALWAYS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
NOTHING: Mapping[str, str] = MappingProxyType({})


class Malformed(Exception):
    """A request that cannot be understood; the text says why."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request; names of header fields are in small letters."""

    method: str
    path: str
    query: str = ""
    body: bytes = field(default=b"", repr=False)
    fields: Mapping[str, str] = field(default_factory=lambda: NOTHING, repr=False)
    certificate: bytes | None = field(default=None, repr=False)
    """DER of the certificate whose private key the client has proved to hold."""

    @property
    def parameters(self) -> Mapping[str, str]:
        """Those of the query, or of the form of a POST. Raises Malformed."""
        if self.method != "POST":
            return once(self.query)
        kind = self.fields.get("content-type", "").partition(";")[0].strip().lower()
        if kind != FORM:
            raise Malformed(f"a POST here has a form: {FORM}")
        try:
            return once(self.body.decode("ascii"))
        except UnicodeDecodeError:
            raise Malformed("the form is not encoded as one") from None

    def cookie(self, name: str) -> str:
        """A cookie's value; empty if there is none."""
        for part in self.fields.get("cookie", "").split(";"):
            key, _, value = part.strip().partition("=")
            if key == name:
                return value
        return ""


@dataclass(frozen=True, slots=True)
class Notice:
    """A form to be sent to a client after the answer: that somebody has logged out."""

    client: str
    url: str
    form: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Response:
    """A response, and what is sent to others after it."""

    status: HTTPStatus
    body: bytes = field(default=b"", repr=False)
    media_type: str = "text/plain; charset=utf-8"
    fields: Sequence[tuple[str, str]] = ()
    notices: Sequence[Notice] = ()

    def with_cookie(self, name: str, value: str) -> Response:
        """With a cookie that only this host gets, over TLS, and no script; empty: it is removed."""
        kept = "; Path=/; Secure; HttpOnly; SameSite=Lax" + ("" if value else "; Max-Age=0")
        return replace(self, fields=(*self.fields, ("Set-Cookie", f"{name}={value}{kept}")))

    def with_notices(self, notices: Sequence[Notice]) -> Response:
        """With more that is sent to others."""
        return replace(self, notices=(*self.notices, *notices))


def once(encoded: str) -> Mapping[str, str]:
    """The parameters of a form or query, of which none is there twice. Raises Malformed."""
    found: dict[str, str] = {}
    try:
        pairs = parse_qsl(
            encoded, keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict"
        )
    except ValueError:
        raise Malformed("the parameters are not encoded as a form, or there are too many") from None
    for name, value in pairs:
        if name in found:
            raise Malformed(f"{name} is there twice")
        found[name] = value
    return found


def as_json(value: object, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """A JSON document."""
    return Response(status, json.dumps(value).encode(), "application/json")


def redirect(url: str, parameters: Mapping[str, str] = NOTHING) -> Response:
    """To another address, with more parameters in its query."""
    parts = urlsplit(url)
    query = "&".join(each for each in (parts.query, urlencode(parameters)) if each)
    return Response(
        HTTPStatus.SEE_OTHER, fields=(("Location", urlunsplit(parts._replace(query=query))),)
    )

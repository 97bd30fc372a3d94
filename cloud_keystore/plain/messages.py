"""Requests and responses of HTTP/1.1 (RFC 9112), of which a connection has one each. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http import HTTPStatus
from types import MappingProxyType

LARGEST_HEAD = 8192
HEAD_END = b"\r\n\r\n"
LINE = re.compile(r"([A-Z]{1,16}) (?:http://[^/?# ]+)?(/[!-~]*) HTTP/1\.[01]", re.ASCII)
FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([ -~\t]*?)[ \t]*", re.ASCII)
# Of which a request has one. Others are lists, to which each proxy can add a field (RFC 9110, 5.3).
SINGLE = frozenset(("content-length", "content-type", "host", "transfer-encoding"))
NUMBER = re.compile(r"\d{1,9}", re.ASCII)


class Refused(Exception):
    """A request that is not answered, and the status that says why."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """A request; names of header fields are in small letters."""

    method: str
    path: str
    fields: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    body: bytes = b""
    certificate: bytes = b""  # SHA-256 of the client's in TLS; empty if it has shown none

    def length(self, most: int) -> int:
        """How many bytes the body has. Raises Refused for more than so many, and for a body whose
        length is not told.
        """
        if "transfer-encoding" in self.fields:
            raise Refused(HTTPStatus.LENGTH_REQUIRED)
        told = self.fields.get("content-length", "0")
        if NUMBER.fullmatch(told) is None:
            raise Refused(HTTPStatus.BAD_REQUEST)
        if int(told) > most:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return int(told)


@dataclass(frozen=True, slots=True)
class Response:
    """A response."""

    status: HTTPStatus
    body: bytes = b""
    media_type: str = "text/plain"
    fields: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def head(self, now: datetime) -> bytes:
        """Status line and header fields."""
        fields = {"Date": date(now), "Connection": "close", **self.fields}
        if (
            self.status is not HTTPStatus.NOT_MODIFIED
        ):  # it would say this of the body that is not sent
            fields["Content-Type"] = self.media_type
            fields["Content-Length"] = str(len(self.body))
            fields["X-Content-Type-Options"] = "nosniff"
        lines = [f"HTTP/1.1 {self.status.value} {self.status.phrase}"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        return "\r\n".join(lines).encode("ascii") + HEAD_END


def parse(head: bytes) -> Request:
    """Read a request up to its body; raises Refused."""
    try:
        first, *lines = head.removesuffix(HEAD_END).decode("ascii").split("\r\n")
    except UnicodeDecodeError:
        raise Refused(HTTPStatus.BAD_REQUEST) from None
    line = LINE.fullmatch(first)
    if line is None:
        raise Refused(HTTPStatus.BAD_REQUEST)
    fields: dict[str, str] = {}
    for each in lines:
        found = FIELD.fullmatch(each)
        # What is no field, or is there twice, can mean one thing here and another at a proxy.
        if found is None or (found[1].lower() in fields and found[1].lower() in SINGLE):
            raise Refused(HTTPStatus.BAD_REQUEST)
        name, value = found[1].lower(), found[2]
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return Request(line[1], line[2], fields)


def date(time: datetime) -> str:
    """A time as header fields have it."""
    return format_datetime(time.astimezone(UTC), usegmt=True)


def refusal(status: HTTPStatus, fields: Mapping[str, str] = MappingProxyType({})) -> Response:
    """A response that is nothing but a status."""
    return Response(status, f"{status.phrase}\n".encode(), fields=fields)

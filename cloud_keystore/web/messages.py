"""Requests and responses of HTTP/1.1 (RFC 9112), of which a connection has one each. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from types import MappingProxyType

LARGEST_HEAD = 8192
HEAD_END = b"\r\n\r\n"
LINE = re.compile(r"([A-Z]{1,16}) (?:http://[^/?# ]+)?(/[!-~]*) HTTP/1\.[01]", re.ASCII)
FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([ -~\t]*?)[ \t]*", re.ASCII)
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

    def head(self) -> bytes:
        """Status line and header fields."""
        fields = {
            "Content-Type": self.media_type,
            "Content-Length": str(len(self.body)),
            "Connection": "close",
            "X-Content-Type-Options": "nosniff",
            **self.fields,
        }
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
    found = [FIELD.fullmatch(each) for each in lines]
    fields = {each[1].lower(): each[2] for each in found if each is not None}
    # A field that is there twice, or is none, can mean one thing here and another at a proxy.
    if line is None or len(fields) != len(lines):
        raise Refused(HTTPStatus.BAD_REQUEST)
    return Request(line[1], line[2], fields)


def refusal(status: HTTPStatus, fields: Mapping[str, str] = MappingProxyType({})) -> Response:
    """A response that is nothing but a status."""
    return Response(status, f"{status.phrase}\n".encode(), fields=fields)

"""What clients and the broker tell each other at log-in: `gpOBJECT` and its parameters. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from http import HTTPStatus

from cloudcard_tools.eps.canonical import Unreadable, read
from cloudcard_tools.simulate.exchange import Response

XML = "text/xml; charset=utf-8"
MOST_PARAMETERS = 40
LONGEST_VALUE = 32 * 1024


class Unclear(Exception):
    """A message that cannot be understood; the text says why."""


def parse(body: bytes) -> Mapping[str, str]:
    """The parameters of a message, each there once. Raises Unclear."""
    try:
        root = read(body)
    except Unreadable as error:
        raise Unclear(str(error)) from None
    if root.tag != "gpOBJECT" or not 0 < len(root) <= MOST_PARAMETERS:
        raise Unclear(f"a message is a gpOBJECT with 1 to {MOST_PARAMETERS} of gpPARAM")
    found: dict[str, str] = {}
    for each in root:
        name, value = each.get("name", ""), (each.text or "").strip()
        if each.tag != "gpPARAM" or not name or name in found or len(value) > LONGEST_VALUE:
            raise Unclear("each gpPARAM has a name of its own and a text")
        found[name] = value
    return found


def written(parameters: Mapping[str, str]) -> Response:
    """A message of parameters, well-formed."""
    rows = "".join(
        f'<gpPARAM name="{escape(name)}">{escape(value)}</gpPARAM>\n'
        for name, value in parameters.items()
    )
    return _message(rows)


def raw(lines: Sequence[str]) -> Response:
    """A message as the broker really writes it: an `&` is an `&`, so that it is no XML."""
    return _message("".join(f"{each}\n" for each in lines))


def refused(code: str, text: str) -> Response:
    """A message that says why nobody is logged in."""
    return written({"service": "ERROR", "error_code": code, "error_message": text})


def _message(rows: str) -> Response:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<gpOBJECT>\n{rows}</gpOBJECT>\n'
    return Response(HTTPStatus.OK, body.encode(), XML)

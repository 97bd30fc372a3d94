"""The lines between agent and prompt (docs/prompt.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

VERSION = 1
LONGEST = 65536  # bytes of a line, its end included
LARGEST_QR = 177  # modules on a side (ISO/IEC 18004, version 40)
LONGEST_TEXT = 300  # characters of a text that a window shows
LONGEST_WAIT = 86_400.0  # seconds

Value = TypeVar("Value", str, int, list[object])


class Malformed(Exception):
    """A line is not what the protocol says. The text tells why."""


@dataclass(frozen=True, slots=True)
class Begin:
    """The agent's first line."""

    version: int


@dataclass(frozen=True, slots=True)
class Approval:
    """An operation waits for its holder."""

    operation: str
    card: str
    number: str
    check_code: str
    workstation: str
    program: str
    key: str
    use: str
    inputs: int
    session_uses: int
    session_seconds: int
    seconds: float
    qr_seconds: float
    qr_modules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decided:
    """An operation has ended."""

    operation: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """An event that this version does not know, or that asks for nothing."""


Told: TypeAlias = Begin | Approval | Decided | Ignored


def parsed(line: bytes) -> Told:
    """What a line of the agent says. Raises Malformed."""
    fields = json_object(line)
    match text(fields, "event"):
        case "begin":
            return Begin(integer(fields, "version"))
        case "approval":
            return _approval(fields)
        case "decided":
            return Decided(text(fields, "operation"), text(fields, "outcome"))
        case _:
            return Ignored()


def json_object(line: bytes) -> Mapping[str, object]:
    """The JSON object on a line. Raises Malformed."""
    if len(line) > LONGEST:
        raise Malformed(f"the line is longer than {LONGEST} bytes")
    try:
        found: object = json.loads(line)
    except (ValueError, RecursionError):
        raise Malformed("the line is not JSON in UTF-8") from None
    if not isinstance(found, dict):
        raise Malformed("the line is not a JSON object")
    return found


def text(fields: Mapping[str, object], name: str) -> str:
    """A field that is a short text without control characters. Raises Malformed."""
    found = _field(fields, name, str)
    if len(found) > LONGEST_TEXT or not found.isprintable():
        raise Malformed(f"{name} is longer than {LONGEST_TEXT} characters, or cannot be printed")
    return found


def integer(fields: Mapping[str, object], name: str) -> int:
    """A field that is a whole number, not negative. Raises Malformed."""
    found = _field(fields, name, int)
    if isinstance(found, bool) or not 0 <= found < 1 << 32:
        raise Malformed(f"{name} is not a whole number from 0 on")
    return found


def begin() -> bytes:
    """The program's answer to `begin`: it can show prompts."""
    return _encoded(event="ready", version=VERSION)


def cancel(operation: str) -> bytes:
    """The holder cancels an operation."""
    return _encoded(event="cancel", operation=operation)


def failed(why: str) -> bytes:
    """The program cannot show prompts here, and ends."""
    return _encoded(event="failed", text=why)


def refused(why: str) -> bytes:
    """A line was malformed, and had no effect."""
    return _encoded(event="refused", text=why)


def _approval(fields: Mapping[str, object]) -> Approval:
    number = text(fields, "number")
    if number and not (number.isascii() and number.isdigit() and len(number) <= 4):
        raise Malformed("number is not of one to four digits")
    modules = _modules(_field(fields, "qr_modules", list))
    if not number and not modules:
        raise Malformed("there is neither a number nor qr_modules")
    return Approval(
        operation=text(fields, "operation"),
        card=text(fields, "card"),
        number=number,
        check_code=text(fields, "check_code"),
        workstation=text(fields, "workstation"),
        program=text(fields, "program"),
        key=text(fields, "key"),
        use=text(fields, "use"),
        inputs=integer(fields, "inputs"),
        session_uses=integer(fields, "session_uses"),
        session_seconds=integer(fields, "session_seconds"),
        seconds=_seconds(fields, "seconds"),
        qr_seconds=_seconds(fields, "qr_seconds"),
        qr_modules=modules,
    )


def _modules(rows: list[object]) -> tuple[str, ...]:
    square = tuple(row for row in rows if isinstance(row, str) and len(row) == len(rows))
    if len(square) != len(rows) or len(rows) > LARGEST_QR or set("".join(square)) - set("01"):
        raise Malformed("qr_modules is not a square of the digits 0 and 1")
    return square


def _seconds(fields: Mapping[str, object], name: str) -> float:
    found = fields.get(name)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise Malformed(f"{name} is missing, or not a number")
    if not 0 <= found <= LONGEST_WAIT:
        raise Malformed(f"{name} is not from 0 to {LONGEST_WAIT:g}")
    return float(found)


def _field(fields: Mapping[str, object], name: str, kind: type[Value]) -> Value:
    found = fields.get(name)
    if not isinstance(found, kind):
        raise Malformed(f"{name} is missing, or not a {KINDS[kind]}")
    return found


KINDS: Mapping[type, str] = {str: "text", int: "whole number", list: "list"}


def _encoded(**fields: str | int) -> bytes:
    return json.dumps(fields).encode() + b"\n"

"""Filters of LDAP (RFC 4515) as values, which no text that somebody types can change."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn, TypeAlias

from cloud_keystore.model.errors import InvalidInput

LONGEST_FILTER = 500  # characters
DEEPEST = 8
ATTRIBUTE = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}", re.ASCII)
_ESCAPED = re.compile(r"\\([0-9A-Fa-f]{2})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Equal:
    """An attribute has a value."""

    attribute: str
    value: str


@dataclass(frozen=True, slots=True)
class Present:
    """There is an attribute."""

    attribute: str


@dataclass(frozen=True, slots=True)
class Every:
    """All of some filters hold."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """One of some filters holds, at least."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """A filter does not hold."""

    part: Filter


Filter: TypeAlias = Equal | Present | Every | Either | Not


def parse(text: str) -> Filter:
    """A filter from its text. Raises InvalidInput for what is none, or has other matches than of
    whole values.
    """
    if len(text) > LONGEST_FILTER:
        _refuse(f"it has {len(text)} characters, and at most {LONGEST_FILTER} are allowed")
    found, at = _filter(text, 0, 1)
    if at != len(text):
        _refuse("something follows it")
    return found


def shown(found: Filter) -> str:
    """The text of a filter."""
    match found:
        case Equal(attribute, value):
            return f"({attribute}={''.join(map(_safe, value))})"
        case Present(attribute):
            return f"({attribute}=*)"
        case Every(parts):
            return f"(&{''.join(map(shown, parts))})"
        case Either(parts):
            return f"(|{''.join(map(shown, parts))})"
        case Not(part):
            return f"(!{shown(part)})"


def _filter(text: str, at: int, depth: int) -> tuple[Filter, int]:
    """The filter that begins at a place, and where it ends."""
    if text[at : at + 1] != "(":
        _refuse("each of its parts is in parentheses")
    if depth > DEEPEST:
        _refuse(f"it is more than {DEEPEST} filters deep")
    kind = text[at + 1 : at + 2]
    if kind in ("&", "|", "!"):
        parts, at = _parts(text, at + 2, depth)
        if kind == "!" and len(parts) != 1:
            _refuse("! is followed by one filter")
        if kind == "!":
            return Not(parts[0]), at
        return (Every(parts) if kind == "&" else Either(parts)), at
    end = text.find(")", at)
    if end < 0:
        _refuse("a parenthesis is not closed")
    return _item(text[at + 1 : end]), end + 1


def _parts(text: str, at: int, depth: int) -> tuple[tuple[Filter, ...], int]:
    """The filters up to the next parenthesis that closes, and what is after that."""
    parts: list[Filter] = []
    while text[at : at + 1] != ")":
        if at >= len(text):
            _refuse("a parenthesis is not closed")
        part, at = _filter(text, at, depth + 1)
        parts.append(part)
    if not parts:
        _refuse("&, | and ! are followed by filters")
    return tuple(parts), at + 1


def _item(text: str) -> Filter:
    attribute, equals, value = text.partition("=")
    if not equals or not ATTRIBUTE.fullmatch(attribute):
        _refuse("it compares whole values alone, such as (objectClass=user)")
    if value == "*":
        return Present(attribute)
    plain = _ESCAPED.sub("", value)
    if not value or "*" in plain or "(" in plain or "\\" in plain or not value.isprintable():
        _refuse("it compares whole values alone; other characters are written such as \\2a")
    raw = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), _latin(value))
    try:
        return Equal(attribute, raw.encode("latin-1").decode())
    except UnicodeDecodeError:
        _refuse("a value is no UTF-8")


def _latin(text: str) -> str:
    """The bytes of a text, each as one character, among which escaped ones are put."""
    return text.encode().decode("latin-1")


def _safe(character: str) -> str:
    """A character as a filter's text has it (RFC 4515, 3)."""
    if character in "*()\\" or not character.isprintable():
        return "".join(f"\\{byte:02x}" for byte in character.encode())
    return character


def _refuse(why: str) -> NoReturn:
    raise InvalidInput(f"filter is none of LDAP that is taken: {why}")

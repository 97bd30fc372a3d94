"""Takes secrets out of texts that leave the computer, and who and what they are about."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from cloudcard_tools.reader.screen import SAYINGS
from cloudcard_tools.shared.output import Value

LEFT_OUT = "[left out]"
Pattern: TypeAlias = "re.Pattern[str]"

# In this order: what is a secret whole is not to be taken for a number inside it.
REMOVED: Sequence[Pattern] = (
    re.compile(r"-----BEGIN [^-]+-----.*?(-----END [^-]+-----|\Z)", re.DOTALL),
    re.compile(r"\bcc1\.\S+"),  # a token of an enrolment
    re.compile(r"(?<=://)[^/\s@]+(?=@)"),  # user and password in an address
    re.compile(r"(?<![A-Za-z0-9+/])(?!/[a-z]+/)[A-Za-z0-9+/]{32,}={0,2}"),  # but for paths
    re.compile(r"\b(?=[\w-]*\d)(?=[\w-]*[A-Za-z])(?![0-9a-fA-F]{8}-)[\w-]{24,}"),
)
NUMBERED: Mapping[str, Pattern] = {
    "e-mail": re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+"),
    "id": re.compile(r"\b[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"),
    "number": re.compile(r"\d{6,}"),  # serial numbers, passcodes
}

# What a line of a log may tell: words of ours, and small numbers.
FIELDS = ("timestamp", "level", "event", "via", "slot", "port", "sw", "ins", "outcome", "reason")
TIME = re.compile(r"\d{4}-\d\d-\d\d[T ][\d:.]+(?:Z|[+-][\d:]+)?")
WORDS = re.compile(r"[A-Za-z][A-Za-z_ ,']{0,79}")
SMALL = re.compile(r"[0-9A-F]{1,5}")
ENTRY = re.compile(rf"({TIME.pattern}) \[(\w+) *\] ([a-z][a-z ,']*?)(?:  .*)?")
PLACEHOLDER = re.compile(r"\\{\w+\\}")
SENTENCES: Sequence[tuple[Pattern, str]] = tuple(
    (re.compile(PLACEHOLDER.sub(".*?", re.escape(text))), state.value)
    for state, text in SAYINGS.items()
)


class Reducer:
    """Replaces what is known by its kind, and what looks like a secret. The same value is replaced
    in the same way each time, so that a reader sees what belongs together.
    """

    def __init__(self, known: Mapping[str, str]) -> None:
        """`known` has names and the like of this computer, and what to write instead."""
        self._known = sorted(
            ((value, word) for value, word in known.items() if len(value) > 1),
            key=lambda pair: -len(pair[0]),
        )
        self._seen: dict[tuple[str, str], int] = {}

    def text(self, text: str) -> str:
        """The text without secrets, names and numbers."""
        for pattern in REMOVED:
            text = pattern.sub(LEFT_OUT, text)
        for value, word in self._known:
            text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", f"[{word}]", text)
        for kind, pattern in NUMBERED.items():
            text = pattern.sub(lambda match, kind=kind: self._number(kind, match[0]), text)  # type: ignore[misc]
        return text

    def value(self, value: Value) -> Value:
        """The same for all texts of a document."""
        match value:
            case str():
                return self.text(value)
            case bool() | int() | None:
                return value
            case Mapping():
                return {self.text(key): self.value(each) for key, each in value.items()}
            case _:
                return [self.value(each) for each in value]

    def _number(self, kind: str, value: str) -> str:
        number = self._seen.setdefault((kind, value), 1 + len(self._seen))
        return f"[{kind} {number}]"


def log_lines(lines: Sequence[str]) -> Iterator[str]:
    """What may be told of each line of a log: only what is known to be ours."""
    for line in lines:
        yield _of_json(line) or _of_text(line) or f"[a line of {len(line)} characters left out]"


def _of_json(line: str) -> str:
    try:
        found = json.loads(line)
    except ValueError:
        return ""
    if not isinstance(found, dict):
        return ""
    told = {name: found[name] for name in FIELDS if name in found and _is_harmless(found[name])}
    return json.dumps(told) if "event" in told else ""


def _of_text(line: str) -> str:
    entry = ENTRY.fullmatch(line)
    if entry is not None:
        return f"{entry[1]} [{entry[2]}] {entry[3]}"
    return next((word for pattern, word in SENTENCES if pattern.fullmatch(line)), "")


def _is_harmless(value: object) -> bool:
    text = str(value)
    return any(pattern.fullmatch(text) for pattern in (TIME, WORDS, SMALL))

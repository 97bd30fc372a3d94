"""An application's description of a command for people; `cloudcard trace show` prints it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

Meaning: TypeAlias = Callable[[bytes], str]  # what bytes mean; empty if they are malformed


@dataclass(frozen=True, slots=True)
class Part:
    """A data object: its name, what its value means, and the data objects inside it, if any."""

    name: str
    meaning: Meaning = field(default=lambda _: "")
    inside: Parts = field(default_factory=lambda: NONE)


Parts: TypeAlias = Mapping[int, Part]  # by tag
NONE: Parts = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Explanation:
    """A command in words; an empty field means that nothing is known."""

    name: str = ""  # of the instruction
    subject: str = ""  # what the command is about: a key, an object
    sent: Parts | Meaning = field(default_factory=lambda: NONE)
    """The contents of the command's data: data objects by tag, or a function that words them."""
    received: Parts | Meaning = field(default_factory=lambda: NONE)
    """The contents of the response data, in the same form."""

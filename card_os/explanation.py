"""What an application says of a command for people: traces are shown in these words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

Meaning: TypeAlias = Callable[[bytes], str]  # what bytes mean; empty where they are not as expected


@dataclass(frozen=True, slots=True)
class Part:
    """A data object: its name, what its value means, and which ones it holds, if any."""

    name: str
    meaning: Meaning = field(default=lambda _: "")
    inside: Parts = field(default_factory=lambda: NONE)


Parts: TypeAlias = Mapping[int, Part]  # by tag
NONE: Parts = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Explanation:
    """A command in words; what is empty is not known."""

    name: str = ""  # of the instruction
    subject: str = ""  # what the command is about: a key, an object
    sent: Parts | Meaning = field(default_factory=lambda: NONE)
    """What its data holds: data objects, or something else, in words."""
    received: Parts | Meaning = field(default_factory=lambda: NONE)
    """What its response holds."""

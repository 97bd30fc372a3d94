"""What clients say of themselves: their version and platform, and what they understand.

They say it as the user agent of their calls, such as "cloudcard/0.1.0 (linux 6.1.0; sign-in)"
(RFC 9110, 10.1.5). Nobody vouches for it, so that no right rests on it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from cloud_keystore.model.errors import InvalidInput

LONGEST_SAID = 256  # characters of a user agent that are looked at
LONGEST_VERSION = 32
MOST_CAPABILITIES = 8
OLDEST = "0.1.0"  # of the clients that this keystore understands
# A version, and what of one is before a release (Semantic Versioning 2.0.0, 9 and 10)
VERSION = re.compile(
    r"v?(\d{1,9}(?:\.\d{1,9}){0,3})(?:-([0-9a-z-]+(?:\.[0-9a-z-]+)*))?(?:\+[0-9a-z.-]+)?",
    re.ASCII | re.IGNORECASE,
)
SAID = re.compile(r"cloudcard/([!-'*-~]{1,32})(?: \(([ -'*-~]*)\))?(?: |$)")
WORD = re.compile(r"[!-~]{1,32}")
CAPABILITY = re.compile(r"[a-z0-9-]{1,32}")


class Compatibility(StrEnum):
    """Whether a keystore understands a client. Of what is not known, nobody says that it is not
    compatible.
    """

    COMPATIBLE = "compatible"
    OUTDATED = "outdated"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Software:
    """What a client is; what it does not say is empty."""

    version: str = ""
    platform: str = ""
    platform_version: str = ""
    capabilities: tuple[str, ...] = ()

    def compared(self, oldest: str = OLDEST) -> Compatibility:
        """Whether its version is an oldest one or later."""
        own, least = precedence(self.version), precedence(oldest)
        if own is None or least is None:
            return Compatibility.UNKNOWN
        return Compatibility.OUTDATED if own < least else Compatibility.COMPATIBLE


@dataclass(frozen=True, slots=True)
class Contact:
    """When a client was heard of last, to the hour, and what it said of itself then."""

    software: Software
    seen_time: datetime


# Of a version before a release
Identifier: TypeAlias = tuple[bool, int, str]
Precedence: TypeAlias = tuple[tuple[int, ...], bool, tuple[Identifier, ...]]


def precedence(version: str) -> Precedence | None:
    """By what versions are compared (Semantic Versioning 2.0.0, 11): numbers as numbers, and what
    is before a release below it. Missing numbers are zero. None if it is no version.
    """
    match = VERSION.fullmatch(version)
    if match is None:
        return None
    numbers = [int(part) for part in match[1].split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    before = tuple(_identifier(part) for part in match[2].split(".")) if match[2] else ()
    return tuple(numbers), not before, before


def _identifier(part: str) -> Identifier:
    """Numbers come before words."""
    return (False, int(part), "") if part.isdigit() else (True, 0, part)


def version_field(name: str, version: str) -> str:
    """A version without surrounding blanks, or nothing; raises InvalidInput if it is none."""
    version = version.strip()
    if version and (len(version) > LONGEST_VERSION or precedence(version) is None):
        raise InvalidInput(f"{name} is no version such as 1.10.0")
    return version


def parse(said: str) -> Software:
    """What a user agent says; nothing if it is another program's."""
    match = SAID.match(said[:LONGEST_SAID])
    if match is None:
        return Software()
    about, _, able = (match[2] or "").partition(";")
    words = [each for each in about.split(" ") if WORD.fullmatch(each)][:2]
    platform, platform_version = [*words, "", ""][:2]
    named = [each.strip() for each in able.split(",")]
    capabilities = [each for each in named if CAPABILITY.fullmatch(each)]
    return Software(match[1], platform, platform_version, tuple(capabilities[:MOST_CAPABILITIES]))

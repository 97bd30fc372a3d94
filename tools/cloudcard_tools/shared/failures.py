"""The exceptions by which a command ends that cannot do what it was asked to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click


class Failure(click.ClickException):
    """One line that says why and what to do; exit code 1. `reason` is the word for programs."""

    reason = "FAILED"


class Refused(Failure):
    """The keystore refused. `reason` is its machine-readable word."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(text)
        self.reason = reason


class OutOfReach(Failure):
    """The keystore did not answer. `reason` tells why, as far as it is known."""

    def __init__(self, text: str, reason: str = "KEYSTORE_UNREACHABLE") -> None:
        super().__init__(text)
        self.reason = reason


class IdentityUnusable(Failure):
    """The identity that the command needs is missing, damaged, or not valid now."""

    reason = "IDENTITY_UNUSABLE"


class FileExists(Failure):
    """The file that a command would write is there already."""

    reason = "EXISTS"


class NothingFound(Failure):
    """Nothing is called so."""

    reason = "NOTHING_FOUND"


class SeveralFound(Failure):
    """Several things are called so; `matches` has what tells them apart."""

    reason = "SEVERAL_FOUND"

    def __init__(self, text: str, matches: Sequence[Mapping[str, object]]) -> None:
        super().__init__(text)
        self.matches = matches


def sentence(message: str) -> str:
    """A message as a sentence that another one can follow."""
    begun = message[:1].upper() + message[1:]
    return begun if begun.endswith((".", "?", "!")) else f"{begun}."

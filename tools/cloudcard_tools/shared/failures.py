"""The exceptions by which a command ends that cannot do what it was asked to do."""

from __future__ import annotations

import click


class Failure(click.ClickException):
    """One line that says why and what to do; exit code 1."""


class Refused(Failure):
    """The keystore refused. `reason` is its machine-readable word."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(text)
        self.reason = reason

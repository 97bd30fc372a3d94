"""Groups of commands that are imported when they are used, so that each starts quickly."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import NamedTuple

import click


class Row(NamedTuple):
    """A sub-command: where it is, and its line in the help, so that the help imports nothing."""

    target: str
    help: str


class LazyGroup(click.Group):
    """A group whose commands stand in a table, in the order in which a newcomer meets them."""

    def __init__(self, *, rows: Mapping[str, Row], **of_group: object) -> None:
        super().__init__(**of_group)  # type: ignore[arg-type]  # as click's decorator passes them
        self._rows = rows

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        """The names, in the table's order."""
        return list(self._rows)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command; None for an unknown name."""
        row = self._rows.get(cmd_name)
        if row is None:
            return None
        module, _, attribute = row.target.partition(":")
        command: object = getattr(import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{row.target} is not a command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The list of the help, from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, row.help) for name, row in self._rows.items()])

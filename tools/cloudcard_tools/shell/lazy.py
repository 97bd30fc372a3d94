"""Groups of commands that are imported only when they are used, so that each starts quickly."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from importlib import import_module
from typing import NamedTuple

import click
from click.shell_completion import CompletionItem

from cloudcard_tools.shared.extras import brought_by
from cloudcard_tools.shell.examples import PROGRAM, examples, share


class Row(NamedTuple):
    """A sub-command: its import path, and its line in the help, so that the help imports nothing.

    `extra` names the optional part of the distribution that the command needs.
    """

    target: str
    help: str
    extra: str = ""


class LazyGroup(click.Group):
    """A group whose commands stand in a table, in the order in which a newcomer meets them."""

    def __init__(self, *, rows: Mapping[str, Row], **of_group: object) -> None:
        super().__init__(**of_group)  # type: ignore[arg-type]  # as click's decorator passes them
        self.rows = rows
        self.path = PROGRAM
        self.above: list[str] = []  # examples of the groups above

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        """The names, in the table's order."""
        return list(self.rows)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None for an unknown name. Raises Failure if its extra is missing."""
        row = self.rows.get(cmd_name)
        if row is None:
            return None
        module, _, attribute = row.target.partition(":")
        with (
            brought_by(row.extra, f"{ctx.command_path} {cmd_name}") if row.extra else nullcontext()
        ):
            imported = import_module(module)
        command: object = getattr(imported, attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{row.target} is not a command")
        path, above = f"{self.path} {cmd_name}", [*examples(self.epilog or ""), *self.above]
        share(command, path, above)
        if isinstance(command, LazyGroup):
            command.path, command.above = path, above
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """What completes a word, from the table."""
        found = [
            CompletionItem(name, help=row.help)
            for name, row in self.rows.items()
            if name.startswith(incomplete)
        ]
        # Not the group's own way, which imports all commands.
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of commands in the help, from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, row.help) for name, row in self.rows.items()])

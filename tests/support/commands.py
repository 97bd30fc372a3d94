"""All commands of `cloudcard`, found by walking through its groups."""

from __future__ import annotations

from collections.abc import Iterator

import click

from cloudcard_tools.__main__ import cloudcard


def leaves(command: click.Command, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that does something, with its words."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    if command.invoke_without_command:
        yield path, command
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from leaves(found, *path, name)


LEAVES = dict(leaves(cloudcard))

"""The commands of the program, found by walking it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from inspect import unwrap
from types import CodeType, FunctionType

import click

from cloudcard_tools.__main__ import cloudcard


def leaves(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, with its name without "cloudcard"."""
    for name, command in walk(group, path):
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield name, command


def walk(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command and group below a group."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        whole = f"{path} {name}".strip()
        yield whole, command
        if isinstance(command, click.Group):
            yield from walk(command, whole)


def calls(command: click.Command, names: set[str]) -> bool:
    """Whether a command's function calls one of some functions, by itself or through others of its
    module.
    """
    assert command.callback is not None
    return _mentions(_function(command.callback), names, set())


def _function(callback: Callable[..., object]) -> FunctionType:
    found = unwrap(callback)
    assert isinstance(found, FunctionType)
    return found


def _mentions(function: FunctionType, names: set[str], seen: set[CodeType]) -> bool:
    if function.__code__ in seen:
        return False
    seen.add(function.__code__)
    mentioned = set(function.__code__.co_names)
    if mentioned & names:
        return True
    return any(
        _mentions(other, names, seen)
        for name in mentioned
        if isinstance(other := function.__globals__.get(name), FunctionType)
        and other.__module__ == function.__module__
    )


LEAVES = {tuple(name.split()): command for name, command in leaves(cloudcard)}

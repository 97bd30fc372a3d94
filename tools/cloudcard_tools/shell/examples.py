"""Examples in the help: each is written once, and shown below its group and its own command."""

from __future__ import annotations

from collections.abc import Sequence

import click

PROGRAM = "cloudcard"
VERBATIM = "\b"  # click leaves the lines of such a paragraph as they are


def share(command: click.Command, path: str, above: Sequence[str] = ()) -> None:
    """Give every command below one, which has no examples, those of its group that begin with its
    own name. `path` is the command's name, such as "cloudcard ra".
    """
    own = examples(command.epilog or "")
    if not own:
        own = [each for each in above if f"{each} ".startswith(f"{path} ")]
        if own:
            heading = "Examples:" if len(own) > 1 else "Example:"
            shown = "\n".join((VERBATIM, heading, *(f"  {each}" for each in own)))
            command.epilog = "\n\n".join(filter(None, (command.epilog, shown)))
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            share(child, f"{path} {name}", [*own, *above])


def examples(epilog: str) -> list[str]:
    """The command lines in the text below a help, each with the lines that continue it."""
    found: list[str] = []
    for line in epilog.splitlines():
        text = line.strip()
        if found and found[-1].endswith("\\"):
            found[-1] += f"\n{line[2:]}"
        elif text.startswith(f"{PROGRAM} "):
            found.append(text)
    return found

"""The arguments of every `enrol` command: a token by hand, from a file or from standard input."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from cloudcard_tools.shared import identity
from cloudcard_tools.shared.failures import Failure

token_argument = click.argument("token", required=False)
token_file_option = click.option(
    "--token-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Read the token from a file.",
)


def enrol(
    token: str | None,
    token_file: Path | None,
    folder: Path,
    role: str,
    name: str = "",
    complete: identity.Complete = identity.nothing_more,
) -> None:
    """Enrol and say so. The token "-" is read from standard input, out of sight of other users'
    `ps`.
    """
    if (token is None) == (token_file is None):
        raise click.UsageError(
            "give the token, or --token-file, or - to read it from standard input"
        )
    if token_file is not None:
        text = token_file.read_text()
    elif token == "-":  # noqa: S105 (not a password)
        text = sys.stdin.readline()
    else:
        text = token or ""
    if not text.strip():
        raise Failure("the token is empty")
    enrolled = identity.enrol(text, folder, role, name, complete)
    click.echo(f"Enrolled as {role} {enrolled.display_name!r} in {folder}.")

"""The arguments of every `enrol` command: a token by hand, from a file or from standard input."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from cloudcard_tools.paths import FOLDER
from cloudcard_tools.shared import home
from cloudcard_tools.shared.failures import Failure

if TYPE_CHECKING:
    from cloudcard_tools.enrolment.spending import Complete

FC = TypeVar("FC", bound=Callable[..., None])

token_argument = click.argument("token", required=False)
token_file_option = click.option(
    "--token-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Read the token from a file.",
)


def identity_option(role: str) -> Callable[[FC], FC]:
    """`--identity`: the folder of the identity, by default the role's own."""
    option: Callable[[FC], FC] = click.option(
        "--identity",
        "folder",
        type=FOLDER,
        help=f"Folder of the identity.  [default: the {role} of this user]",
    )
    return option


def folder_of(folder: Path | None, role: str) -> Path:
    """The folder that was named, or else the role's own. Raises Failure if the user has no home."""
    return folder or home.of_role(role)


def enrol(
    token: str | None,
    token_file: Path | None,
    folder: Path | None,
    role: str,
    name: str = "",
    complete: Complete | None = None,
) -> None:
    """Enrol and print the result. The token "-" is read from standard input, so that other users do
    not see it in the list of processes.
    """
    if (token is None) == (token_file is None):
        raise click.UsageError(
            "give the token, or --token-file, or - to read it from standard input"
        )
    if token_file is not None:
        text = token_file.read_text("utf-8", "replace")
    elif token == "-":  # noqa: S105 (not a password)
        if sys.stdin.isatty():
            click.echo("Token: ", nl=False, err=True)
        text = sys.stdin.readline()
    else:
        text = token or ""
    if not text.strip():
        raise Failure("the token is empty")
    # Imported late: the reader has these options even where the packages for a keystore are
    # missing.
    from cloudcard_tools.enrolment import spending

    own = folder_of(folder, role)
    enrolled = spending.enrol(text, own, role, name, complete or spending.nothing_more)
    click.echo(f"Enrolled as {role} {enrolled.display_name!r} in {own}.")
    try:
        os.getcwd()
    except FileNotFoundError:
        click.echo(f"The folder that you are in was replaced: {shlex.join(['cd', str(own)])}")

"""The location of a keystore's data: --data and --database, the same for all commands."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path

import click
from click.core import ParameterSource

from cloud_keystore.config import Settings
from cloudcard_tools.paths import FOLDER
from cloudcard_tools.shared import home

Command = Callable[..., None]
VARIABLE = "CLOUDCARD_DATABASE"


def place_options(command: Command) -> Command:
    """Add --data and --database, and pass both to the command as `place`."""

    @click.option(
        "--data",
        type=FOLDER,
        help="Data folder: sealing key, and the database unless --database names one.",
    )
    @click.option(
        "--database",
        default="",
        envvar=VARIABLE,
        callback=_without_password,
        metavar="URL",
        help="PostgreSQL database, postgresql://USER@HOST/NAME; its password belongs in the "
        f"file that PGPASSFILE names. Default: {VARIABLE}, or SQLite in the data folder.",
    )
    @wraps(command)
    def with_place(data: Path | None, database: str, **others: object) -> None:
        command(place=Settings(data or home.folder() / "keystore", database), **others)

    return with_place


def _without_password(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Refuse a password that every user of this machine could read in the list of processes."""
    source = context.get_parameter_source(parameter.name or "")
    user = value.partition("://")[2].rpartition("@")[0]
    if source is ParameterSource.COMMANDLINE and (":" in user or "password=" in value):
        raise click.BadParameter(
            "a password does not belong on the command line, where every user of this machine can "
            "see it: put it into the file that PGPASSFILE names, or the whole address into "
            f"{VARIABLE}"
        )
    return value

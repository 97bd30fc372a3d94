"""What a person names for a command to use, or to make if it is missing."""

from __future__ import annotations

import os
from pathlib import Path

import click


class Given(click.Path):
    """The type of a file or folder that need not be there. An empty name is refused: it comes from
    a variable that is not set, and would be the folder that the command is run in.
    """

    def __init__(self, *, folder: bool = False) -> None:
        super().__init__(file_okay=not folder, dir_okay=folder, path_type=Path)

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Path:
        """The path."""
        if not os.fspath(value):
            self.fail("the name is empty", param, ctx)
        return Path(os.fsdecode(super().convert(value, param, ctx)))


class GivenFolder(Given):
    """The type of a folder, which gets a path with a name, so that a draft can be beside it."""

    def __init__(self) -> None:
        super().__init__(folder=True)

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Path:
        """The absolute path."""
        path = super().convert(value, param, ctx).absolute()
        if path.name == os.pardir:
            return path.resolve()
        # A link in its place stays, which is refused where the folder is written.
        return path.parent.resolve() / path.name if os.pardir in path.parts else path


FILE, FOLDER = Given(), GivenFolder()

"""What a person names for a command to write: what is there already is never overwritten.

A parameter with one of these types refuses what exists before the command does anything. The same
holds when the file gets its name, whoever has taken the name by then. Reports that are made anew
each time are the exception: they replace one of before, and nothing else.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path

import click

from cloudcard_tools.paths import Given
from cloudcard_tools.shared.failures import FileExists
from cloudcard_tools.streams import OutputLost
from private_files import writing

ANYBODY = 0o666  # as far as the system's mask allows
ANOTHER = "name another file, or remove it first"


class Output(Given):
    """The type of a file or folder that a command writes. `require` raises FileExists if what is
    there has to stay.
    """

    def __init__(self, require: Callable[[Path], object], *, folder: bool = False) -> None:
        super().__init__(folder=folder)
        self.require = require

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Path:
        """The path. Raises FileExists."""
        path = super().convert(value, param, ctx)
        self.require(path)
        return path


def require_new(path: Path, advice: str = ANOTHER) -> None:
    """Raise FileExists if there is something at the path, be it a link that leads nowhere."""
    if os.path.lexists(path):
        raise FileExists(f"{path} exists: {advice}")


def require_empty(folder: Path) -> None:
    """Raise FileExists if a folder holds anything."""
    if folder.is_dir() and any(folder.iterdir()):
        raise FileExists(f"{folder} holds files: name another folder, or empty it first")


def require_report(beginning: bytes, path: Path) -> None:
    """Raise FileExists if there is a file that does not begin like a report of before."""
    with suppress(FileNotFoundError), path.open("rb") as file:
        if file.read(len(beginning)) not in (b"", beginning):
            raise FileExists(f"{path} exists and is no report of before: {ANOTHER}")


@contextmanager
def draft(path: Path, advice: str = ANOTHER, mode: int = ANYBODY) -> Iterator[Path]:
    """An empty file to write. It gets its name at the end of the block, durably; if the block
    fails, nothing stays. Raises FileExists if the name is taken, then as now, and OSError.
    """
    require_new(path, advice)
    with _unnamed(path, mode) as made:
        yield made
        _sync(made)
        published(made, path, advice)


@contextmanager
def opened(path: Path, mode: int = ANYBODY) -> Iterator[TextIOWrapper]:
    """Open a new text file. For the rest as `draft`."""
    with draft(path, mode=mode) as made, made.open("w", encoding="utf-8", newline="\n") as file:
        yield file


def write(path: Path, content: bytes) -> None:
    """Write a new file of these bytes. For the rest as `draft`."""
    with draft(path) as made:
        made.write_bytes(content)


def write_all(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write new files into a folder, which is made: all of them or none. Raises FileExists."""
    for name in files:
        require_new(folder / name)
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as written:
        for name, content in files.items():
            written.enter_context(draft(folder / name)).write_bytes(content)


@contextmanager
def growing(path: Path, mode: int = ANYBODY) -> Iterator[TextIOWrapper]:
    """Open a new text file that others can read while it is written, and that stays as far as it
    was written. Raises FileExists if there is something already, and OSError.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise FileExists(f"{path} exists: {ANOTHER}") from None
    with open(descriptor, "w", encoding="utf-8", newline="\n") as file:
        yield file


@contextmanager
def report(path: Path, beginning: bytes) -> Iterator[TextIOWrapper]:
    """Open a text file that replaces one of before, which begins so, at the end of the block. If
    the block fails, the old one stays. Raises FileExists for any other file, and OSError.
    """
    require_report(beginning, path)
    with _unnamed(path) as made:
        with made.open("w", encoding="utf-8", newline="\n") as file:
            yield file
        made.replace(path)


def published(made: Path, path: Path, advice: str = ANOTHER) -> None:
    """Give a complete file its name, durably. Raises FileExists if it is taken, and OSError."""
    try:
        writing.publish(made, path)
    except FileExistsError:
        raise FileExists(f"{path} exists: {advice}") from None


@contextmanager
def _unnamed(path: Path, mode: int = ANYBODY) -> Iterator[Path]:
    """An empty file beside the path, which is gone after the block unless it was renamed. What
    fails there is told of the path.
    """
    made = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    try:
        made.touch(mode, exist_ok=False)
        yield made
    except (OutputLost, ConnectionError):  # of something else
        raise
    except OSError as error:
        if error.filename not in (None, str(made)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        made.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


NEW_FILE = Output(require_new)
NEW_FOLDER = Output(require_empty, folder=True)
INTO = Output(lambda _folder: None, folder=True)  # each file in it is new

"""Writing private files: durably, as a whole, and never through a link or into another's file."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from private_files.rules import (
    BINARY,
    FOLDER_OWNER_ONLY,
    NOFOLLOW,
    OWNER_ONLY,
    require_folder,
)


def write_new(path: Path, content: bytes) -> None:
    """Write a file that does not exist yet, durably. It does not stay if that fails. Raises
    OSError.
    """
    descriptor = _claim(path)
    try:
        _fill(descriptor, content)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def make(path: Path, content: bytes) -> None:
    """Make a file as a whole, durably, unless there is one. Meanwhile there is a draft beside it.
    Raises FileExistsError, and OSError.
    """
    draft = _drafted(path, content)
    try:
        publish(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def publish(draft: Path, path: Path) -> None:
    """Give a complete file its name, durably, unless the name is taken, even at this moment.
    Raises FileExistsError, and then leaves both files, and OSError.
    """
    try:
        os.link(draft, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        os.close(_claim(path))
        os.replace(draft, path)
    else:
        os.unlink(draft)
    sync_folder(path.parent)


def replace(path: Path, content: bytes) -> None:
    """Give a file its content as a whole, durably: however the process ends, the file holds the old
    content or the new one. Meanwhile there is a draft beside it. Raises OSError.
    """
    os.replace(_drafted(path, content), path)
    sync_folder(path.parent)


def draft_of(path: Path) -> Path:
    """The name of a file or folder until it is complete."""
    return path.with_name(path.name + ".new")


def make_folder(path: Path) -> list[Path]:
    """Make a private folder, and those above it that are missing; an existing one is checked.
    Returns those that were made, the innermost first. Raises FileRefused and OSError.
    """
    missing = [each for each in (path, *path.parents) if not os.path.lexists(each)]
    path.mkdir(mode=FOLDER_OWNER_ONLY, parents=True, exist_ok=True)
    require_folder(path)
    return missing


def sync_folder(folder: Path) -> None:
    """Make sure that names in a folder survive a power cut; on Windows they do by themselves."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _drafted(path: Path, content: bytes) -> Path:
    draft = draft_of(path)
    with suppress(FileNotFoundError):
        os.unlink(draft)  # left by a process that ended while it wrote
    write_new(draft, content)
    return draft


def _claim(path: Path) -> int:
    """Open a new file, which nobody else makes at the same time."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NOFOLLOW | BINARY, OWNER_ONLY)


def _fill(descriptor: int, content: bytes) -> None:
    """Write, store and close a file."""
    try:
        left = memoryview(content)
        while left:
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

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
    """Write a file that does not exist yet, durably. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | NOFOLLOW | BINARY
    descriptor = os.open(path, flags, OWNER_ONLY)
    try:
        left = memoryview(content)
        while left:
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace(path: Path, content: bytes) -> None:
    """Give a file its content as a whole, durably: however the process ends, the file holds the old
    content or the new one. Meanwhile there is a draft beside it. Raises OSError.
    """
    draft = draft_of(path)
    with suppress(FileNotFoundError):
        os.unlink(draft)  # left by a process that ended while it wrote
    write_new(draft, content)
    os.replace(draft, path)
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

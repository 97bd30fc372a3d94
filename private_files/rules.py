"""What a file or folder with secrets must be: its user's own, closed to others, and no link."""

from __future__ import annotations

import os
import shlex
import stat
import sys
from pathlib import Path

OWNER_ONLY = 0o600
FOLDER_OWNER_ONLY = 0o700
OTHERS = 0o077

# Flags that only some platforms have
NOFOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
NONBLOCK: int = getattr(os, "O_NONBLOCK", 0)  # otherwise a pipe would block
BINARY: int = getattr(os, "O_BINARY", 0)


class FileRefused(Exception):
    """A file or folder cannot be used and was not changed; the text says what to do."""


def read(path: Path, most: int) -> bytes | None:
    """The first bytes of a private file, at most `most`; None if there is no file.

    Raises FileRefused, and OSError if it cannot be opened or read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | NOFOLLOW | NONBLOCK | BINARY)
    except FileNotFoundError:
        return None
    except OSError as error:
        if path.is_symlink():
            raise FileRefused(f"{path} is a link: name the file itself") from None
        raise error from None
    value = b""
    try:
        require_file(path, os.fstat(descriptor))
        while len(value) < most and (part := os.read(descriptor, most - len(value))):
            value += part
    finally:
        os.close(descriptor)
    return value


def require_file(path: Path, found: os.stat_result) -> None:
    """Raise FileRefused unless the file is regular, of this user, and closed to others."""
    require_own(path, found)
    if sys.platform != "win32" and found.st_mode & OTHERS:
        raise FileRefused(_open_to_others(path, OWNER_ONLY))


def require_own(path: Path, found: os.stat_result) -> None:
    """Raise FileRefused unless the file is regular and of this user."""
    if not stat.S_ISREG(found.st_mode):
        raise FileRefused(f"{path} is not a regular file: move it away")
    _require_owner(path, found)


def require_folder(path: Path) -> None:
    """Raise FileRefused unless the path is a folder of this user that is closed to others, and no
    link to one. Raises OSError if it cannot be looked at.
    """
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise FileRefused(f"{path} is a link: name the folder itself")
    if not stat.S_ISDIR(found.st_mode):
        raise FileRefused(f"{path} is not a folder")
    _require_owner(path, found)
    if sys.platform != "win32" and found.st_mode & OTHERS:
        raise FileRefused(_open_to_others(path, FOLDER_OWNER_ONLY))


def _require_owner(path: Path, found: os.stat_result) -> None:
    """Windows closes a user's folders to others by itself."""
    if sys.platform != "win32" and found.st_uid != os.geteuid():
        raise FileRefused(
            f"{path} belongs to another user, who can have changed it: use your own, or run this "
            "as that user"
        )


def _open_to_others(path: Path, mode: int) -> str:
    return (
        f"{path} holds secrets, and others can read or write it: if you still trust it, "
        f"run `chmod {mode:o} {shlex.quote(str(path))}`"
    )

"""One value in one file, replaced as a whole: however the process ends, the file holds the old
value or the new one.
"""

from __future__ import annotations

import os
import shlex
import sqlite3
import stat
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType

OWNER_ONLY = 0o600
OTHERS = 0o077
LARGEST = 4 * 1024 * 1024  # bytes; a larger file was not written here

# Flags that only some platforms have
_NOFOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
_NONBLOCK: int = getattr(os, "O_NONBLOCK", 0)  # otherwise a pipe would block
_BINARY: int = getattr(os, "O_BINARY", 0)


class FileRefused(Exception):
    """The file cannot be used and was not changed; the text says what to do."""


class FileStore:
    """A file that only this process uses.

    Beside FILE there is FILE.lock, which locks it, and during a write FILE.new.
    """

    def __init__(self, path: Path, lock: sqlite3.Connection) -> None:
        self.path = path
        self._draft = path.with_name(path.name + ".new")
        self._lock = lock

    @classmethod
    def take(cls, path: Path) -> FileStore:
        """Lock the file for this process. Raises FileRefused if that is not possible."""
        real = path.resolve()  # a link stays a link; its target is replaced
        return cls(real, _take(real))

    def __enter__(self) -> FileStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the file for other processes."""
        self._lock.close()

    def load(self) -> bytes | None:
        """The value; None if there is no file yet. Raises FileRefused."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | _NOFOLLOW | _NONBLOCK | _BINARY)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise FileRefused(f"{self.path} cannot be opened: {error.strerror}") from error
        try:
            _require_private(self.path, os.fstat(descriptor))
            value = _read(descriptor, LARGEST + 1)
        finally:
            os.close(descriptor)
        if len(value) > LARGEST:
            raise FileRefused(f"{self.path} is larger than any file that cloudcard writes")
        return value

    def save(self, value: bytes) -> None:
        """Replace the value; when this returns, the value is on the disk.

        Raises OSError; the file then holds the previous value or the new one.
        """
        with suppress(FileNotFoundError):
            os.unlink(self._draft)  # left by a process that ended while it wrote
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW | _BINARY
        descriptor = os.open(self._draft, flags, OWNER_ONLY)
        try:
            _write(descriptor, value)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(self._draft, self.path)
        _sync_folder(self.path.parent)


def _take(path: Path) -> sqlite3.Connection:
    """Lock the file for this process; the kernel releases the lock however the process ends.

    SQLite makes the lock, because it works in the same way on every platform.
    """
    if not path.parent.is_dir():
        raise FileRefused(f"{path.parent} is not a folder: create it first")
    name = path.with_name(path.name + ".lock")
    try:
        _make_private(name)
        lock = sqlite3.connect(name, timeout=0, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise FileRefused(
            f"{name} cannot be created ({error}): choose a folder in which you can write"
        ) from error
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as error:
        lock.close()
        what = (
            "another process uses it; stop that process first"
            if "is locked" in str(error)
            else f"look whether {name} may be written and its disk has room"
        )
        raise FileRefused(f"{path} cannot be locked ({error}): {what}") from None
    return lock


def _make_private(path: Path) -> None:
    """Create an empty file, unless it exists. An existing file is not opened, because closing it
    would release this process's lock on it (POSIX, fcntl).
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY))


def _require_private(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise FileRefused(f"{path} is not a regular file")
    if sys.platform == "win32":
        return  # Windows closes a user's folders to others
    if found.st_uid != os.geteuid():
        raise FileRefused(f"{path} belongs to another user, who can have changed it: use your own")
    if found.st_mode & OTHERS:
        raise FileRefused(
            f"{path} holds private keys, and others can read or write it: if you still trust it, "
            f"run `chmod 600 {shlex.quote(str(path))}`"
        )


def _read(descriptor: int, most: int) -> bytes:
    value = b""
    while len(value) < most and (part := os.read(descriptor, most - len(value))):
        value += part
    return value


def _write(descriptor: int, value: bytes) -> None:
    left = memoryview(value)
    while left:
        left = left[os.write(descriptor, left) :]


def _sync_folder(folder: Path) -> None:
    """Make sure that the new name survives a power cut; on Windows it does by itself."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""One value in one file, replaced as a whole: however the process ends, the file holds the old
value or the new one.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from private_files import rules, writing
from private_files.rules import FileRefused

LARGEST = 4 * 1024 * 1024  # bytes; a larger file was not written here


class FileStore:
    """A file that only this process uses.

    Beside FILE there is FILE.lock, which locks it, and during a write FILE.new.
    """

    def __init__(self, path: Path, lock: sqlite3.Connection) -> None:
        self.path = path
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
            value = rules.read(self.path, LARGEST + 1)
        except OSError as error:
            raise FileRefused(f"{self.path} cannot be opened: {error.strerror}") from error
        if value is not None and len(value) > LARGEST:
            raise FileRefused(f"{self.path} is larger than any file that cloudcard writes")
        return value

    def save(self, value: bytes) -> None:
        """Replace the value; when this returns, the value is on the disk.

        Raises OSError; the file then holds the previous value or the new one.
        """
        writing.replace(self.path, value)


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
        writing.write_new(path, b"")

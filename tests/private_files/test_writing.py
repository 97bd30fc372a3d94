"""How private files are written: whole, and never over another one."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from private_files import writing


def test_a_file_that_cannot_be_written_whole_does_not_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int, _content: bytes) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "write", full)
    for write in (writing.write_new, writing.make, writing.replace):
        with pytest.raises(OSError, match="full"):
            write(tmp_path / "key", b"content")
        assert list(tmp_path.iterdir()) == []


def test_what_exists_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"kept")
    for write in (writing.write_new, writing.make):
        with pytest.raises(FileExistsError):
            write(path, b"content")
        assert path.read_bytes() == b"kept"
        assert list(tmp_path.iterdir()) == [path]

"""A file that is replaced as a whole, by one process, and read by its owner alone."""

from __future__ import annotations

import os
import shlex
import sqlite3
import stat
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from private_files.rules import FileRefused
from reader_bridge.local.file_store import LARGEST, FileStore

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no permission bits")
HOLD = """
import sys
from pathlib import Path
from reader_bridge.local.file_store import FileStore
store = FileStore.take(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "card.json"


def test_there_is_nothing_at_first(path: Path) -> None:
    with FileStore.take(path) as store:
        assert store.load() is None
    assert not path.exists()


def test_what_is_saved_is_loaded(path: Path) -> None:
    with FileStore.take(path) as store:
        for value in (b"one", b"", b"another" * 100_000, b"three"):
            store.save(value)
            assert store.load() == value
    with FileStore.take(path) as store:
        assert store.load() == b"three"
    assert sorted(each.name for each in path.parent.iterdir()) == ["card.json", "card.json.lock"]


@POSIX
def test_files_are_their_owners_alone(path: Path) -> None:
    before = os.umask(0)
    try:
        with FileStore.take(path) as store:
            store.save(b"value")
    finally:
        os.umask(before)
    for name in ("card.json", "card.json.lock"):
        assert stat.S_IMODE((path.parent / name).stat().st_mode) == 0o600


@POSIX
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o602, 0o666])
def test_a_file_that_others_can_read_or_write_is_refused(path: Path, mode: int) -> None:
    path.write_bytes(b"value")
    path.chmod(mode)
    with FileStore.take(path) as store, pytest.raises(FileRefused, match="chmod 600"):
        store.load()
    assert path.read_bytes() == b"value"


def test_two_processes_do_not_share_a_file(path: Path) -> None:
    held = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert held.stdin is not None
    assert held.stdout is not None
    assert held.stdout.readline() == b"held\n"
    with pytest.raises(FileRefused, match="another process"):
        FileStore.take(path)
    held.kill()  # the kernel gives it back
    held.wait()
    held.stdin.close()
    held.stdout.close()
    FileStore.take(path).close()


def test_nor_do_two_in_one_process(path: Path) -> None:
    with FileStore.take(path), pytest.raises(FileRefused, match="another process"):
        FileStore.take(path)
    with FileStore.take(path):
        pass


def test_a_failed_attempt_leaves_the_first_its_lock(path: Path) -> None:
    with FileStore.take(path):
        with pytest.raises(FileRefused):
            FileStore.take(path)
        done = subprocess.run(
            [sys.executable, "-c", HOLD, str(path)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "another process" in done.stderr


@POSIX
def test_a_full_disk_is_no_other_process(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(sqlite3.Connection):
        def execute(self, *_: object) -> sqlite3.Cursor:
            raise sqlite3.OperationalError("database or disk is full")

    connect = partial(sqlite3.connect, factory=Full)
    monkeypatch.setattr("reader_bridge.local.file_store.sqlite3.connect", connect)
    with pytest.raises(FileRefused, match="disk has room") as refused:
        FileStore.take(path)
    assert "another process" not in str(refused.value)


@POSIX
def test_a_command_is_told_as_a_shell_takes_it(tmp_path: Path) -> None:
    path = tmp_path / "Ada's card"
    path.write_bytes(b"{}")
    path.chmod(0o644)
    with FileStore.take(path) as store, pytest.raises(FileRefused) as refused:
        store.load()
    assert f"`chmod 600 {shlex.quote(str(path))}`" in str(refused.value)


def test_a_link_stays_a_link(path: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    real = tmp_path / "elsewhere" / "card"
    path.symlink_to(real)
    with FileStore.take(path) as store:
        store.save(b"value")
    assert path.is_symlink()
    assert real.read_bytes() == b"value"


@POSIX
def test_a_draft_that_was_put_there_is_not_followed(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"precious")
    (tmp_path / "card.json.new").symlink_to(other)
    with FileStore.take(path) as store:
        store.save(b"value")
    assert other.read_bytes() == b"precious"
    assert path.read_bytes() == b"value"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match="is not a folder"):
        FileStore.take(tmp_path / "missing" / "card.json")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_file(path: Path) -> None:
    path.mkdir()
    with FileStore.take(path) as store, pytest.raises(FileRefused):
        store.load()


@POSIX
@pytest.mark.timeout(60)
def test_a_pipe_is_no_file(path: Path) -> None:
    os.mkfifo(path, 0o600)
    with FileStore.take(path) as store, pytest.raises(FileRefused, match="is not a regular file"):
        store.load()


def test_a_file_that_is_too_large(path: Path) -> None:
    path.touch(0o600)
    os.truncate(path, LARGEST + 1)
    with FileStore.take(path) as store, pytest.raises(FileRefused, match="larger"):
        store.load()

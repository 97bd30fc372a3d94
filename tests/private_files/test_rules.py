"""Whose a private file or folder may be."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from private_files import rules
from private_files.rules import FileRefused

if sys.platform == "win32":
    pytest.skip("Windows closes a user's folders by itself", allow_module_level=True)


def another_users(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the path to somebody else, as far as this user can tell."""
    somebody = path.stat().st_uid + 1
    monkeypatch.setattr(os, "geteuid", lambda: somebody)


def test_a_file_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key"
    path.touch(0o600)
    another_users(path, monkeypatch)
    with pytest.raises(FileRefused, match="another user"):
        rules.read(path, 10)


def test_a_folder_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules.require_folder(tmp_path)
    another_users(tmp_path, monkeypatch)
    with pytest.raises(FileRefused, match="another user"):
        rules.require_folder(tmp_path)


@pytest.mark.parametrize("mode", [0o640, 0o620, 0o604, 0o602])
def test_a_file_that_others_can_open(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.touch()
    path.chmod(mode)
    with pytest.raises(FileRefused, match="chmod 600"):
        rules.read(path, 10)


@pytest.mark.parametrize("mode", [0o750, 0o730, 0o705, 0o703, 0o1777])
def test_a_folder_that_others_can_enter(mode: int, tmp_path: Path) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(FileRefused, match="chmod 700"):
        rules.require_folder(tmp_path)
    tmp_path.chmod(0o700)


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "key").touch(0o600)
    (tmp_path / "link").symlink_to(tmp_path / "key")
    with pytest.raises(FileRefused, match="is a link"):
        rules.read(tmp_path / "link", 10)
    (tmp_path / "folder").symlink_to(tmp_path)
    with pytest.raises(FileRefused, match="is a link"):
        rules.require_folder(tmp_path / "folder")


def test_a_file_is_no_folder_and_a_pipe_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch(0o600)
    with pytest.raises(FileRefused, match="is not a folder"):
        rules.require_folder(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(FileRefused, match="is not a regular file"):
        rules.read(tmp_path / "pipe", 10)

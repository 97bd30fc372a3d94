"""Whose a data folder has to be, and what a first start that fails leaves in it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from cloud_keystore.config import Settings
from cloud_keystore.model.people import Role
from cloud_keystore.run import opening
from cloud_keystore.run.opening import open_keystore
from cloud_keystore.run.owning import DataRefused, own, share, whole_or_nothing
from cloud_keystore.storage import people

if sys.platform == "win32":
    pytest.skip("Windows closes a user's folders by itself", allow_module_level=True)

NAMES = ("keystore.db", "keystore.db-wal", "process.lock", "workers.lock")


@pytest.mark.parametrize("take", [own, share])
@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o750])
def test_a_folder_that_others_can_enter_is_not_taken(
    take: Callable[[Settings], object], mode: int, tmp_path: Path
) -> None:
    """Another user put an `operator.token` of their own there, kept it open, and read the token
    that the first start wrote into it: they became the first operator.
    """
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(mode)
    with pytest.raises(DataRefused, match="chmod 700"):
        take(Settings(data))
    assert not list(data.iterdir())


def test_a_folder_of_another_user_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    somebody = tmp_path.stat().st_uid + 1
    monkeypatch.setattr(os, "geteuid", lambda: somebody)
    with pytest.raises(DataRefused, match="another user"):
        own(Settings(tmp_path))


@pytest.mark.parametrize("name", NAMES)
def test_a_link_in_the_folder_is_not_followed(name: str, tmp_path: Path) -> None:
    """SQLite wrote through a link that lay there before the first start."""
    data, victim = tmp_path / "data", tmp_path / "victim"
    data.mkdir(mode=0o700)
    (data / name).symlink_to(victim)
    with pytest.raises(DataRefused, match="not a regular file"):
        own(Settings(data))
    assert not victim.exists()


def test_the_operators_token_is_not_written_into_a_file_that_lay_there(tmp_path: Path) -> None:
    """Whoever had planted a link read the token at its other end."""
    place, victim = Settings(tmp_path / "data"), tmp_path / "victim"
    place.data.mkdir(mode=0o700)
    place.operator_token.symlink_to(victim)
    with closing(own(place)) as hold, open_keystore(place, hold):
        assert not victim.exists()
        assert place.operator_token.read_text().startswith("cc1.")
        assert not place.operator_token.is_symlink()


def test_nobody_is_invited_whose_token_was_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk at that moment: the invitation was in the database, its token nowhere, and for
    two weeks no start made another.
    """
    place = Settings(tmp_path)

    def full(*_: object) -> None:
        raise OSError("no space")

    with monkeypatch.context() as patch, closing(own(place)) as hold:
        patch.setattr(opening.writing, "replace", full)
        # The sealing key is written before, by the same function.
        (tmp_path / "sealing.key").write_bytes(bytes(32))
        (tmp_path / "sealing.key").chmod(0o600)
        (tmp_path / "keystore.db").touch()
        with pytest.raises(OSError, match="no space"), open_keystore(place, hold):
            pass
    with closing(own(place)) as hold, open_keystore(place, hold) as parts:
        assert place.operator_token.read_text().startswith("cc1.")
        with parts.database.read() as connection:
            assert len(people.list_identities(connection, Role.OPERATOR)) == 1


@pytest.mark.parametrize("database", ["", "postgresql://nobody@nowhere/none"])
def test_what_was_made_goes_unless_it_is_kept(database: str, tmp_path: Path) -> None:
    place = Settings(tmp_path / "a" / "data", database)
    with closing(own(place)) as hold, whole_or_nothing(place, hold) as keep:
        place.sealing_key.touch()
        keep()
    assert place.sealing_key.exists()
    place.sealing_key.unlink()
    with closing(own(place)) as hold, whole_or_nothing(place, hold):
        place.sealing_key.touch()
    # What a shared database may be sealed under stays.
    assert place.sealing_key.exists() == bool(database)


def test_what_was_there_stays(tmp_path: Path) -> None:
    place = Settings(tmp_path)
    place.sealing_key.touch()
    with closing(own(place)) as hold, whole_or_nothing(place, hold):
        place.database_file.touch()
    assert place.sealing_key.exists()
    assert place.database_file.exists()

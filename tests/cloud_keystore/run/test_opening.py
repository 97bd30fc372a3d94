"""Opening a keystore: its parts are closed again, the last one first, however it ends."""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from cloud_keystore.config import Settings, Token
from cloud_keystore.model.errors import StorageUnavailable
from cloud_keystore.observability.traces import Traces
from cloud_keystore.run import opening
from cloud_keystore.run.opening import Parts, open_keystore
from cloud_keystore.run.owning import own, share
from cloud_keystore.storage.engine import Database, DatabaseUnusable


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what was closed, in order. Its token is none."""
    names: list[str] = []
    close = Database.close

    def close_database(self: Database) -> None:
        names.append("database")
        close(self)

    pool = SimpleNamespace(close=lambda: names.append("token"))
    monkeypatch.setattr(Database, "close", close_database)
    monkeypatch.setattr(Traces, "close", lambda _self: names.append("traces"))
    monkeypatch.setattr(opening, "token_keys", lambda *_: SimpleNamespace(pool=pool))
    return names


def settings(folder: Path) -> Settings:
    return Settings(folder, token=Token(Path("module.so"), "cards", Path("pin")))


def test_what_was_opened_last_is_closed_first(tmp_path: Path, closed: list[str]) -> None:
    place = settings(tmp_path)
    with closing(own(place)) as hold, open_keystore(place, hold):
        assert closed == []
    assert closed == ["traces", "token", "database"]


def test_what_was_opened_is_closed_where_the_rest_is_not(tmp_path: Path, closed: list[str]) -> None:
    place = settings(tmp_path)
    place.operator_token.mkdir()  # the last thing that opening writes cannot be written
    place.database_file.touch()
    with closing(own(place)) as hold, ExitStack() as stack, pytest.raises(IsADirectoryError):
        stack.enter_context(open_keystore(place, hold))
    assert closed == ["traces", "token", "database"]
    place.operator_token.rmdir()
    with closing(own(place)) as hold, open_keystore(place, hold) as parts:
        assert not parts.has_operators


def test_only_what_was_opened_is_closed(tmp_path: Path, closed: list[str]) -> None:
    place = settings(tmp_path)
    place.database_file.write_bytes(b"junk" * 5000)
    with closing(own(place)) as hold, ExitStack() as stack, pytest.raises(DatabaseUnusable):
        stack.enter_context(open_keystore(place, hold))
    assert closed == ["database"]


def test_what_fails_inside_passes_and_all_is_closed(tmp_path: Path, closed: list[str]) -> None:
    place = settings(tmp_path)
    with pytest.raises(KeyError), closing(own(place)) as hold, open_keystore(place, hold):
        raise KeyError
    assert closed == ["traces", "token", "database"]


def test_a_worker_makes_no_database(tmp_path: Path) -> None:
    place = Settings(tmp_path)
    with closing(own(place)):
        pass
    with closing(share(place)) as hold, ExitStack() as stack, pytest.raises(StorageUnavailable):
        stack.enter_context(open_keystore(place, hold))
    assert not place.sealing_key.exists()


def test_it_says_nothing_of_its_secrets(tmp_path: Path) -> None:
    place = Settings(tmp_path)
    with closing(own(place)) as hold, open_keystore(place, hold) as parts:
        assert isinstance(parts, Parts)
        assert "seal=" not in repr(parts)

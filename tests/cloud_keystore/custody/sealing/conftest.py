from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cloud_keystore.storage.engine import Database


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database without keys, to be copied by each test, as its tables take a while."""
    path = tmp_path_factory.mktemp("empty") / "keystore.db"
    with closing(Database(f"sqlite:///{path}")) as made:
        made.migrate()
    return path


@pytest.fixture
def database(tmp_path: Path, empty_database: Path) -> Iterator[Database]:
    """An empty one."""
    path = tmp_path / "keystore.db"
    shutil.copy(empty_database, path)
    with closing(Database(f"sqlite:///{path}")) as made:
        yield made

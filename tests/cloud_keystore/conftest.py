from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud_keystore.model.people import User
from keystore_world import DATABASE, Enrolled, World, new_world


@pytest.fixture(scope="session")
def new_keystore(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A keystore that has just been made; copied by each test, as its keys take a while."""
    folder = tmp_path_factory.mktemp("new-keystore")
    new_world(folder).database.close()
    return folder / DATABASE


@pytest.fixture
def world(tmp_path: Path, new_keystore: Path) -> Iterator[World]:
    shutil.copy(new_keystore, tmp_path / DATABASE)
    world = new_world(tmp_path)
    yield world
    world.database.close()


@pytest.fixture
def ada(world: World) -> tuple[User, Enrolled]:
    """A holder with a phone."""
    return world.user("Ada Byron")


@pytest.fixture
def pc(world: World) -> Enrolled:
    """An enrolled workstation."""
    return world.workstation()

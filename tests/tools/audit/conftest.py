"""A keystore with a past, and its exported journal."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.exports import Export, Story, exported, story


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """What people did."""
    past = story(tmp_path_factory.mktemp("world"))
    yield past
    past.world.database.close()


@pytest.fixture
def export(past: Story) -> Export:
    """Its journal, to be changed."""
    return exported(past.world)

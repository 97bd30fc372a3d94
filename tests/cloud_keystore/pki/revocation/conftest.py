from __future__ import annotations

import pytest

from support.checking import Checker
from support.keystore_world import World


@pytest.fixture
def checker(world: World) -> Checker:
    return Checker(world)

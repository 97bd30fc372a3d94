"""Settings of every test: in CI, hypothesis tries the same examples each time; which tests stay in
one process.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("default", deadline=None)  # a busy computer is no fault of the code
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

SYSTEM = Path(__file__).parent / "system"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Several processes may share the tests (`-n`): those of a file stay together, as they share
    services too.
    """
    for item in items:
        if not item.path.is_relative_to(SYSTEM):
            item.add_marker(pytest.mark.xdist_group(str(item.path)))

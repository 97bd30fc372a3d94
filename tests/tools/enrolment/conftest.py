"""A keystore at which tests enrol."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cloudcard_tools.shared.processes import Nursery
from support.keystore_process import KeystoreProcess


@pytest.fixture(scope="session")
def keystore(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeystoreProcess]:
    folder = tmp_path_factory.mktemp("keystore")
    with Nursery(folder / "logs") as nursery:
        yield KeystoreProcess(folder, nursery, ("--limit", "enrolment=100/1000"))

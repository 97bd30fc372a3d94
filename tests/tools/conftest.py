"""A pcscd that refuses the tests' user, and a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cloudcard_tools.shared import pcsc
from support.postgres import Server, server
from support.refusing_pcscd import Scard


@pytest.fixture
def refusing_pcscd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Polkit lets nobody use pcscd."""
    monkeypatch.setattr(pcsc, "import_module", lambda _name: Scard())


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A PostgreSQL server."""
    with server() as running:
        yield running

"""A pcscd that refuses the tests' user."""

from __future__ import annotations

import pytest

from cloudcard_tools.shared import pcsc
from support.refusing_pcscd import Scard


@pytest.fixture
def refusing_pcscd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Polkit lets nobody use pcscd."""
    monkeypatch.setattr(pcsc, "import_module", lambda _name: Scard())

"""A computer that has nothing of what the doctor looks for, and our driver."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudcard_tools.doctor.places import Places
from support.ifd_handler import Handler, build, opened


@pytest.fixture
def places() -> Iterator[Places]:
    """Places in a folder that every user may enter."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield Places(
        pcscd=folder / "pcscd.comm",
        readers=folder / "reader.conf.d",
        handler=folder / "reader.sock",
        opensc=(f"{folder}/*/opensc-pkcs11.so",),
        systemd=folder / "systemd",
        seats=folder / "users",
        bus=folder / "bus",
    )
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("ifd"))


@pytest.fixture
def handler(library: Path, places: Places) -> Iterator[Handler]:
    """Our driver with two slots."""
    with opened(Handler(library, places.handler.parent), 0, 1) as running:
        yield running


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLOUDCARD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"

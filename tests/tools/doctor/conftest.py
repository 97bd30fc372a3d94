"""A computer that has nothing of what the doctor looks for, and our driver."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudcard_tools.doctor import agent, bundle, daemon, identities, keystore, system
from cloudcard_tools.doctor.places import Places
from reader_bridge.carriers import handler_socket
from support.ifd_handler import Handler, build, opened

LIMITS = {
    (module, name): getattr(module, name)
    for module, name in (
        (handler_socket, "WELCOME_SECONDS"),
        (identities, "CALL_SECONDS"),
        (keystore, "STEP_SECONDS"),
        (keystore, "CALL_SECONDS"),
        (agent, "COMMAND_SECONDS"),
        (daemon, "COMMAND_SECONDS"),
        (system, "COMMAND_SECONDS"),
        (bundle, "LOG_SECONDS"),
    )
}


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
        processes=folder / "proc",
        systemd=folder / "systemd",
        seats=folder / "users",
        bus=folder / "bus",
        policy=folder / "policy.toml",
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
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes on is waited for, however busy this computer is."""
    for module, name in LIMITS:
        monkeypatch.setattr(module, name, 60.0)


@pytest.fixture
def as_shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The product's own limits."""
    for (module, name), seconds in LIMITS.items():
        monkeypatch.setattr(module, name, seconds)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLOUDCARD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"

"""OpenSC's module: loaded, and compared with the readers of pcscd."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from cloudcard_tools.doctor import asking, opensc
from cloudcard_tools.doctor.checks import Level, Once
from cloudcard_tools.doctor.places import Places

NAMES = [f"Cloudcard {slot} {slot:02X} 00" for slot in range(6)]


def place(places: Places, source: str | None) -> Path:
    """A library in the module's place, of these lines of C; without any, it is none."""
    folder = places.readers.parent / "lib"
    folder.mkdir(exist_ok=True)
    module = folder / "opensc-pkcs11.so"
    if source is None:
        module.write_text("no library")
        return module
    (folder / "module.c").write_text(source)
    command = ["cc", "-shared", "-fPIC", "-w", "-o", str(module), str(folder / "module.c")]
    subprocess.run(command, check=True)
    return module


def found(places: Places, monkeypatch: pytest.MonkeyPatch, seconds: float = 60.0) -> str:
    monkeypatch.setattr(asking, "SECONDS", seconds)
    finding = opensc.module(places, lambda: asking.ask("slots", str(places.module())))
    return f"{finding.level.value}: {finding.cause}"


def test_no_module(places: Places) -> None:
    assert opensc.module(places, dict).level is Level.FAILED


def test_the_real_module_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    places = Places()
    monkeypatch.setattr(asking, "SECONDS", 60.0)
    ask = Once(lambda: asking.ask("slots", str(places.module())))
    finding = opensc.module(places, ask)
    assert finding.level is Level.OK
    version = str(ask()["version"])
    assert finding.cause == f"{places.module()}, version {version}"
    assert version.startswith("0.2")


def test_what_is_no_module(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    place(places, None)
    assert found(places, monkeypatch).startswith("fail: ")
    place(places, "int nothing;")
    assert "cannot be used" in found(places, monkeypatch)


def test_a_module_that_crashes(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    place(places, "long C_GetFunctionList(void **table) { return *(volatile long *)8; }")
    assert found(places, monkeypatch).endswith("crashes")


def test_a_module_that_hangs(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    place(places, "int pause(void); long C_GetFunctionList(void **table) { for (;;) pause(); }")
    assert "does not answer in 1 s" in found(places, monkeypatch, 1.0)


@pytest.mark.parametrize(
    ("cards", "shown", "level"),
    [
        ([], 6, Level.OK),
        ([], 4, Level.WARNING),
        ([3], 4, Level.WARNING),
        ([4], 4, Level.FAILED),
    ],
)
def test_readers_that_the_module_does_not_show(cards: list[int], shown: int, level: Level) -> None:
    readers = {name: slot in cards for slot, name in enumerate(NAMES)}
    finding = opensc.judged(readers, list(NAMES[:shown]), other=True)
    assert finding.level is level
    assert (NAMES[4] in finding.cause) == (level is not Level.OK)
    assert ("onepin-opensc-pkcs11.so" in finding.fix) == (level is not Level.OK)

"""A prompt is shown on this user's screen alone."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from reader_bridge.prompts import desktop


@pytest.fixture
def screens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the sockets of X server 77 and of a Wayland compositor."""
    monkeypatch.setattr(desktop, "X11_SOCKETS", tmp_path)
    with socket.socket(socket.AF_UNIX) as x11, socket.socket(socket.AF_UNIX) as wayland:
        for end, name in ((x11, "X77"), (wayland, "wayland-0")):
            end.bind(str(tmp_path / name))
            end.listen()
        yield tmp_path


@pytest.mark.parametrize("display", [":77", ":77.0", "unix:77"])
@pytest.mark.usefixtures("screens")
def test_a_screen_of_this_user(display: str) -> None:
    assert desktop.is_ours({"DISPLAY": display})


def test_a_compositor_of_this_user(screens: Path) -> None:
    here = {"XDG_RUNTIME_DIR": str(screens), "WAYLAND_DISPLAY": "wayland-0"}
    assert desktop.is_ours(here)
    assert not desktop.is_ours({**here, "WAYLAND_DISPLAY": "wayland-1"})


@pytest.mark.parametrize("display", ["", ":78", "localhost:10.0", "elsewhere:77", "/tmp/x:77"])
@pytest.mark.usefixtures("screens")
def test_no_screen_or_one_elsewhere(display: str) -> None:
    assert not desktop.is_ours({"DISPLAY": display})


@pytest.mark.usefixtures("screens")
def test_a_screen_of_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    owner = os.getuid() + 1000 or 1
    monkeypatch.setattr(desktop, "_owner", lambda _path: owner)
    assert not desktop.is_ours({"DISPLAY": ":77"})
    monkeypatch.setattr(desktop, "_owner", lambda _path: 0)
    assert desktop.is_ours({"DISPLAY": ":77"})

"""The agent's configuration, and what shows numbers and codes on this computer."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudcard_tools.doctor import agent
from cloudcard_tools.doctor.checks import Level
from cloudcard_tools.doctor.places import Places
from reader_bridge.prompts import choosing


@pytest.mark.parametrize(
    ("policy", "own", "level", "said"),
    [
        (None, None, Level.OK, "none is needed"),
        ("idle_minutes = 5", None, Level.OK, "policy.toml"),
        (None, 'aproval = "qr"', Level.FAILED, "there is no key 'aproval'"),
        ("idle_minutes = -1", None, Level.FAILED, "idle_minutes is -1"),
        ("idle_minutes = ", None, Level.FAILED, "is no TOML"),
        ('approval = "push"', 'approval = "qr"', Level.WARNING, "has no effect"),
    ],
)
def test_configuration(
    places: Places, tmp_path: Path, policy: str | None, own: str | None, level: Level, said: str
) -> None:
    file = tmp_path / "reader.toml"
    for path, text in ((places.policy, policy), (file, own)):
        if text is not None:
            path.write_text(text)
    found = agent.configuration(places, file)
    assert (found.level, bool(found.fix)) == (level, level is not Level.OK)
    assert said in found.cause


def python(folder: Path, *bindings: str) -> Path:
    """A Python that has some of the bindings."""
    path = folder / "python3"
    cases = "".join(f"*{each}*) exit 0;; " for each in bindings)
    path.write_text(f'#!/bin/sh\ncase "$*" in {cases}*) exit 1;; esac\n')
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("bindings", "level", "said"),
    [
        (("Gtk", "tkinter"), Level.OK, "screen readers can read"),
        (("tkinter",), Level.WARNING, "cannot read"),
        ((), Level.WARNING, "notifications only"),
    ],
)
def test_window(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    bindings: tuple[str, ...],
    level: Level,
    said: str,
) -> None:
    monkeypatch.setattr(choosing.desktop, "is_ours", lambda _environment: True)
    found = agent.window(python(tmp_path, *bindings))
    assert (found.level, bool(found.fix)) == (level, level is not Level.OK)
    assert said in found.cause


def test_without_a_desktop_the_terminal_shows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    found = agent.window(Path("/nonexistent"))
    assert (found.level, "terminal" in found.cause) == (Level.OK, True)

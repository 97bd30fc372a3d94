"""Importing a module does nothing: no file, socket, process or thread."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from architecture.imports import modules

HERE = Path(__file__).parent
MIGRATION_SCRIPTS = "cloud_keystore.storage.migrations."  # alembic runs these; nobody imports them
# The system's Python imports these, which has GTK's bindings; an environment of ours may lack Tk.
OF_THE_DESKTOP = tuple(
    f"reader_bridge.prompt_program.{name}" for name in ("gtk", "gtk_look", "notify", "tk")
)


def effects(*names: str, path: Path | None = None) -> list[str]:
    """What importing these modules did, in words."""
    places = [str(HERE.parent), *([str(path)] if path else [])]
    done = subprocess.run(
        [sys.executable, "-B", HERE / "watched_import.py", *names],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: list[str] = json.loads(done.stdout)
    return found


def test_our_modules_do_nothing_when_imported() -> None:
    names = [
        name for name, _ in modules() if not name.startswith((MIGRATION_SCRIPTS, *OF_THE_DESKTOP))
    ]
    assert effects(*names) == []


@pytest.mark.parametrize(
    ("source", "effect"),
    [
        ("import socket\nsocket.socket()", "busy: socket.__new__"),
        ("open('/dev/null')", "busy: open /dev/null"),
        ("open(__file__, 'a')", "busy: open {path}"),
        ("import subprocess\nsubprocess.run(['true'])", "busy: subprocess.Popen"),
        ("import os\nos.environ['BUSY'] = '1'", "busy: os.putenv"),
        (
            "from threading import Event, Thread\nThread(target=Event().wait, daemon=True).start()",
            "busy: thread",
        ),
        ("import ctypes\nctypes.CDLL(None)", "busy: ctypes.dlopen"),
        ("import importlib", None),
    ],
)
def test_an_effect_is_seen(tmp_path: Path, source: str, effect: str | None) -> None:
    path = tmp_path / "busy.py"
    path.write_text(source)
    found = effects("busy", path=tmp_path)
    assert (effect.format(path=path) if effect else None) in [*found, None]
    assert bool(found) == bool(effect)

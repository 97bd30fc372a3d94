"""A program: imports modules and prints, as JSON, what they did besides being imported.

Run as `python watched_import.py MODULE…`. What others' packages do is not counted: all that is
imported from them is imported first, unwatched.
"""

from __future__ import annotations

import json
import sys
import threading
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from architecture.imports import PACKAGES, imported_by, under

DEEDS = (
    "socket.",
    "subprocess.",
    "os.system",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.spawn",
    "ctypes.dlopen",
)
CHANGES = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.chmod", "os.putenv", "shutil.")


def main(names: list[str]) -> list[str]:
    """Import the modules; what they did, in words."""
    seen: list[str] = []
    current = ""

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if not current:
            return
        if event.startswith(DEEDS + CHANGES):
            seen.append(f"{current}: {event}")
        elif event == "open" and not _is_reading_code(*arguments[:2]):
            seen.append(f"{current}: open {arguments[0]}")

    for name in names:
        _import_others(name)
    sys.addaudithook(watch)
    for name in names:
        before = threading.active_count()
        current = name
        import_module(name)
        current = ""
        if threading.active_count() > before:
            seen.append(f"{name}: thread")
    return seen


def _import_others(name: str) -> None:
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    for other in imported_by(Path(spec.origin).read_text(), name):
        if not under(other, PACKAGES):
            try:
                import_module(other)
            except ImportError:
                _import_prefix(other)


def _import_prefix(name: str) -> None:
    """Import the module of `module.attribute`; an optional package may be missing."""
    try:
        import_module(name.rpartition(".")[0] or name)
    except ImportError:
        return


def _is_reading_code(path: object, mode: object) -> bool:
    if mode is not None and set(str(mode)) & set("wax+"):
        return False
    if isinstance(path, int):
        return True  # was counted when it was opened
    return str(path).endswith((".py", ".pyc", ".so", ".pth"))


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))

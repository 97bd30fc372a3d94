"""Files that a person names for a command to write: what is there is never overwritten."""

from __future__ import annotations

from pathlib import Path

from cloudcard_tools.shared.failures import FileExists


def must_be_new(path: Path) -> None:
    """Raise FileExists if there is something at the path already."""
    if path.exists() or path.is_symlink():
        raise FileExists(f"{path} exists: name another file, or remove it first")

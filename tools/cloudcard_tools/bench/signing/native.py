"""The native client: a program in C, built when it is needed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import click

SOURCES = Path(__file__).parents[3] / "bench"
BUILD = SOURCES.parents[1] / "build" / "tools" / "bench"
PACKAGES = "gcc libc6-dev make pkg-config libnghttp2-dev libssl-dev"
LIBRARIES = ("libnghttp2", "libssl")
OTHERWISE = "or measure with --client python"


def build(folder: Path = BUILD, target: str = "all") -> Path:
    """Build the client in a folder, unless it is there already. Raises ClickException, which says
    what to install.
    """
    if not SOURCES.is_dir():
        raise click.ClickException(
            f"the native client needs the repository: run it there, {OTHERWISE}"
        )
    missing = [name for name in ("make", "cc", "pkg-config") if shutil.which(name) is None]
    if not missing:
        missing = [name for name in LIBRARIES if not _is_there(name)]
    if missing:
        raise click.ClickException(
            f"the native client cannot be built without {', '.join(missing)}: "
            f"apt-get install {PACKAGES}, {OTHERWISE}"
        )
    made = _run("make", "--silent", "--directory", str(SOURCES), f"BUILD={folder}", target)
    if made.returncode != 0:
        raise click.ClickException(f"the native client cannot be built:\n{made.stderr}")
    return folder / "load"


def _is_there(library: str) -> bool:
    return _run("pkg-config", "--exists", library).returncode == 0


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603

"""vsmartcard's own card emulator, as Debian packages it, for comparison."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import click
import platformdirs

PROGRAM = Path("/usr/bin/vicc")
LIBRARY = Path("/usr/lib/python3/site-packages/virtualsmartcard")  # of the Debian package
# The Debian package needs this, but does not depend on it.
REQUIREMENT = "pycryptodome>=3.19"


def command(port: int) -> list[str]:
    """The command that runs the emulator at a port of vpcd. Raises ClickException if it is
    missing.
    """
    return [*python(), str(PROGRAM), "--hostname", "127.0.0.1", "--port", str(port)]


def python() -> list[str]:
    """The command of a Python that has the emulator. Raises ClickException if it is missing."""
    if not PROGRAM.exists():
        raise click.ClickException(
            "--peer needs vsmartcard's emulator: apt-get install vsmartcard-vpicc"
        )
    return [str(_environment() / "bin" / "python")]


def variables() -> dict[str, str]:
    """The environment variables that the emulator needs."""
    return {"PYTHONPATH": str(LIBRARY)}


def _environment() -> Path:
    """The folder of a Python environment in the user's cache, which is made the first time."""
    folder = platformdirs.user_cache_path("cloudcard") / "vicc"
    done = folder / "complete"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        _run(sys.executable, "-m", "venv", str(folder))
        _run(str(folder / "bin/pip"), "install", "--quiet", "--no-input", REQUIREMENT)
        done.touch()
    return folder


def _run(*arguments: str) -> None:
    try:
        subprocess.run(arguments, check=True, capture_output=True, text=True)  # noqa: S603
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip() or "no reason given").splitlines()[-1]
        raise click.ClickException(f"{' '.join(arguments)} failed: {last}") from None

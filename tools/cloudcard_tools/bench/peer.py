"""vsmartcard's own card emulator, as Debian packages it, for comparison."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click

from cloudcard_tools.shared import home

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
    folder = home.cache() / "vicc"
    done = folder / "complete"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        version = ".".join(map(str, sys.version_info[:2]))
        _run(f"apt-get install python{version}-venv", sys.executable, "-m", "venv", str(folder))
        pip = str(folder / "bin/pip")
        network = f"--peer needs {REQUIREMENT} from the package index: is the network up?"
        _run(network, pip, "install", "--quiet", "--no-input", REQUIREMENT)
        done.touch()
    return folder


def _run(advice: str, *arguments: str) -> None:
    """Run a program. Raises ClickException with its last words and the advice if it fails."""
    try:
        subprocess.run(arguments, check=True, capture_output=True, text=True)  # noqa: S603
    except OSError as error:
        raise click.ClickException(f"{arguments[0]}: {error.strerror}: {advice}") from None
    except subprocess.CalledProcessError as error:
        said = (error.stderr.strip() or error.stdout.strip() or "no reason given").splitlines()
        raise click.ClickException(
            f"{shlex.join(arguments)} failed ({said[-1]}): {advice}"
        ) from None

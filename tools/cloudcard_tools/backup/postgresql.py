"""Backups of PostgreSQL databases, by PostgreSQL's own programs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy.engine import make_url

from cloudcard_tools.failures import Failure

MAGIC = b"PGDMP"
VARIABLES = {"host": "PGHOST", "port": "PGPORT", "username": "PGUSER", "password": "PGPASSWORD"}


def dump(url: str, target: Path) -> None:
    """Write a consistent copy into a new file; raises Failure, and leaves no half-made file."""
    try:
        _run("pg_dump", url, "--format=custom", "--no-owner", "--file", str(target))
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def load(url: str, source: Path) -> None:
    """Read a copy into an empty database, all or nothing; raises Failure."""
    name = make_url(url).database or ""
    _run(
        "pg_restore",
        url,
        *("--single-transaction", "--exit-on-error", "--no-owner", "--dbname", name, str(source)),
    )


def _run(program: str, url: str, *arguments: str) -> None:
    """Run a program; where the database is, and the password, go by the environment."""
    path = shutil.which(program) or _newest(program)
    if path is None:
        raise Failure(f"{program} is not on this computer: install PostgreSQL's client programs")
    ended = subprocess.run(  # noqa: S603 (PostgreSQL's own program)
        [path, *arguments],
        env={**os.environ, **_environment(url)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise Failure(f"{program} failed: {ended.stderr.strip()}")


def _newest(program: str) -> str | None:
    """Where Debian has it."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
    return str(found[-1]) if found else None


def _environment(url: str) -> Mapping[str, str]:
    parsed = make_url(url)
    values = {name: getattr(parsed, part) for part, name in VARIABLES.items()}
    values["PGDATABASE"] = parsed.database
    return {name: str(value) for name, value in values.items() if value is not None}

"""Backups of PostgreSQL databases, by PostgreSQL's own programs."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from psycopg.conninfo import make_conninfo

from cloud_keystore.model.errors import KeystoreError
from cloud_keystore.storage.databases.addresses import parameters
from cloudcard_tools.shared.failures import Failure

MAGIC = b"PGDMP"


def dump(url: str, target: Path) -> None:
    """Write a consistent copy into a new file. Raises Failure, and then leaves no partial file."""
    try:
        _run("pg_dump", url, "--format=custom", "--no-owner", "--file", str(target))
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def load(url: str, source: Path) -> None:
    """Load a copy into a database, all or nothing. Raises Failure if that fails."""
    _run("pg_restore", url, "--single-transaction", "--exit-on-error", "--no-owner", str(source))


def _run(program: str, url: str, *arguments: str) -> None:
    """Run a program on a database. The password is in the environment, where others cannot
    see it.
    """
    path = shutil.which(program) or _newest(program)
    if path is None:
        raise Failure(f"{program} is not on this computer: install PostgreSQL's client programs")
    try:
        address = dict(parameters(url))
    except KeystoreError as error:
        raise Failure(str(error)) from None
    password = address.pop("password", None)
    secret = {} if password is None else {"PGPASSWORD": password}
    where = make_conninfo("", **address)
    ended = subprocess.run(  # noqa: S603 (PostgreSQL's own program)
        [path, f"--dbname={where}", *arguments],
        env={**os.environ, **secret},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise Failure(f"{program} failed: {ended.stderr.strip()}")


def _newest(program: str) -> str | None:
    """The program's newest version, in the folder where Debian puts it."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
    return str(found[-1]) if found else None

"""A PostgreSQL server of the tests' own: Debian's programs, a folder, a socket, no password."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psycopg

from cloudcard_tools.demo.stage import free_ports

PROGRAMS = max(Path("/usr/lib/postgresql").glob("*/bin"))
USER = "postgres"  # initdb refuses root
SECONDS = 60
# The shell's input ends with this process. A signal at the parent's death would come at the end of
# the thread that has started the server.
TETHERED = '"$@" </dev/null & cat; kill -QUIT $!'


@dataclass
class Server:
    """A server that can be stopped and started again at will."""

    folder: Path
    port: int
    _names: Iterator[int] = field(default_factory=count)
    _tether: subprocess.Popen[bytes] | None = None

    def new_database(self, template: str = "template1") -> str:
        """Make a database, empty or like the one at an address; returns its address."""
        name = f"keystore{next(self._names)}"
        original = template.rpartition("/")[2]
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {original} STRATEGY file_copy")
        return self.url(name)

    def configure(self, **settings: str) -> None:
        """Change settings of the running server, and wait until it has read them."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            for name, value in settings.items():
                connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
            before = self._configured_at()
            connection.execute("SELECT pg_reload_conf()")
        while self._configured_at() == before:
            time.sleep(0.01)

    def _configured_at(self) -> object:
        """When a new connection's settings were read."""
        with psycopg.connect(self.url("postgres")) as connection:
            return connection.execute("SELECT pg_conf_load_time()").fetchone()

    def drop(self, url: str) -> None:
        """Remove a database that nobody uses any more."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {url.rpartition('/')[2]}")

    def url(self, name: str) -> str:
        """The address of one of its databases."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        """Start it, and wait until it answers. It ends with this process, however that ends."""
        with (self.folder / "log").open("ab") as log:
            self._tether = subprocess.Popen(
                ["sh", "-c", TETHERED, "sh", *program("postgres"), "-D", str(self.folder / "data")],
                cwd="/",
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        run("pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port), "-t", "0", until=SECONDS)

    def stop(self, mode: str = "fast") -> None:
        """Stop it; "immediate" is like a crash."""
        run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-m", mode, "stop")
        if self._tether is not None:
            self._tether.communicate(timeout=SECONDS)
            self._tether = None

    @contextmanager
    def standby(self) -> Iterator[Server]:
        """Another server that follows this one until it is promoted; ended with the block."""
        with _folder() as folder:
            (port,) = free_ports(1)
            copy = Server(folder, port)
            data = folder / "data"
            where = ("-h", "127.0.0.1", "-p", str(self.port), "-U", USER)
            run("pg_basebackup", *where, "-D", str(data), "-R", "-c", "fast", "--no-sync")
            with (data / "postgresql.auto.conf").open("a") as file:
                file.write(f"port={port}\n")
            with copy.running():
                while not self._is_followed():  # what it has not been sent would be lost
                    time.sleep(0.01)
                yield copy

    def _is_followed(self) -> bool:
        """Whether a standby gets its changes as they are made."""
        query = "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"
        with psycopg.connect(self.url("postgres")) as connection:
            return connection.execute(query).fetchone() is not None

    def promote(self) -> None:
        """Make a standby the primary, and wait until it takes changes."""
        run("pg_ctl", "-D", str(self.folder / "data"), "-w", "promote")

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start it, and end it after the block."""
        self.start()
        try:
            yield
        finally:
            self.stop("immediate")


@contextmanager
def server() -> Iterator[Server]:
    """A new server, ended with the block."""
    with _folder() as folder:
        (port,) = free_ports(1)
        made = Server(folder, port)
        data = folder / "data"
        run("initdb", "-D", str(data), "-U", USER, "--auth=trust", "-E", "UTF8", "--no-sync")
        with (data / "postgresql.conf").open("a") as file:
            file.write(
                f"port={port}\nlisten_addresses='127.0.0.1'\nunix_socket_directories=''\n"
                "max_connections=200\nshared_buffers=16MB\n"
            )
        with made.running():
            yield made


@contextmanager
def _folder() -> Iterator[Path]:
    memory = Path("/dev/shm")
    folder = Path(
        tempfile.mkdtemp(prefix="cloudcard-postgres-", dir=memory if memory.is_dir() else None)
    )
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, USER)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def program(name: str) -> list[str]:
    """One of PostgreSQL's programs, as its user where we are root."""
    user = ["setpriv", "--reuid", USER, "--regid", USER, "--init-groups", "--"]
    return [*(user if os.geteuid() == 0 else []), str(PROGRAMS / name)]


def run(name: str, *arguments: str, until: float = 0.0) -> None:
    """Run one of PostgreSQL's programs; again and again for so many seconds while it fails."""
    deadline = time.monotonic() + until
    while True:
        done = subprocess.run(
            [*program(name), *arguments],
            check=time.monotonic() >= deadline,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            timeout=SECONDS,
        )
        if done.returncode == 0:
            return
        time.sleep(0.05)

"""The commands of docs/operations.md for sealing keys and backups, played on a running keystore."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

from cloudcard_tools.shared.processes import Nursery
from support import warm_starts
from support.guides import run_by
from support.keystore_process import KeystoreProcess
from support.postgres import PROGRAMS, Server
from support.softhsm import CONFIGURATION

NEW_KEY, NEW_TOKEN, BACKUP, OF_POSTGRESQL = run_by("operations.md", __file__)


def play(line: str, **places: str) -> str:
    """What a command says, with this computer's places for those of the guide."""
    for written, here in places.items():
        line = line.replace(PLACES[written], here)
    [_, *words] = shlex.split(line, comments=True)
    path = f"{os.environ['PATH']}:{PROGRAMS}"
    done = warm_starts.run(*words, environment={"COLUMNS": "80", "PATH": path})
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


PLACES = {
    "data": "/var/lib/cloudcard",
    "settings": "/etc/cloudcard",
    "backups": "/backup",
    "old": "file:OLD",
    "id": " ID ",
    "database": "postgresql://cloudcard@db.example.org/cloudcard",
    "empty": "postgresql://cloudcard@db.example.org/empty",
}


def test_a_new_sealing_key_without_an_interruption(tmp_path: Path) -> None:
    with Nursery(tmp_path / "logs") as nursery:
        keystore = KeystoreProcess(tmp_path, nursery)
        data, old = tmp_path / "keystore", f"file:{tmp_path / 'keystore' / 'sealing.key'}"
        places = {"data": str(data), "settings": str(tmp_path), "old": old}
        add, rotate, list_, retire = NEW_KEY.commands
        play(add, **places)
        new = f"file:{tmp_path / '2027.key'}"
        for keys in ((old, new), (new, old)):  # the lines between that say so
            nursery.stop("keystore")
            keystore.options = tuple(word for key in keys for word in ("--sealing-key", key))
            start(keystore, nursery)
        play(rotate, **places)
        assert "0" in play(list_, **places)
        rows = json.loads(play(f"{list_.partition('#')[0]} --json", **places))
        [unused] = [row["id"] for row in rows if row["values"] == 0]
        play(f"{retire.partition('#')[0]} --yes", **places, id=f" {unused} ")
        nursery.stop("keystore")
        keystore.options = ("--sealing-key", new)
        start(keystore, nursery)


def start(keystore: KeystoreProcess, nursery: Nursery) -> None:
    """Start it with other options."""
    command = ("-m", "cloudcard_tools", "serve", "--data", str(keystore.folder / "keystore"))
    ports = keystore.child.command[keystore.child.command.index("--listen") :][:4]
    keystore.child = nursery.start_python("keystore", *command, *ports, *keystore.options)
    keystore.child.wait_for("Keystore ready", timeout=30)


def test_a_backup_while_it_runs_and_its_restoring(tmp_path: Path) -> None:
    backup, restore = BACKUP.commands
    (tmp_path / "backups").mkdir()
    backups = str(tmp_path / "backups")
    with Nursery(tmp_path / "logs") as nursery:
        KeystoreProcess(tmp_path, nursery)
        play(backup, data=str(tmp_path / "keystore"), backups=backups)
    new = tmp_path / "new"
    new.mkdir(mode=0o700)
    (new / "sealing.key").write_bytes((tmp_path / "keystore" / "sealing.key").read_bytes())
    (new / "sealing.key").chmod(0o600)
    assert "Journal up to" in play(restore, data=str(new), backups=backups)
    assert (new / "keystore.db").exists()


def test_a_backup_of_postgresql(postgresql: Server, tmp_path: Path) -> None:
    backup, restore = OF_POSTGRESQL.commands
    url, empty = postgresql.new_database(), postgresql.new_database()
    places = {"backups": str(tmp_path), "data": str(tmp_path / "keystore")}
    with Nursery(tmp_path / "logs") as nursery:
        KeystoreProcess(tmp_path, nursery, ("--database", url))
        play(backup, database=url, **places)
    assert "Journal up to" in play(restore, empty=empty, **places)


def test_a_new_token(tmp_path: Path) -> None:
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm.conf").write_text(f"directories.tokendir = {tmp_path / 'tokens'}\n")
    environment = {**os.environ, CONFIGURATION: str(tmp_path / "softhsm.conf")}
    for line in NEW_TOKEN.commands:
        here = line.replace(PLACES["settings"], str(tmp_path))
        subprocess.run(["bash", "-c", here], check=True, capture_output=True, env=environment)
    assert (tmp_path / "pin").stat().st_mode & 0o777 == 0o600
    assert list((tmp_path / "tokens").iterdir())

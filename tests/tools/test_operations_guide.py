"""The commands of docs/operations.md, played on running keystores. What it shows is compared."""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from cloudcard.registry.v1 import cards_pb2
from cloudcard_tools.demo.programs import must
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.shared.processes import Nursery
from support.guides import run_by, shows
from support.keystore_process import KeystoreProcess
from support.postgres import PROGRAMS, Server
from support.softhsm import CONFIGURATION, MODULE
from support.terminal import show

NEW_KEY, REPLICA, NEW_TOKEN, IN_TOKEN, AUTHENTICATE, BACKUP, OF_POSTGRESQL = run_by(
    "operations.md", __file__
)
SAMPLE = Path(__file__).parents[1] / "samples" / "databases" / "keystore-0005.db.gz"


def play(line: str, **places: str) -> str:
    """What a command shows, with this computer's places for those of the guide."""
    for written, here in places.items():
        line = line.replace(PLACES[written], here)
    [_, *words] = shlex.split(line, comments=True)
    environment = {"PATH": f"{os.environ['PATH']}:{PROGRAMS}"}
    status, seen = show(*words, folder=Path.cwd(), environment=environment)
    assert status == 0, f"{line}\n{seen}"
    for written, here in places.items():
        seen = seen.replace(here, PLACES[written])
    return seen


PLACES = {
    "data": "/var/lib/cloudcard",
    "settings": "/etc/cloudcard",
    "backups": "/backup",
    "old": "file:OLD",
    "id": " ID ",
    "database": "postgresql://cloudcard@db.example.org/cloudcard",
    "empty": "postgresql://cloudcard@db.example.org/empty",
}


def as_written(said: str, host: str) -> str:
    """What a keystore says, with the addresses of the guide for those of the test."""
    written = f"ready on {host}:7443, enrolment on {host}:7444"
    return re.sub(r"ready on [^:]+:\d+, enrolment on [^:]+:\d+", written, said)


def test_a_new_sealing_key_without_an_interruption(tmp_path: Path) -> None:
    with Nursery(tmp_path / "logs") as nursery:
        keystore = KeystoreProcess(tmp_path, nursery)
        data, old = tmp_path / "keystore", f"file:{tmp_path / 'keystore' / 'sealing.key'}"
        places = {"data": str(data), "settings": str(tmp_path), "old": old}
        add, rotate, list_, retire = NEW_KEY.commands
        seen = play(add, **places)
        new = f"file:{tmp_path / '2027.key'}"
        for keys in ((old, new), (new, old)):  # the lines between that say so
            nursery.stop("keystore")
            keystore.options = tuple(word for key in keys for word in ("--sealing-key", key))
            start(keystore, nursery)
        seen += play(rotate, **places) + play(list_, **places)
        rows = json.loads(play(f"{list_.partition('#')[0]} --json", **places))
        [unused] = [row["id"] for row in rows if row["values"] == 0]
        seen += play(retire, **places, id=f" {unused} ")
        assert shows(NEW_KEY.shown, seen), seen
        nursery.stop("keystore")
        keystore.options = ("--sealing-key", new)
        start(keystore, nursery)


def start(keystore: KeystoreProcess, nursery: Nursery) -> None:
    """Start it with other options."""
    command = ("-m", "cloudcard_tools", "serve", "--data", str(keystore.folder / "keystore"))
    ports = keystore.child.command[keystore.child.command.index("--listen") :][:4]
    keystore.child = nursery.start_python("keystore", *command, *ports, *keystore.options)
    keystore.child.wait_for("Keystore ready", timeout=60)


def test_the_records_of_an_earlier_version(tmp_path: Path) -> None:
    data = tmp_path / "keystore"
    data.mkdir(mode=0o700)
    (data / "keystore.db").write_bytes(gzip.decompress(SAMPLE.read_bytes()))
    (data / "sealing.key").touch(0o600)
    (data / "sealing.key").write_bytes(b"\x07" * 32)
    [line] = AUTHENTICATE.commands
    seen = play(f"{line.partition('#')[0]} --yes", data=str(data))
    assert shows(AUTHENTICATE.shown, seen), seen
    assert "Authentic" in play(line, data=str(data))


def test_a_backup_while_it_runs_and_its_restoring(tmp_path: Path) -> None:
    backup, restore = BACKUP.commands
    (tmp_path / "backups").mkdir()
    backups = str(tmp_path / "backups")
    with Nursery(tmp_path / "logs") as nursery:
        KeystoreProcess(tmp_path, nursery)
        seen = play(backup, data=str(tmp_path / "keystore"), backups=backups)
    new = tmp_path / "new"
    new.mkdir(mode=0o700)
    (new / "sealing.key").write_bytes((tmp_path / "keystore" / "sealing.key").read_bytes())
    (new / "sealing.key").chmod(0o600)
    seen += play(restore, data=str(new), backups=backups)
    assert shows(BACKUP.shown, seen), seen
    assert (new / "keystore.db").exists()


def test_a_backup_of_postgresql(postgresql: Server, tmp_path: Path) -> None:
    backup, restore = OF_POSTGRESQL.commands
    url, empty = postgresql.new_database(), postgresql.new_database()
    places = {"backups": str(tmp_path), "data": str(tmp_path / "keystore")}
    with Nursery(tmp_path / "logs") as nursery:
        KeystoreProcess(tmp_path, nursery, ("--database", url))
        seen = play(backup, database=url, **places)
    seen += play(restore, empty=empty, **places)
    assert shows(OF_POSTGRESQL.shown, seen), seen


def test_keys_in_a_new_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm.conf").write_text(f"directories.tokendir = {tmp_path / 'tokens'}\n")
    monkeypatch.setenv(CONFIGURATION, str(tmp_path / "softhsm.conf"))
    for line in NEW_TOKEN.commands:
        here = line.replace(PLACES["settings"], str(tmp_path))
        subprocess.run(["bash", "-c", here], check=True, capture_output=True)
    pin = tmp_path / "pin"
    assert pin.stat().st_mode & 0o777 == 0o600
    [serve] = IN_TOKEN.commands
    for place, here in (("settings", tmp_path), ("data", tmp_path / "keystore")):
        serve = serve.replace(PLACES[place], str(here))
    _, _, *options = shlex.split(serve)
    with Nursery(tmp_path / "logs") as nursery:
        keystore = KeystoreProcess(tmp_path, nursery, tuple(options))
        user, _ = keystore.holder("Ada")
        request = cards_pb2.IssueCardRequest(
            request_id=os.urandom(16), user_id=user, profile="p256"
        )
        keystore.registry.cards.IssueCard(request)
    said = as_written((tmp_path / "logs" / "keystore.log").read_text(), "127.0.0.1")
    assert shows(IN_TOKEN.shown, said), said
    token = ["pkcs11-tool", "--module", MODULE, "--token-label", "cards", "--login", "--pin"]
    listed = must([*token, pin.read_text().strip(), "--list-objects", "--type", "privkey"])
    assert listed.count("Private Key Object") == 4, listed


def test_a_replica(postgresql: Server, tmp_path: Path) -> None:
    url = postgresql.new_database()
    [serve] = REPLICA.commands
    places = {PLACES["data"]: str(tmp_path / "second"), PLACES["database"]: url}
    for written, here in places.items():
        serve = serve.replace(written, here)
    for written, port in zip(("0.0.0.0:7443", "0.0.0.0:7444"), free_ports(2), strict=True):
        serve = serve.replace(written, f"127.0.0.1:{port}")
    with Nursery(tmp_path / "logs") as nursery:
        KeystoreProcess(tmp_path, nursery, ("--database", url))
        (tmp_path / "second").mkdir(mode=0o700)
        shutil.copy2(tmp_path / "keystore" / "sealing.key", tmp_path / "second")
        _, *words = shlex.split(serve)
        second = nursery.start_python("second", "-m", "cloudcard_tools", *words)
        said = as_written(second.wait_for("Keystore ready", timeout=60).string, "0.0.0.0")
    assert shows(REPLICA.shown, said), said

"""The commands of docs/operations.md for sealing keys and backups, played on a running keystore."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from cloudcard_tools.shared.processes import Nursery
from support import warm_starts
from support.guides import DOCS, blocks
from support.keystore_process import KeystoreProcess

TEXT = (DOCS / "operations.md").read_text()


def commands(heading: str) -> Sequence[str]:
    """The lines of a section's first block."""
    [section] = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    [block, *_] = [each for each in blocks(section) if each.language == "sh"]
    return block.commands


def play(line: str, **places: str) -> str:
    """What a command says, with this computer's places for those of the guide."""
    for written, here in places.items():
        line = line.replace(PLACES[written], here)
    [_, *words] = shlex.split(line, comments=True)
    done = warm_starts.run(*words, environment={"COLUMNS": "80"})
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


PLACES = {
    "data": "/var/lib/cloudcard",
    "settings": "/etc/cloudcard",
    "backups": "/backup",
    "old": "file:OLD",
    "id": " ID ",
}


def test_a_new_sealing_key_without_an_interruption(tmp_path: Path) -> None:
    with Nursery(tmp_path / "logs") as nursery:
        keystore = KeystoreProcess(tmp_path, nursery)
        data, old = tmp_path / "keystore", f"file:{tmp_path / 'keystore' / 'sealing.key'}"
        places = {"data": str(data), "settings": str(tmp_path), "old": old}
        add, rotate, list_, retire = commands("Sealing keys")
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
    backup, restore = commands("Backup and restore")
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

"""Backups of a keystore at work, and what a restored one no longer does."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import grpc
import psycopg
import pytest

from cloudcard.workstation.v1 import workstation_pb2, workstation_pb2_grpc
from cloudcard_tools.authenticator.phone import Phone
from cloudcard_tools.shared.identity import Identity, channel
from cloudcard_tools.shared.processes import Nursery
from support import warm_starts
from support.keystore_process import KeystoreProcess, Workstation, code
from support.postgres import PROGRAMS, Server
from support.softhsm import CONFIGURATION, LABEL, MODULE, PIN, new_token


def cloudcard(*arguments: str) -> subprocess.CompletedProcess[str]:
    path = f"{os.environ['PATH']}:{PROGRAMS}"
    return warm_starts.run(*arguments, environment={"PATH": path})


@dataclass
class Place:
    """A keystore with a holder, a card and a workstation."""

    keystore: KeystoreProcess
    phone: Identity
    pc: Identity
    serial: str

    @property
    def data(self) -> Path:
        return self.keystore.folder / "keystore"

    def workstation(self) -> Workstation:
        stub = workstation_pb2_grpc.WorkstationServiceStub(channel(self.pc))
        return Workstation(stub, self.serial)

    def approve(self, operation_id: str, number: str) -> None:
        with channel(self.phone) as connection:
            holder = Phone(self.phone, connection)
            holder.approve(holder.find(operation_id), number)

    def sign(self) -> bytes:
        workstation = self.workstation()
        operation = workstation.create(os.urandom(16))
        self.approve(operation.id, operation.number)
        return workstation.perform(operation.id)

    def printed(self) -> bytes:
        """The printed information, which requires the PIN."""
        workstation = self.workstation()
        asked = workstation_pb2.ReadObjectRequest(
            card_serial=self.serial, tag=0x5FC109, passcode_proof=workstation.proof()
        )
        contents: bytes = workstation.stub.ReadObject(asked, timeout=60).value
        return contents


def place_in(folder: Path, nursery: Nursery, *options: str) -> Place:
    keystore = KeystoreProcess(folder, nursery, options)
    user_id, phone = keystore.holder("ada")
    return Place(keystore, phone, keystore.workstation("pc"), keystore.card(user_id, phone))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with Nursery(tmp_path / "logs") as nursery:
        yield place_in(tmp_path, nursery)


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A new token, as the options that name it."""
    monkeypatch.setenv(CONFIGURATION, str(new_token(tmp_path / "tokens")))
    pin_file = tmp_path / "pin"
    pin_file.write_text(PIN)
    pin_file.chmod(0o600)
    return ["--hsm-module", MODULE, "--hsm-token", LABEL, "--hsm-pin-file", str(pin_file)]


def lose(place: Place) -> None:
    """The database is gone; the sealing key is kept."""
    place.keystore.child.stop()
    for file in place.data.glob("keystore.db*"):
        file.unlink()


def test_a_backup_under_load_is_whole_and_signs_again(place: Place, tmp_path: Path) -> None:
    stop, printed = threading.Event(), place.printed()

    def load() -> None:
        while not stop.is_set():
            place.sign()

    signing = threading.Thread(target=load)
    signing.start()
    try:
        time.sleep(0.3)
        made = cloudcard("backup", str(tmp_path / "b"), "--data", str(place.data), "--json")
    finally:
        stop.set()
        signing.join()
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["bytes"] > 0
    assert (tmp_path / "b").stat().st_mode & 0o077 == 0
    lose(place)
    back = cloudcard("restore", str(tmp_path / "b"), "--data", str(place.data), "--json")
    assert back.returncode == 0, back.stderr
    assert json.loads(back.stdout)["sealing_key"].startswith("opens all ")
    place.keystore.restart()
    assert place.sign()
    assert place.printed() == printed
    files = [file for file in (tmp_path / "b").rglob("*") if file.is_file()]
    assert not any(printed in file.read_bytes() for file in files)


def test_what_was_open_at_the_backup_is_not_usable_again(place: Place, tmp_path: Path) -> None:
    """An approval that has been used since would otherwise be used twice."""
    workstation = place.workstation()
    proof = workstation.proof()
    approved = workstation.create(os.urandom(16), proof=proof)
    place.approve(approved.id, approved.number)
    assert cloudcard("backup", str(tmp_path / "b"), "--data", str(place.data)).returncode == 0
    assert workstation.perform(approved.id)
    lose(place)
    back = cloudcard("restore", str(tmp_path / "b"), "--data", str(place.data), "--json")
    assert json.loads(back.stdout)["withdrawn"] == 1
    place.keystore.restart()
    again = place.workstation()
    with pytest.raises(grpc.RpcError) as refused:
        again.perform(approved.id)
    assert code(refused.value) is grpc.StatusCode.FAILED_PRECONDITION
    with pytest.raises(grpc.RpcError) as unproved:
        again.create(os.urandom(16), proof=proof)
    assert code(unproved.value) is grpc.StatusCode.FAILED_PRECONDITION
    with closing(sqlite3.connect(place.data / "keystore.db")) as database:
        (tries,) = database.execute("SELECT max(tries_left) FROM passcode").fetchone()
        told = database.execute(
            "SELECT count(*) FROM journal WHERE kind = 'keystore.restored'"
        ).fetchone()
    assert (tries, told) == (1, (1,))
    assert place.sign()  # the right passcode gives the tries back


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a stopped keystore's data and a backup of it."""
    folder = tmp_path_factory.mktemp("kept")
    with Nursery(folder / "logs") as nursery:
        keystore = KeystoreProcess(folder, nursery)
        made = cloudcard("backup", str(folder / "backup"), "--data", str(folder / "keystore"))
        assert made.returncode == 0, made.stderr
        keystore.child.stop()
    return folder


@pytest.fixture
def backup(kept: Path, tmp_path: Path) -> Path:
    """A backup, a test's own."""
    return Path(shutil.copy(kept / "backup", tmp_path / "backup"))


def key_of(folder: Path) -> tuple[str, str]:
    """The option that names a keystore's sealing key."""
    return "--sealing-key", f"file:{folder / 'keystore' / 'sealing.key'}"


def test_nothing_is_written_over(kept: Path, backup: Path) -> None:
    data = kept / "keystore"
    before = backup.read_bytes(), (data / "keystore.db").read_bytes()
    again = cloudcard("backup", str(backup), "--data", str(data))
    onto = cloudcard("restore", str(backup), "--data", str(data))
    for ended in (again, onto):
        assert ended.returncode == 1
        assert "exists" in ended.stderr
        assert "Traceback" not in ended.stderr
    assert before == (backup.read_bytes(), (data / "keystore.db").read_bytes())


def test_a_running_keystore_is_not_restored_into(place: Place, tmp_path: Path) -> None:
    made = tmp_path / "b"
    assert cloudcard("backup", str(made), "--data", str(place.data)).returncode == 0
    ended = cloudcard("restore", str(made), "--data", str(place.data))
    assert ended.returncode == 1
    assert "another keystore runs" in ended.stderr


@pytest.mark.parametrize("damage", ["cut", "turned", "another file"])
def test_a_damaged_backup_is_refused(backup: Path, tmp_path: Path, damage: str) -> None:
    contents = bytearray(backup.read_bytes())
    match damage:
        case "cut":
            del contents[len(contents) // 2 :]
        case "turned":
            middle = len(contents) // 2
            contents[middle : middle + 5000] = bytes(5000)
        case _:
            contents[:] = b"not a database"
    backup.write_bytes(contents)
    ended = cloudcard("restore", str(backup), "--data", str(tmp_path / "new"))
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "new" / "keystore.db").exists()


def test_a_backup_of_a_newer_version(backup: Path, tmp_path: Path, kept: Path) -> None:
    with closing(sqlite3.connect(backup)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    ended = cloudcard("restore", str(backup), "--data", str(tmp_path / "new"), *key_of(kept))
    assert ended.returncode == 1
    assert "newer version" in ended.stderr
    assert not (tmp_path / "new" / "keystore.db").exists()


def test_another_sealing_key(backup: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    new.mkdir(mode=0o700)
    (new / "sealing.key").write_bytes(os.urandom(32))
    (new / "sealing.key").chmod(0o600)
    ended = cloudcard("restore", str(backup), "--data", str(new))
    assert ended.returncode == 1
    assert "not a sealing key of this database" in ended.stderr
    assert not (new / "keystore.db").exists()


def test_a_value_that_does_not_open(backup: Path, tmp_path: Path, kept: Path) -> None:
    with closing(sqlite3.connect(backup)) as damaged:
        damaged.execute("update authority set sealed_private = substr(sealed_private, 1, 90)")
        damaged.commit()
    ended = cloudcard("restore", str(backup), "--data", str(tmp_path / "new"), *key_of(kept))
    assert ended.returncode == 1
    assert "does not open" in ended.stderr
    assert not (tmp_path / "new" / "keystore.db").exists()


def test_a_record_that_no_keystore_wrote(backup: Path, tmp_path: Path, kept: Path) -> None:
    with closing(sqlite3.connect(backup)) as forged:
        forged.execute("UPDATE identity SET role = 4")
        forged.commit()
    ended = cloudcard("restore", str(backup), "--data", str(tmp_path / "new"), *key_of(kept))
    assert ended.returncode == 1
    assert "not written by its keystore: identity " in ended.stderr
    assert not (tmp_path / "new" / "keystore.db").exists()


def test_without_a_sealing_key(backup: Path, tmp_path: Path) -> None:
    ended = cloudcard("restore", str(backup), "--data", str(tmp_path / "new"))
    assert ended.returncode == 1
    assert "name the sealing key in use with --sealing-key" in ended.stderr
    assert not (tmp_path / "new" / "keystore.db").exists()


@pytest.mark.parametrize("kind", ["passphrase", "pkcs11"])
def test_the_sealing_key_is_no_file(kind: str, tmp_path: Path, token: list[str]) -> None:
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse battery staple\n")
    passphrase.chmod(0o600)
    named = "pkcs11:sealing" if kind == "pkcs11" else f"passphrase:{passphrase}"
    options = ["--sealing-key", named, *(token if kind == "pkcs11" else [])]
    copy, new = tmp_path / "copy", tmp_path / "new"
    with Nursery(tmp_path / "logs") as nursery:
        place = place_in(tmp_path, nursery, *options)
        made = cloudcard("backup", str(copy), "--data", str(place.data))
        assert made.returncode == 0, made.stderr
    for refused in ("pkcs11:other", f"file:{passphrase}", "passphrase:/nowhere", "pkcs11:"):
        given = ["--data", str(new), "--sealing-key", refused, *token]
        ended = cloudcard("restore", str(copy), *given)
        assert ended.returncode == 1
        assert "Traceback" not in ended.stderr
        assert not (new / "keystore.db").exists()
    ended = cloudcard("restore", str(copy), "--data", str(new), *options, "--json")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["sealing_key"].startswith("opens all ")


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.05, 0.1, 0.3])
def test_killed_while_it_restores(backup: Path, tmp_path: Path, kept: Path, delay: float) -> None:
    """There is nothing afterwards, or a whole one; the next try goes through."""
    new = tmp_path / "new"
    command = ("restore", str(backup), "--data", str(new), *key_of(kept))
    with Nursery(tmp_path / "logs") as nursery:
        restoring = nursery.start_python("restoring", "-m", "cloudcard_tools", *command)
        while not (new / "keystore.restored").exists() and restoring.returncode is None:
            time.sleep(0.005)
        time.sleep(delay)
        restoring.kill()
    if not (new / "keystore.db").exists():
        assert cloudcard(*command).returncode == 0
    with closing(sqlite3.connect(new / "keystore.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        told = "SELECT count(*) FROM journal WHERE kind = 'keystore.restored'"
        assert database.execute(told).fetchone() == (1,)


def test_a_postgresql_database(postgresql: Server, tmp_path: Path) -> None:
    url, empty = postgresql.new_database(), postgresql.new_database()
    with Nursery(tmp_path / "logs") as nursery:
        place = place_in(tmp_path, nursery, "--database", url)
        workstation = place.workstation()
        approved = workstation.create(os.urandom(16))
        place.approve(approved.id, approved.number)
        made = str(tmp_path / "b")
        at = ("--data", str(tmp_path / "elsewhere"))
        ended = cloudcard("backup", made, "--database", url, *at)
        assert ended.returncode == 0, ended.stderr
        place.keystore.child.stop()
        key = key_of(tmp_path)
        back = cloudcard("restore", made, "--database", empty, *at, *key, "--json")
        assert back.returncode == 0, back.stderr
        assert json.loads(back.stdout)["withdrawn"] == 1
        onto = cloudcard("restore", made, "--database", empty, *at, *key)
        assert onto.returncode == 1
        assert "not empty" in onto.stderr
        with psycopg.connect(empty) as database:
            tries = database.execute("SELECT max(tries_left) FROM passcode").fetchone()
            proofs = database.execute("SELECT count(*) FROM passcode_proof").fetchone()
        assert (tries, proofs) == ((1,), (0,))


def test_a_restore_that_does_not_end_leaves_nothing_to_use(
    postgresql: Server, tmp_path: Path
) -> None:
    """The approvals of the backup would be good again: nobody may serve them."""
    url, empty = postgresql.new_database(), postgresql.new_database()
    at = ("--data", str(tmp_path / "keystore"))
    with Nursery(tmp_path / "logs") as nursery:
        KeystoreProcess(tmp_path, nursery, ("--database", url))
        made = str(tmp_path / "b")
        assert (
            cloudcard("backup", made, "--database", f"{url}?sslmode=disable", *at).returncode == 0
        )
    other = tmp_path / "other"
    other.mkdir(mode=0o700)
    (other / "sealing.key").write_bytes(os.urandom(32))
    (other / "sealing.key").chmod(0o600)
    ended = cloudcard("restore", made, "--database", empty, "--data", str(other))
    assert ended.returncode == 1
    assert "not a sealing key of this database" in ended.stderr
    shutil.copy(tmp_path / "keystore" / "sealing.key", other)
    served = cloudcard("serve", "--database", empty, "--data", str(other))
    assert served.returncode == 1
    assert "not restored to its end" in served.stderr

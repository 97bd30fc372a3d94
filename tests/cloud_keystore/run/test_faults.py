"""The world breaks under a running keystore, or before it starts: it says what is wrong, answers
what it can, and goes on with everything it had when the world is whole again.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypeVar

import grpc
import pytest
from sqlalchemy import Engine, event

from cloud_keystore.model.errors import StorageUnavailable
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.operations import Operation, State
from cloud_keystore.model.people import User
from cloudcard.workstation.v1 import workstation_pb2_grpc
from cloudcard_tools.authenticator.phone import Phone
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.processes import Nursery
from reader_bridge.remote.refusals import reason
from support import warm_starts
from support.keystore_process import KeystoreProcess, Workstation, code, refused_call
from support.keystore_world import OPERATOR, Enrolled, World

resource = pytest.importorskip("resource", reason="this system has no limits of processes")
Called = TypeVar("Called")
SECONDS = 60.0
SMALL = 4096  # bytes: no file of a keystore grows beyond, if this is the most


@contextmanager
def every_connection(world: World, pragma: str) -> Iterator[None]:
    """SQLite itself refuses meanwhile, as it would for the disk."""

    def limit(connection: sqlite3.Connection, _: object) -> None:
        connection.execute(f"PRAGMA {pragma}")

    world.database.close()
    event.listen(Engine, "connect", limit)
    try:
        yield
    finally:
        event.remove(Engine, "connect", limit)
        world.database.close()


@pytest.mark.parametrize(
    ("pragma", "advice", "fewest_refused"),
    [("max_page_count=1", "make room on the disk", 1), ("query_only=ON", "make its file", 10)],
)
def test_a_disk_that_is_full_or_read_only_costs_no_approval(
    world: World,
    ada: tuple[User, Enrolled],
    pc: Enrolled,
    pragma: str,
    advice: str,
    fewest_refused: int,
) -> None:
    waiting = [world.ask(world.card(ada[0]), pc) for _ in range(10)]
    for operation in waiting:
        world.decide(operation, ada[1])
    with every_connection(world, pragma):
        with pytest.raises(StorageUnavailable, match=advice):
            issue_many(world, ada[0])
        made = [performed(world, operation, pc) for operation in waiting]
        # What is there is read all the same. A page of the file that is not full takes a little.
        for operation, signature in zip(waiting, made, strict=True):
            state = State.APPROVED if signature is None else State.SUCCEEDED
            assert world.state(operation) is state
        assert made.count(None) >= fewest_refused
    for operation, signature in zip(waiting, made, strict=True):
        again = world.perform(operation, pc)
        assert signature in (None, again)
    assert [world.state(operation) for operation in waiting] == [State.SUCCEEDED] * len(waiting)
    assert len(world.journal(Kind.OPERATION_USED)) == len(waiting)


def issue_many(world: World, user: User) -> None:
    for _ in range(50):
        world.issuing.issue(os.urandom(16), user.id, "p256", actor=OPERATOR)


def performed(world: World, operation: Operation, pc: Enrolled) -> bytes | None:
    """The result; None if there was no room for it."""
    try:
        return world.perform(operation, pc)
    except StorageUnavailable:
        return None


def test_a_file_that_was_deleted_confirms_nothing(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, tmp_path: Path
) -> None:
    serial, file = world.card(ada[0]), tmp_path / "keystore.db"
    file.rename(tmp_path / "aside")
    for _ in range(2):
        with pytest.raises(StorageUnavailable, match="deleted or exchanged"):
            world.ask(serial, pc, proof=b"")
    assert not file.exists()
    shutil.copy(tmp_path / "aside", file)
    with pytest.raises(StorageUnavailable, match="deleted or exchanged"):
        world.people.has_operators()
    (tmp_path / "aside").rename(file)
    world.ask(serial, pc)


@pytest.fixture(scope="module")
def keystore(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeystoreProcess]:
    folder = tmp_path_factory.mktemp("keystore")
    with Nursery(folder / "logs") as nursery:
        yield KeystoreProcess(folder, nursery)


@dataclass
class Ward:
    """A holder's phone and a workstation, for one signature after another."""

    keystore: KeystoreProcess
    phone: Phone
    workstation: Workstation

    def sign(self) -> bytes:
        operation = self.workstation.create(os.urandom(16))
        self.phone.approve(self.phone.find(operation.id), operation.number)
        return self.workstation.perform(operation.id)


@pytest.fixture(scope="module")
def enrolled(keystore: KeystoreProcess) -> Iterator[Ward]:
    user_id, phone = keystore.holder("ada")
    serial = keystore.card(user_id, phone)
    with (
        identity.channel(phone) as phones,
        identity.channel(keystore.workstation("pc")) as channel,
    ):
        stub = workstation_pb2_grpc.WorkstationServiceStub(channel)
        yield Ward(keystore, Phone(phone, phones), Workstation(stub, serial))


@pytest.fixture
def ward(enrolled: Ward) -> Ward:
    """Its keystore runs, whatever a test before has done to it."""
    if enrolled.keystore.child.returncode is not None:
        enrolled.keystore.restart()
    return enrolled


FEW_FILES = 8


@contextmanager
def limited(pids: list[int], limit: int, most: int) -> Iterator[None]:
    """Each of these processes may have no more meanwhile."""
    before = {pid: resource.prlimit(pid, limit) for pid in pids}
    for pid, (_, hard) in before.items():
        resource.prlimit(pid, limit, (most, hard))
    try:
        yield
    finally:
        for pid, both in before.items():
            resource.prlimit(pid, limit, both)


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux changes limits of others")
def test_a_disk_without_room_under_a_running_keystore(
    keystore: KeystoreProcess, ward: Ward
) -> None:
    """No file grows: not the database's, and not the log either."""
    assert repeatedly(ward.sign)
    with limited(keystore.pids, resource.RLIMIT_FSIZE, SMALL):
        for _ in range(3):
            error = refused_call(ward.workstation.proof)
            assert code(error) is grpc.StatusCode.UNAVAILABLE
            assert reason(error) == "STORAGE_UNAVAILABLE"
        time.sleep(2.2)  # the upkeep fails twice, and may not write it down
    assert keystore.child.returncode is None
    ward.sign()
    until(lambda: not_taken_in(keystore.folder / "keystore" / "keystore.db") == 0)
    operation = ward.workstation.create(os.urandom(16))
    ward.phone.deny(ward.phone.find(operation.id))
    keystore.kill_and_restart()  # what was answered is there
    assert repeatedly(ward.sign)


def not_taken_in(file: Path) -> int:
    """Entries of the journal that the upkeep has still to take into the tree."""
    with closing(sqlite3.connect(file)) as database:
        query = "SELECT count(*) FROM journal WHERE leaf_index IS NULL"
        return int(database.execute(query).fetchone()[0])


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def repeatedly(call: Callable[[], Called]) -> Called:
    """What comes of a call once the channel has found the keystore again."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return call()
        except grpc.RpcError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def test_no_more_files_may_be_opened(keystore: KeystoreProcess, ward: Ward) -> None:
    assert repeatedly(ward.sign)
    # Fewer than are open, whose number the kernel tells nobody but root of such a process.
    with limited(keystore.pids, resource.RLIMIT_NOFILE, FEW_FILES):
        for _ in range(3):
            with identity.channel(keystore.operator) as more:
                ready = grpc.channel_ready_future(more)
                with pytest.raises(grpc.FutureTimeoutError):
                    ready.result(timeout=0.5)
        ward.workstation.proof()  # who is connected goes on
    keystore.holder("bo")
    ward.sign()


def test_a_power_cut_that_tears_the_last_commits(keystore: KeystoreProcess, ward: Ward) -> None:
    """SQLite's log ends anywhere: what came before is there, and works."""
    assert repeatedly(ward.sign)
    keystore.kill()
    wal = keystore.folder / "keystore" / "keystore.db-wal"
    os.truncate(wal, wal.stat().st_size * 9 // 10 + 7)
    keystore.restart()
    assert repeatedly(ward.sign)


@pytest.fixture
def served(enrolled: Ward) -> Path:
    """The data folder of the keystore, which stands still."""
    enrolled.keystore.child.stop()
    return enrolled.keystore.folder / "keystore"


@contextmanager
def half_gone(file: Path) -> Iterator[None]:
    whole = file.read_bytes()
    os.truncate(file, len(whole) // 2)
    try:
        yield
    finally:
        file.write_bytes(whole)


@contextmanager
def gone(file: Path) -> Iterator[None]:
    aside = file.with_suffix(".aside")
    file.rename(aside)
    try:
        yield
        assert not file.exists()  # nothing was made in its place
    finally:
        aside.rename(file)


@contextmanager
def a_folder_instead(file: Path) -> Iterator[None]:
    with gone(file) if file.exists() else nullcontext():
        file.mkdir()
        try:
            yield
        finally:
            file.rmdir()


@contextmanager
def of_the_future(file: Path) -> Iterator[None]:
    with closing(sqlite3.connect(file)) as database:
        (was,) = database.execute("SELECT version_num FROM alembic_version").fetchone()
        with database:
            database.execute("UPDATE alembic_version SET version_num = '9999'")
        try:
            yield
        finally:
            with database:
                database.execute("UPDATE alembic_version SET version_num = ?", (was,))


Fault: TypeAlias = "Callable[[Path], AbstractContextManager[None]]"


@pytest.mark.parametrize(
    ("fault", "name", "said"),
    [
        (half_gone, "keystore.db", "malformed: restore it from a backup"),
        (gone, "keystore.db", "is missing, although .* belongs to a keystore: restore it"),
        (a_folder_instead, "keystore.db", "keystore.db is not a regular file: move it away"),
        (a_folder_instead, "keystore.db-wal", "keystore.db-wal is not a regular file: move it"),
        (a_folder_instead, "process.lock", "process.lock is not a regular file: move it away"),
        (gone, "sealing.key", "sealing.key is missing.*: restore it from the backup"),
        (of_the_future, "keystore.db", "newer version of cloudcard: use that version"),
    ],
)
def test_a_start_that_cannot_be(served: Path, fault: Fault, name: str, said: str) -> None:
    before = (served / "sealing.key").read_bytes()
    with fault(served / name):
        clear(serve(served), said)
    assert (served / "sealing.key").read_bytes() == before


def test_a_first_start_without_room(tmp_path: Path) -> None:
    """Afterwards nothing half-made is in the way."""
    shell = ("sh", "-c", 'ulimit -f 8 && exec "$0" "$@"')
    program = (*shell, sys.executable, "-m", "cloudcard_tools", "serve")
    ended = subprocess.run(
        [*program, *options(tmp_path / "keystore")],
        capture_output=True,
        text=True,
        timeout=2 * SECONDS,
        check=False,
    )
    clear(ended, "disk I/O error: look whether its disk is full")
    with Nursery(tmp_path / "logs") as nursery:
        keystore = KeystoreProcess(tmp_path, nursery)
        user_id, phone = keystore.holder("ada")
        keystore.card(user_id, phone)


def serve(data: Path) -> subprocess.CompletedProcess[str]:
    return warm_starts.run("serve", *options(data))


def options(data: Path) -> list[str]:
    service, enrolment = (f"127.0.0.1:{port}" for port in free_ports(2))
    return ["--data", str(data), "--listen", service, "--enrol-listen", enrolment]


def clear(ended: subprocess.CompletedProcess[str], said: str) -> None:
    """It says what is wrong in one line, and is no crash."""
    assert ended.returncode == 1, ended.stderr
    assert re.search(said, ended.stderr), ended.stderr
    assert "Traceback" not in ended.stderr


def test_after_all_that_every_card_is_there(ward: Ward) -> None:
    assert repeatedly(ward.sign)

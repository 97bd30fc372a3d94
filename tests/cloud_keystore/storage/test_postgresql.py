"""PostgreSQL: the schema, durability, and replicas that race on one database."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect
from sqlalchemy.exc import DBAPIError

from card_os.uses import KeyUse
from cloud_keystore.custody.backends.keys import Keys
from cloud_keystore.model.cards import HeldKey
from cloud_keystore.model.errors import (
    KeystoreError,
    OperationBusy,
    SessionClosed,
    StorageUnavailable,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.operations import Decision, State
from cloud_keystore.model.policies import SessionTerms
from cloud_keystore.storage.engine import Database, DatabaseUnusable
from cloud_keystore.storage.tables import metadata
from support.keystore_world import SESSIONS, TERMS, World, new_world
from support.postgres import Server

T = TypeVar("T")
ROUNDS = 8


@pytest.fixture
def empty(postgresql: Server) -> Iterator[Database]:
    """A database without tables."""
    with closing(Database(postgresql.new_database())) as database:
        yield database


def test_the_migrations_lead_to_the_tables(empty: Database) -> None:
    empty.migrate()
    empty.migrate()  # which changes nothing
    with empty.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_reader_cannot_write(empty: Database) -> None:
    empty.migrate()
    with pytest.raises(DBAPIError, match="read-only"), empty.read() as connection:
        connection.exec_driver_sql("DELETE FROM card")


def test_a_server_that_confirms_too_early_is_refused(postgresql: Server, empty: Database) -> None:
    postgresql.configure(fsync="off")
    try:
        with pytest.raises(KeystoreError, match="fsync=on"):
            empty.migrate()
    finally:
        postgresql.configure(fsync="on")
    empty.migrate()  # nothing half-made is in the way


def test_no_server_and_no_database(postgresql: Server) -> None:
    url = postgresql.new_database()
    for wrong, said in (
        (url.replace(f":{postgresql.port}", ":1"), "refused"),
        (url + "-none", "does not exist"),
    ):
        with closing(Database(wrong)) as database, pytest.raises(DatabaseUnusable, match=said):
            database.migrate()


def test_a_server_that_ends_and_comes_back(postgresql: Server, empty: Database) -> None:
    empty.migrate()
    postgresql.stop("immediate")
    for transaction in (empty.read, empty.write):
        with pytest.raises(StorageUnavailable), transaction() as connection:
            connection.exec_driver_sql("SELECT 1")
    postgresql.start()
    with empty.write() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1


def test_a_server_that_ends_within_a_transaction(postgresql: Server, empty: Database) -> None:
    empty.migrate()
    with pytest.raises(StorageUnavailable), empty.write() as connection:  # noqa: PT012
        postgresql.stop("immediate")
        connection.exec_driver_sql("SELECT 1")
    postgresql.start()
    with empty.read() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1


def test_a_password_is_in_no_message() -> None:
    database = Database("postgresql://ada:hunter2@127.0.0.1:1/keystore")
    with pytest.raises(DatabaseUnusable) as caught:
        database.migrate()
    assert "hunter2" not in str(caught.value) + repr(database)
    assert "ada" in str(caught.value)


def test_a_migration_that_breaks_leaves_nothing(empty: Database) -> None:
    with empty.write() as connection:
        connection.exec_driver_sql("CREATE TABLE session (id int)")  # of somebody else's
    with pytest.raises(DatabaseUnusable, match="session"):
        empty.migrate()
    with empty.read() as connection:
        assert inspect(connection).get_table_names() == ["session"]
    with empty.write() as connection:
        connection.exec_driver_sql("DROP TABLE session")
    empty.migrate()


def test_replicas_that_start_at_once_make_one_keystore(postgresql: Server, tmp_path: Path) -> None:
    url = postgresql.new_database()
    worlds = together([lambda: new_world(tmp_path, url=url) for _ in range(4)])
    assert len({world.enrolment.authorities.transport.der for world in worlds}) == 1
    for world in worlds:
        world.database.close()


@dataclass
class Counted:
    """How often private keys were used, in all replicas."""

    uses: Counter[bytes] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def counting(self, world: World) -> World:
        """The same replica, whose uses of private keys are counted."""
        custody = CountedKeys(world.custody.backends, world.custody.new, counted=self)
        world.activation = replace(world.activation, custody=custody)
        world.sessions = replace(world.sessions, custody=custody)
        return world


@dataclass(frozen=True)
class CountedKeys(Keys):
    """Counts the uses of keys before they happen."""

    counted: Counted = field(default_factory=Counted)

    def use(self, key: HeldKey, key_use: KeyUse, inputs: Sequence[bytes]) -> list[bytes]:
        with self.counted.lock:
            self.counted.uses.update(inputs)
        return Keys.use(self, key, key_use, inputs)


@pytest.fixture
def counted() -> Counted:
    return Counted()


@pytest.fixture
def replicas(tmp_path: Path, database_url: str, counted: Counted) -> Iterator[list[World]]:
    """Two replicas with one database."""
    worlds = [counted.counting(new_world(tmp_path, url=database_url)) for _ in range(2)]
    yield worlds
    for world in worlds:
        world.database.close()


def together(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Begin all calls at one moment; returns what they return."""
    begin = threading.Barrier(len(calls))

    def run(call: Callable[[], T]) -> T:
        begin.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def outcome(call: Callable[[], T]) -> Callable[[], T | KeystoreError]:
    """A call that returns its refusal."""

    def attempt() -> T | KeystoreError:
        try:
            return call()
        except KeystoreError as error:
            return error

    return attempt


def test_an_approval_is_spent_once(replicas: list[World], counted: Counted) -> None:
    """Double use, whichever replica is asked."""
    user, phone = replicas[0].user()
    serial, pc = replicas[0].card(user), replicas[0].workstation()
    for number in range(ROUNDS):
        digest = bytes([number]) * 32
        operation = replicas[0].ask(serial, pc, digest)
        replicas[1].decide(operation, phone)

        def perform(
            world: World, operation_id: str = operation.id, digest: bytes = digest
        ) -> tuple[bytes, ...]:
            return world.activation.perform(operation_id, [digest], pc.identity).results

        ended = together([outcome(lambda w=world: perform(w)) for world in replicas * 3])
        made = {result for result in ended if isinstance(result, tuple)}
        assert len(made) == 1
        assert all(isinstance(each, tuple | OperationBusy) for each in ended)
        assert counted.uses[digest] == 1
    assert len(replicas[0].journal(Kind.OPERATION_USED)) == ROUNDS


def test_a_session_is_not_used_more_often_than_approved(
    replicas: list[World], counted: Counted
) -> None:
    first = replicas[0]
    user, phone = first.user()
    serial, pc = first.card(user), first.workstation()
    first.set_policy(SESSIONS)
    session = first.session(serial, pc, phone, SessionTerms(5, TERMS.time))
    digests = [bytes([number]) * 32 for number in range(12)]

    def use(world: World, digest: bytes) -> tuple[bytes, ...]:
        return world.use(session, pc, digest)

    ended = together(
        [
            outcome(lambda w=world, d=digest: use(w, d))
            for world, digest in zip(replicas * 6, digests, strict=True)
        ]
    )
    assert sum(isinstance(each, tuple) for each in ended) == 5
    assert all(isinstance(each, tuple | SessionClosed) for each in ended)
    assert sum(counted.uses.values()) == 5
    assert len(first.journal(Kind.SESSION_USED)) == 5


def test_a_use_that_is_repeated_elsewhere_happens_once(
    replicas: list[World], counted: Counted
) -> None:
    first = replicas[0]
    user, phone = first.user()
    serial, pc = first.card(user), first.workstation()
    first.set_policy(SESSIONS)
    session = first.session(serial, pc, phone)
    for number in range(ROUNDS):
        digest, request_id = bytes([number]) * 32, os.urandom(16)

        def use(
            world: World, digest: bytes = digest, request_id: bytes = request_id
        ) -> tuple[bytes, ...]:
            return world.use(session, pc, digest, request_id=request_id)

        ended = together([outcome(lambda w=world: use(w)) for world in replicas * 2])
        assert len({each for each in ended if isinstance(each, tuple)}) == 1
        assert all(isinstance(each, tuple | OperationBusy) for each in ended)
        assert counted.uses[digest] == 1


def test_an_operation_is_decided_once(replicas: list[World]) -> None:
    user, phone = replicas[0].user()
    serial = replicas[0].card(user)
    for _ in range(ROUNDS):
        for world in replicas:
            world.clock.forward(minutes=11)  # earlier denials are forgotten
        operation = replicas[0].ask(serial, replicas[0].workstation())
        decisions = [Decision.APPROVE, Decision.DENY] * 2
        ended = together(
            [
                outcome(lambda w=world, o=operation, d=decision: w.decide(o, phone, d))
                for world, decision in zip(replicas * 2, decisions, strict=True)
            ]
        )
        state = replicas[0].state(operation)
        assert state in (State.APPROVED, State.DENIED)
        assert {each for each in ended if isinstance(each, State)} == {state}
        kinds = [
            entry.kind
            for entry in replicas[0].journal(Kind.OPERATION_APPROVED, Kind.OPERATION_DENIED)
            if entry.operation_id == operation.id
        ]
        assert len(kinds) == 1


def test_a_request_that_is_repeated_elsewhere_rings_once(replicas: list[World]) -> None:
    user, _ = replicas[0].user()
    serial, pc = replicas[0].card(user), replicas[0].workstation()
    proof, request_id = replicas[0].proof(serial, pc), os.urandom(16)
    asked = together(
        [
            lambda w=world: w.ask(serial, pc, proof=proof, request_id=request_id)
            for world in replicas * 3
        ]
    )
    assert len({operation.id for operation in asked}) == 1
    assert len(replicas[0].journal(Kind.OPERATION_ASKED)) == 1


def test_a_passcode_has_no_more_tries_at_two_replicas(replicas: list[World]) -> None:
    user, _ = replicas[0].user()
    serial, pc = replicas[0].card(user), replicas[0].workstation()

    def guess(world: World, number: int) -> int:
        guessed = world.passcodes.verify(serial, 0x80, b"99999%d" % number, pc.identity)
        return getattr(guessed, "tries_left", 0)

    left = together([lambda w=world, n=n: guess(w, n) for n, world in enumerate(replicas * 4)])
    assert sorted(left) == [0] * 6 + [1, 2]

"""A database that goes over to another server, and what a database refuses meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import errors
from sqlalchemy import Connection

from cloud_keystore.model.errors import StorageUnavailable
from cloud_keystore.notify.listening import Relay
from cloud_keystore.notify.wakeups import Wakeups
from cloud_keystore.run.looks import answers
from cloud_keystore.storage.databases.addresses import AddressUnusable, parameters, shown
from cloud_keystore.storage.databases.failures import advice
from cloud_keystore.storage.engine import Database
from support.polling import until
from support.postgres import Server, server

SECONDS = 60.0
INSERT = "INSERT INTO changes DEFAULT VALUES"


@pytest.fixture(scope="module")
def primary() -> Iterator[Server]:
    """A server of this module's own, because its standby has no other tests' databases."""
    with server() as running:
        yield running


@pytest.fixture
def database(primary: Server) -> Iterator[Database]:
    with closing(Database(primary.new_database())) as made:
        with made.write() as connection:
            connection.exec_driver_sql("CREATE TABLE changes (id serial)")
        yield made


def change(database: Database) -> None:
    with database.write() as connection:
        connection.exec_driver_sql(INSERT)


def until_refused(call: Callable[[], None]) -> StorageUnavailable:
    for _ in range(int(100 * SECONDS)):
        try:
            call()
        except StorageUnavailable as refused:
            return refused
        time.sleep(0.01)
    raise AssertionError("it was never refused")


@contextmanager
def read_only(primary: Server) -> Iterator[None]:
    primary.configure(default_transaction_read_only="on")
    try:
        yield
    finally:
        with psycopg.connect(primary.url("postgres"), autocommit=True) as connection:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
            connection.execute("SELECT pg_reload_conf()")
        until(lambda: is_writable(primary))  # the server reads its settings a little later


def is_writable(primary: Server) -> bool:
    """Whether a new session may change something."""
    with psycopg.connect(primary.url("postgres")) as connection:
        (setting,) = connection.execute("SHOW default_transaction_read_only").fetchone() or ("",)
    return str(setting) == "off"


def test_a_server_that_becomes_read_only_is_not_used(primary: Server, database: Database) -> None:
    """Nor are its connections kept: afterwards the first change is made."""
    change(database)
    with read_only(primary):
        refused = until_refused(lambda: change(database))  # it reads its settings a little later
        assert "take changes again" in str(refused)
        with pytest.raises(StorageUnavailable):
            change(database)
        assert not answers(database)
    change(database)
    assert answers(database)


def test_a_server_that_becomes_read_only_within_a_transaction(database: Database) -> None:
    with pytest.raises(StorageUnavailable), database.write() as connection:  # noqa: PT012
        before = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        connection.exec_driver_sql(INSERT)
    with database.write() as connection:
        assert connection.exec_driver_sql("SELECT pg_backend_pid()").scalar() != before


def test_a_standby_takes_over(primary: Server) -> None:
    """Pool and wake-ups find the new primary by themselves; the standby is used by neither."""
    url = primary.new_database()
    with primary.standby() as standby:
        places = f"127.0.0.1:{standby.port},127.0.0.1:{primary.port}"
        both = url.replace(f"127.0.0.1:{primary.port}", places)
        with closing(Database(both)) as database:
            with database.write() as connection:
                connection.exec_driver_sql("CREATE TABLE changes (id serial)")
            change(database)
            asyncio.run(fail_over(database, primary, standby))
            change(database)
            with database.read() as connection:
                assert connection.exec_driver_sql("SELECT inet_server_port()").scalar() == (
                    standby.port
                )
                assert connection.exec_driver_sql("SELECT count(*) FROM changes").scalar() == 2


async def fail_over(database: Database, primary: Server, standby: Server) -> None:
    """Returns when wake-ups are told and heard at the new primary."""
    wakeups = Wakeups(asyncio.get_running_loop())
    relay = Relay(database.parameters, wakeups)
    with wakeups.subscribe("x") as waiting:
        running = asyncio.create_task(relay.run())
        async with asyncio.timeout(SECONDS):
            await waiting.wait(SECONDS)  # connected
            await asyncio.to_thread(primary.stop)
            assert not answers(database)
            await asyncio.to_thread(standby.promote)
            await waiting.wait(SECONDS)  # connected again
        running.cancel()
    primary.start()


@pytest.mark.parametrize(
    "refusal",
    [
        errors.AdminShutdown,
        errors.CrashShutdown,
        errors.CannotConnectNow,
        errors.TooManyConnections,
        errors.ConnectionFailure,
        errors.ConnectionDoesNotExist,
        errors.LockNotAvailable,
        errors.SerializationFailure,
        errors.DeadlockDetected,
        errors.DiskFull,
        errors.OutOfMemory,
        errors.IoError,
        errors.IdleInTransactionSessionTimeout,
        errors.ReadOnlySqlTransaction,
    ],
)
def test_what_passes_is_unavailable(database: Database, refusal: type[psycopg.Error]) -> None:
    with pytest.raises(StorageUnavailable), database.write() as connection:
        raised(connection, refusal)


def raised(connection: Connection, refusal: type[psycopg.Error]) -> None:
    """Have the server refuse with this SQLSTATE."""
    connection.exec_driver_sql(
        f"DO $$ BEGIN RAISE 'no' USING ERRCODE = '{refusal.sqlstate}'; END $$"
    )


def test_a_read_only_file_is_not_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite reads it all the same, and tells only the next change."""
    file = tmp_path / "keystore.db"
    with closing(Database(f"sqlite:///{file}")) as database:
        with database.write() as connection:
            connection.exec_driver_sql("CREATE TABLE changes (id integer)")
        assert answers(database)
        monkeypatch.setattr("os.access", lambda path, _: path != tmp_path)  # root may always
        assert not answers(database)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://u@h1:5501,h2:5502/db?target_session_attrs=read-write", "u@h1:5501,h2:5502"),
        ("postgresql://u@/db?host=h1:5501&host=h2:5502", "u@h1:5501,h2:5502"),
        ("postgresql://u@h1,h2/db?port=5501,5502", "u@h1:5501,h2:5502"),
        ("postgresql+psycopg://u@h/db", "u@h"),
        ("postgres://u:p%40w@h/db", "u@h"),
        ("postgresql://u:p/w@h/db?password=hidden", "u@h"),
        ("postgresql://u@[::1]:5432,[::2]:5433/db", "u@[::1]:5432,[::2]:5433"),
        ("postgresql:///db?host=/run/postgresql", "%2Frun%2Fpostgresql"),
    ],
)
def test_addresses(url: str, place: str) -> None:
    assert shown(parameters(url)) == f"postgresql://{place}/db"


def test_an_address_that_is_none() -> None:
    with pytest.raises(AddressUnusable, match="HOST1:PORT1,HOST2:PORT2") as refused:
        parameters("postgresql://ada:hunter2%zz@h:x/db")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("said", "advised"),
    [
        ("fe_sendauth: no password supplied", "PGPASSFILE"),
        ('password authentication failed for user "u"', "PGPASSFILE"),
        ("FATAL: sorry, too many clients already", "max_connections"),
        ("cannot execute INSERT in a read-only transaction", "HOST1,HOST2"),
        ("session is read-only", "HOST1,HOST2"),
        ("attempt to write a readonly database", "file and folder"),
        ("database or disk is full", "make room"),
        ("database is locked", "other program"),
    ],
)
def test_what_to_do_is_told(said: str, advised: str) -> None:
    assert advised in advice(said)

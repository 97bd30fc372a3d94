"""What PostgreSQL needs: durable commits, one consistent view for a reader, an order of writers.

A writer takes an advisory lock for its transaction. This gives every use case what SQLite's single
writer gives: what it has read stays true until it commits. Shared writers take the same lock in
shared mode. They are the few on the path of every signature. They are safe beside each other
because they change rows only by conditional UPDATEs, and because no card, key, policy or identity
changes while they run.

The lock is a lease. A process that is stopped, or that nobody reaches any more, says nothing within
its transaction; the server then ends the transaction, and others go on. The process finds its
connection closed when it wakes up, and nothing of the transaction was done.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TypeAlias

import psycopg
from psycopg.errors import LockNotAvailable
from psycopg.rows import TupleRow
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.exc import DisconnectionError, OperationalError

from cloud_keystore.model.errors import KeystoreError
from cloud_keystore.storage.databases.addresses import DRIVER
from cloud_keystore.storage.databases.modes import MODE, Mode

WRITERS = 0x636C6F7564  # the lock's number, "cloud"; no other program uses it
POOL = 10  # connections that stay open
OVERFLOW = 30  # further connections under load
WAIT_SECONDS = 10  # for a connection of the pool, and for the writers' lock
IDLE_SECONDS = 2  # in which a writer must say something, or it loses the lock
# A request for a lock lasts so long, and is made again by a process that lives. It is shorter than
# IDLE_SECONDS: else a stopped process would get the lock once for each request that it has waiting.
LOCK_SECONDS = 1
SESSION = {
    # A list asks for a page of rows, and to compile for it takes seconds.
    "jit": "off",
    "application_name": "cloudcard",
    "client_encoding": "utf8",
    "synchronous_commit": "on",  # a commit that was answered outlives a loss of power
    "lock_timeout": f"{LOCK_SECONDS}s",
    # Of readers, whom nobody waits for; each writer has less
    "statement_timeout": "60s",
    "idle_in_transaction_session_timeout": "10s",
    # The server's side of KEEPALIVES
    "tcp_keepalives_idle": "1s",
    "tcp_keepalives_interval": "1s",
    "tcp_keepalives_count": "2",
    "tcp_user_timeout": "3s",
}
# So that a peer that has vanished without closing the connection is noticed within three seconds
KEEPALIVES: Mapping[str, str] = {
    "connect_timeout": "5",
    "keepalives_idle": "1",
    "keepalives_interval": "1",
    "keepalives_count": "2",
    "tcp_user_timeout": "3000",  # milliseconds
}
# Settings of a writer's transaction, which begin with the lock
IDLE = f"{IDLE_SECONDS}s"
LEASES: Mapping[Mode, Mapping[str, str]] = {
    Mode.SHARED: {"statement_timeout": IDLE, "idle_in_transaction_session_timeout": IDLE},
    # A sweep has much to erase in one statement if nobody has swept for a while.
    Mode.WRITE: {"statement_timeout": "10s", "idle_in_transaction_session_timeout": IDLE},
    # A migration rewrites tables and waits for readers; the first start makes keys in between.
    Mode.LONG: {
        "lock_timeout": "10s",
        "statement_timeout": "10min",
        "idle_in_transaction_session_timeout": "60s",
    },
}
# Of several hosts the library passes over one that takes no changes: a standby, or a server that is
# set read-only. The parameters by which a server tells it later are those that follow.
WRITABLE = {"target_session_attrs": "read-write"}
TOLD_READ_ONLY = ("default_transaction_read_only", "in_hot_standby")
# SQLSTATEs that say that a connection is of no more use, although their class is that of mistakes
# (PostgreSQL, appendix A)
READ_ONLY = "25006"
TOO_SLOW = frozenset({"25P03", "25P04"})  # idle in a transaction, or a long one: it was cut off

Server: TypeAlias = psycopg.Connection[TupleRow]


class NotDurable(KeystoreError):
    """The server confirms commits before they are on disk."""


def session_parameters(parameters: Mapping[str, str]) -> Mapping[str, str]:
    """The parameters of an address, with what every connection of the keystore has."""
    # Of two values of a setting the last counts, so that an address cannot make commits unsafe.
    session = " ".join(f"-c {name}={value}" for name, value in SESSION.items())
    options = f"{parameters.get('options', '')} {session}".strip()
    return {**KEEPALIVES, **parameters, **WRITABLE, "options": options}


def new_engine(parameters: Mapping[str, str]) -> Engine:
    """An engine that has not connected yet."""
    engine = create_engine(
        URL.create(DRIVER),
        hide_parameters=True,
        pool_size=POOL,
        max_overflow=OVERFLOW,
        pool_timeout=WAIT_SECONDS,
        # The one used last is used next: its server process has the catalogues and plans at hand.
        pool_use_lifo=True,
        pool_pre_ping=True,  # replaces connections from before a restart of the server
        connect_args=dict(parameters),
    )
    event.listen(engine, "checkout", _check_writable)
    event.listen(engine, "begin", _begin)
    event.listen(engine, "handle_error", _drop)
    return engine


@contextmanager
def migrating(_connection: Connection) -> Iterator[None]:
    """Do nothing: the schema changes within the transaction, beside no other writer."""
    yield


def check_durable(connection: Connection) -> None:
    """Raises NotDurable for a server that can lose commits which it has confirmed."""
    if connection.exec_driver_sql("SHOW fsync").scalar() != "on":
        raise NotDurable(
            "PostgreSQL runs with fsync=off, so a loss of power would undo used approvals: set "
            "fsync=on in postgresql.conf and restart it"
        )


def _check_writable(connection: Server, _: object, __: object) -> None:
    """Make the pool replace a connection whose server has become read-only.

    The server tells it by itself (PostgreSQL 14 and later), at the latest with the answer to the
    pool's ping. Of a new connection the library asks it.
    """
    if "on" in map(connection.info.parameter_status, TOLD_READ_ONLY):
        raise DisconnectionError


def _drop(context: ExceptionContext) -> None:
    """Count a refused change as a lost connection: the server has become read-only, and the next
    connection perhaps leads to its successor.
    """
    error, connection = context.original_exception, context.connection
    if connection is None or not isinstance(error, psycopg.Error):
        return
    writes = connection.info.get(MODE) is not Mode.READ
    if error.sqlstate in TOO_SLOW or (error.sqlstate == READ_ONLY and writes):
        context.is_disconnect = True


def _begin(connection: Connection) -> None:
    statement = _beginning(connection.info.get(MODE, Mode.READ))
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            connection.exec_driver_sql(statement)
        except OperationalError as error:
            # SQLAlchemy has rolled back: nothing was done, so the lock can be asked for again.
            if not isinstance(error.orig, LockNotAvailable) or time.monotonic() >= deadline:
                raise
        else:
            return


@cache
def _beginning(mode: Mode) -> str:
    if mode is Mode.READ:
        return "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
    lock = "pg_advisory_xact_lock_shared" if mode is Mode.SHARED else "pg_advisory_xact_lock"
    settings = (f"set_config('{name}', '{value}', true)" for name, value in LEASES[mode].items())
    return f"SELECT {', '.join((f'{lock}({WRITERS})', *settings))}"

"""What PostgreSQL needs: durable commits, one consistent view for a reader, an order of writers.

A writer takes an advisory lock for its transaction. This gives every use case what SQLite's single
writer gives: what it has read stays true until it commits. Shared writers take the same lock in
shared mode. They are the few on the path of every signature. They are safe beside each other
because they change rows only by conditional UPDATEs, and because no card, key, policy or identity
changes while they run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeAlias

import psycopg
from psycopg.rows import TupleRow
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.exc import DisconnectionError

from cloud_keystore.model.errors import KeystoreError
from cloud_keystore.storage.databases.addresses import DRIVER
from cloud_keystore.storage.databases.modes import MODE, Mode

WRITERS = 0x636C6F7564  # the lock's number, "cloud"; no other program uses it
POOL = 10  # connections that stay open
OVERFLOW = 30  # further connections under load
WAIT_SECONDS = 10  # for a connection of the pool, and for a lock
SESSION = {
    "application_name": "cloudcard",
    "client_encoding": "utf8",
    "synchronous_commit": "on",  # a commit that was answered outlives a loss of power
    "lock_timeout": f"{WAIT_SECONDS}s",
    "statement_timeout": "60s",
    "idle_in_transaction_session_timeout": "60s",  # frees the locks of a process that hangs
}
# Seconds, so that a peer that has vanished without closing the connection is noticed soon
KEEPALIVES: Mapping[str, str | int] = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
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


def new_engine(parameters: Mapping[str, str]) -> Engine:
    """An engine that has not connected yet."""
    # Of two values of a setting the last counts, so that an address cannot make commits unsafe.
    session = " ".join(f"-c {name}={value}" for name, value in SESSION.items())
    options = f"{parameters.get('options', '')} {session}".strip()
    engine = create_engine(
        URL.create(DRIVER),
        hide_parameters=True,
        pool_size=POOL,
        max_overflow=OVERFLOW,
        pool_timeout=WAIT_SECONDS,
        pool_pre_ping=True,  # replaces connections from before a restart of the server
        connect_args={**KEEPALIVES, **parameters, "options": options},
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
    match connection.info.get(MODE, Mode.READ):
        case Mode.READ:
            statement = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
        case Mode.WRITE:
            statement = f"SELECT pg_advisory_xact_lock({WRITERS})"
        case _:
            statement = f"SELECT pg_advisory_xact_lock_shared({WRITERS})"
    connection.exec_driver_sql(statement)

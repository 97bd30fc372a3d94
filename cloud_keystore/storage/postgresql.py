"""What PostgreSQL needs: durable commits, one consistent view for a reader, an order of writers.

A writer takes an advisory lock for its transaction. This gives every use case what SQLite's single
writer gives: what it has read stays true until it commits. Shared writers take the same lock in
shared mode. They are the few on the path of every signature. They are safe beside each other
because they change rows only by conditional UPDATEs, and because no card, key, policy or identity
changes while they run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL

from cloud_keystore.model.errors import KeystoreError
from cloud_keystore.storage.modes import MODE, Mode

DRIVER = "postgresql+psycopg"
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
KEEPALIVES = {"connect_timeout": 5, "keepalives_idle": 5, "keepalives_interval": 2}


class NotDurable(KeystoreError):
    """The server confirms commits before they are on disk."""


def new_engine(url: URL) -> Engine:
    """An engine that has not connected yet."""
    options = " ".join(f"-c {name}={value}" for name, value in SESSION.items())
    engine = create_engine(
        url.set(drivername=DRIVER),
        hide_parameters=True,
        pool_size=POOL,
        max_overflow=OVERFLOW,
        pool_timeout=WAIT_SECONDS,
        pool_pre_ping=True,  # replaces connections from before a restart of the server
        connect_args={"options": options, **KEEPALIVES, "keepalives_count": 3},
    )
    event.listen(engine, "begin", _begin)
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


def _begin(connection: Connection) -> None:
    match connection.info.get(MODE, Mode.READ):
        case Mode.READ:
            statement = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
        case Mode.WRITE:
            statement = f"SELECT pg_advisory_xact_lock({WRITERS})"
        case _:
            statement = f"SELECT pg_advisory_xact_lock_shared({WRITERS})"
    connection.exec_driver_sql(statement)

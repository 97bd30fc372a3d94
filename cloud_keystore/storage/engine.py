"""The database: one engine, read and write transactions, durable commits."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from importlib.resources import files
from types import MappingProxyType

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError

from cloud_keystore.model.actors import ActorKind
from cloud_keystore.model.errors import KeystoreError
from cloud_keystore.model.limits import Rate
from cloud_keystore.storage.authentic.rows import Rows
from cloud_keystore.storage.budgets import GROWTH, Growth
from cloud_keystore.storage.databases import addresses, postgresql, sqlite
from cloud_keystore.storage.databases.failures import advice, translated
from cloud_keystore.storage.databases.modes import MODE, Mode
from cloud_keystore.storage.outbox.notifications import OUTBOX, Terms

RESTORING = "restoring"  # a table that exists while a backup is restored into a shared database


class DatabaseUnusable(KeystoreError):
    """The database cannot be opened, read or written; the message says why and what to do."""


class Database:
    """Gives out transactions, of SQLite or of PostgreSQL. A write transaction excludes all other
    writers from its start.
    """

    parameters: Mapping[str, str] = MappingProxyType({})
    """Of PostgreSQL's library; the password can be among them."""

    def __init__(self, url: str) -> None:
        """Take a database's address, without connecting yet. Raises AddressUnusable or
        DatabaseUnusable if it is neither an address of SQLite nor of PostgreSQL.
        """
        # The writers of one process wait here for their turn: SQLite itself would make them poll,
        # with longer and longer pauses.
        self._writing = threading.Lock()
        if addresses.is_postgresql(url):
            self.parameters = postgresql.session_parameters(addresses.parameters(url))
            self._engine = postgresql.new_engine(self.parameters)
            self._name = addresses.shown(self.parameters)
        else:
            self._engine, self._name = _sqlite(url)
        self._rows = Rows()
        self._growth: Growth | None = None
        self._outbox: Terms | None = None
        self._free_bytes = 0

    def authenticate(self, key: bytes) -> None:
        """Give the key that authenticates rows, which is derived from the root secret."""
        self._rows.codes.use(key)

    def limit_growth(self, budgets: Mapping[ActorKind, Rate], free_bytes: int) -> None:
        """Hold identities to their budgets of the journal from now on, and keep some of the disk
        free.
        """
        self._free_bytes = free_bytes
        self._growth = Growth(budgets, lambda: self.has_room)

    def tell_people(self, terms: Terms) -> None:
        """Keep an outbox from now on: what people are to be told by e-mail is written down."""
        self._outbox = terms

    @property
    def has_room(self) -> bool:
        """Whether the disk has as much room as is to be kept free. What a server's disk has, nobody
        here knows.
        """
        return self.is_shared or sqlite.has_room(self._engine.url, self._free_bytes)

    @property
    def is_shared(self) -> bool:
        """Whether other replicas can use the database at the same time."""
        return self._engine.dialect.name == "postgresql"

    @property
    def is_writable(self) -> bool:
        """Whether the place of the database takes changes, as far as this can be seen without
        making one. A server that takes none is noticed when a connection is used.
        """
        return self.is_shared or sqlite.is_writable(self._engine.url)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that reads one consistent view.

        Raises StorageUnavailable and StorageDamaged.
        """
        with self._transaction(Mode.READ) as connection:
            yield connection

    @contextmanager
    def write(self, *, shared: bool = False, long: bool = False) -> Iterator[Connection]:
        """A transaction that writes all or nothing, and is durable when the block has ended. After
        an exception of the block it is rolled back and the exception raised again.

        No other writer works meanwhile. If `shared`, other shared writers can, so the block must
        change what it has read only by conditional updates. The block is a lease: in a shared
        database it is lost, with nothing done, if the process does not go on for two seconds;
        maintenance that needs more is `long`.

        Raises StorageUnavailable and StorageDamaged.
        """
        mode = Mode.SHARED if shared else Mode.LONG if long else Mode.WRITE
        with self._transaction(mode) as connection:
            yield connection

    @contextmanager
    def _transaction(self, mode: Mode) -> Iterator[Connection]:
        turn = nullcontext() if mode is Mode.READ or self.is_shared else self._writing
        with translated(), turn, self._engine.connect() as connection:
            connection.info[MODE] = mode
            # Who reads adds nothing, and PostgreSQL locks no budget for that.
            connection.info[GROWTH] = None if mode is Mode.READ else self._growth
            connection.info[OUTBOX] = self._outbox
            try:
                with self._rows.turn(connection), connection.begin():
                    yield connection
            finally:
                if not connection.invalidated:
                    connection.info[MODE] = Mode.READ

    def migrate(self, *, restored: bool = False) -> None:
        """Bring the schema up to date; raises DatabaseUnusable if the database cannot be used.

        A database with a restore that has not ended is refused unless `restored`: only the process
        that restores the backup sets it.
        """
        try:
            with self._engine.connect() as connection:
                connection.info[MODE] = Mode.LONG
                migrating = postgresql.migrating if self.is_shared else sqlite.migrating
                try:
                    with migrating(connection), connection.begin():
                        self._upgrade(connection, restored=restored)
                finally:
                    connection.info[MODE] = Mode.READ
        except (OperationalError, DatabaseError) as error:
            said = str(error.orig)
            raise DatabaseUnusable(f"{self._name}: {said}: {advice(said)}") from None

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _upgrade(self, connection: Connection, *, restored: bool) -> None:
        config = Config()
        config.set_main_option(
            "script_location", str(files("cloud_keystore.storage") / "migrations")
        )
        config.set_main_option("recursive_version_locations", "true")
        config.attributes["connection"] = connection
        if self.is_shared:
            postgresql.check_durable(connection)
            if not restored and inspect(connection).has_table(RESTORING):
                raise DatabaseUnusable(
                    f"{self._name}: a backup was not restored to its end: empty the database, "
                    "and restore it again"
                )
        try:
            command.upgrade(config, "head")
        except CommandError:
            raise DatabaseUnusable(
                f"{self._name} was made by a newer version of cloudcard: use that version"
            ) from None
        if not self.is_shared and (table := sqlite.dangling(connection)) is not None:
            raise DatabaseUnusable(
                f"{self._name}: a row of {table} refers to a row that is missing: restore the "
                "database from a backup"
            )


def _sqlite(url: str) -> tuple[Engine, str]:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise DatabaseUnusable(
            "this is not the address of a database: write postgresql://USER@HOST/NAME"
        ) from None
    if parsed.get_backend_name() != "sqlite":
        raise DatabaseUnusable(
            f"{parsed.get_backend_name()} is not known: use postgresql://USER@HOST/NAME, or "
            "nothing for SQLite"
        )
    return sqlite.new_engine(parsed), parsed.render_as_string()

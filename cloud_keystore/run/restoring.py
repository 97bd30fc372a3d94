"""A database that comes from a backup: what was open then must not become usable again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, MetaData, Table, delete, func, inspect, select, update
from sqlalchemy.schema import CreateTable, DropTable

from cloud_keystore.audit import entries, journal
from cloud_keystore.custody.use.closing import end_sessions, withdraw
from cloud_keystore.model.actors import DATA_FOLDER
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.operations import Event, sources
from cloud_keystore.storage import operations
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.engine import RESTORING, Database, DatabaseUnusable

_MARK = Table(RESTORING, MetaData())
WHY = "restored from a backup"


@dataclass(frozen=True, slots=True)
class Ended:
    """What a restored database no longer has."""

    operations: int
    sessions: int
    tokens: int


def begin(database: Database) -> None:
    """Keep everybody else out of a shared database, until `end_the_past` has been; raises
    DatabaseUnusable for one that is not empty.
    """
    with database.write() as connection:
        if tables := inspect(connection).get_table_names():
            raise DatabaseUnusable(f"the database is not empty: it has {', '.join(tables[:3])} …")
        connection.execute(CreateTable(_MARK))


def end_the_past(database: Database, now: datetime, details: dict[str, Detail]) -> Ended:
    """End all that was open when the backup was made, in one transaction with its journal entries.

    Requests are withdrawn and approvals are void, as they may have been used since; sessions end;
    proofs and challenges are dropped; tokens that were not used then may have been since. Each
    passcode keeps one try at most, as those that were spent since the backup are not known: a right
    one gives them all back.
    """
    with database.write() as connection:
        withdrawn = withdraw(connection, _open_operations(connection), now, DATA_FOLDER, WHY)
        for operation_id in _open_operations(connection):  # their keys were in use
            operations.end_use(connection, operation_id, None, now)
        ended = [
            session_id
            for user_id in _holders_of_sessions(connection)
            for session_id in end_sessions(connection, now, DATA_FOLDER, WHY, user_id=user_id)
        ]
        for table in (t.passcode_proof, t.management_challenge, t.administrator_proof):
            connection.execute(delete(table))
        tokens = connection.execute(
            update(t.token)
            .where(t.token.c.use_time.is_(None), t.token.c.expire_time > now)
            .values(expire_time=now)
        ).rowcount
        connection.execute(
            update(t.passcode).where(t.passcode.c.tries_left > 1).values(tries_left=1)
        )
        connection.execute(DropTable(_MARK, if_exists=True))
        restored = entries.about_keystore(Kind.KEYSTORE_RESTORED, now, DATA_FOLDER, details)
        journal.append(connection, restored)
    return Ended(len(withdrawn), len(ended), tokens)


def newest_entry(database: Database) -> datetime | None:
    """When the newest entry of the journal was made; None in an empty one."""
    with database.read() as connection:
        found: datetime | None = connection.execute(select(func.max(t.journal.c.time))).scalar()
    return found


def _open_operations(connection: Connection) -> list[str]:
    query = select(t.operation.c.id).where(t.operation.c.state.in_(sources(Event.CANCEL)))
    return list(connection.execute(query).scalars())


def _holders_of_sessions(connection: Connection) -> list[str]:
    query = select(t.session.c.user_id).where(t.session.c.end_time.is_(None)).distinct()
    return list(connection.execute(query).scalars())

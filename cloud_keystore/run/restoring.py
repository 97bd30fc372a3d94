"""Restores a database from a backup: what was open at that time must not be usable again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, MetaData, Table, delete, inspect, select
from sqlalchemy.schema import CreateTable, DropTable

from cloud_keystore.audit import entries, journal
from cloud_keystore.custody.use.closing import close_seats, end_sessions, withdraw
from cloud_keystore.model.actors import DATA_FOLDER
from cloud_keystore.model.cards import CardEvent
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.operations import Event, sources
from cloud_keystore.model.sharing.seats import Why as WhySeat
from cloud_keystore.model.sign_ins import Why
from cloud_keystore.storage import cards, operations, passcodes, sign_ins
from cloud_keystore.storage import journal as rows
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.credentials import app_pins
from cloud_keystore.storage.credentials.phone_codes import phone_code
from cloud_keystore.storage.credentials.portal.codes import mailed_code
from cloud_keystore.storage.credentials.unlock_codes import unlock_code
from cloud_keystore.storage.engine import RESTORING, Database, DatabaseUnusable
from cloud_keystore.storage.enrolment import tokens
from cloud_keystore.storage.enrolment.short_codes import short_code
from cloud_keystore.storage.issuing import orders
from cloud_keystore.storage.issuing.planned_keys import planned_key
from cloud_keystore.storage.issuing.spare_keys import spare_key
from cloud_keystore.storage.outbox import notifications
from cloud_keystore.storage.sessions import Which
from cloud_keystore.storage.sharing import seats

_MARK = Table(RESTORING, MetaData())
WHY = "restored from a backup"


@dataclass(frozen=True, slots=True)
class Ended:
    """How many operations, sessions and tokens were ended in a restored database."""

    operations: int
    sessions: int
    tokens: int


def begin(database: Database) -> None:
    """Keep all other keystores out of a shared database until `end_the_past` is done; raises
    DatabaseUnusable if the database is not empty.
    """
    with database.write(long=True) as connection:
        if tables := inspect(connection).get_table_names():
            raise DatabaseUnusable(f"the database is not empty: it has {', '.join(tables[:3])} …")
        connection.execute(CreateTable(_MARK))


def end_the_past(database: Database, now: datetime, details: dict[str, Detail]) -> Ended:
    """End everything that was open when the backup was made, in one transaction with the journal
    entries.

    Operations are withdrawn and approvals void, because they can have been used after the backup.
    Sessions and sign-ins end; proofs, challenges, unlocks that somebody asked for, codes,
    spare keys and those that were planned are dropped. Cards that were being made have failed.
    Unused tokens expire, because they can have been used after the backup, and e-mail that waited
    is not sent, because it can have been. Each passcode keeps at most one try, because it is not
    known how many were spent after the backup; a correct passcode restores all tries.
    """
    with database.write(long=True) as connection:
        withdrawn = withdraw(connection, _open_operations(connection), now, DATA_FOLDER, WHY)
        # The operations that are still open were in use, and cannot be withdrawn.
        for operation_id in _open_operations(connection):
            operations.end_use(connection, operation_id, None, now)
        ended = [
            session_id
            for user_id in _holders_of_sessions(connection)
            for session_id in end_sessions(
                connection, now, DATA_FOLDER, WHY, Which(user_id=user_id)
            )
        ]
        for each in sign_ins.end_all(connection, now, Why.TIME):
            journal.append(connection, entries.sign_in_ended(each, now, DATA_FOLDER, WHY))
        close_seats(connection, seats.end_all(connection, WhySeat.TIME), now, DATA_FOLDER, WHY)
        for table in (
            t.passcode_proof,
            t.unlock,
            t.management_challenge,
            t.administrator_proof,
            unlock_code,
            phone_code,
            mailed_code,
            short_code,
            # Cards that were made after the backup can have these keys.
            spare_key,
            planned_key,
        ):
            connection.execute(delete(table))
        _fail_cards(connection, now)
        voided = tokens.void_all(connection, now)
        notifications.cancel_all(connection, WHY, now)
        passcodes.leave_one_try(connection)
        app_pins.leave_one_try(connection)
        connection.execute(DropTable(_MARK, if_exists=True))
        restored = entries.about_keystore(Kind.KEYSTORE_RESTORED, now, DATA_FOLDER, details)
        journal.append(connection, restored)
    return Ended(len(withdrawn), len(ended), voided)


def newest_entry(database: Database) -> datetime | None:
    """When the newest entry of the journal was made; None if the journal is empty."""
    with database.read() as connection:
        return rows.newest_time(connection)


def _fail_cards(connection: Connection, now: datetime) -> None:
    """Let nobody go on by itself with cards that were being made, and can have been made since."""
    for order in orders.under_way(connection):
        orders.leave(connection, order.card_id, f"the keystore was {WHY}")
        card = cards.find(connection, order.card_id)
        if card is not None and cards.move(connection, card.id, CardEvent.FAIL):
            said = {"reason": WHY}
            failed = entries.about_card(Kind.CARD_FAILED, card, now, DATA_FOLDER, said)
            journal.append(connection, failed)


def _open_operations(connection: Connection) -> list[str]:
    query = select(t.operation.c.id).where(t.operation.c.state.in_(sources(Event.CANCEL)))
    return list(connection.execute(query).scalars())


def _holders_of_sessions(connection: Connection) -> list[str]:
    query = select(t.session.c.user_id).where(t.session.c.end_time.is_(None)).distinct()
    return list(connection.execute(query).scalars())

"""Gives the records of a database from before there were codes their authentication codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from cloud_keystore.audit import entries, journal
from cloud_keystore.custody.sealing.holder import check_none
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.errors import KeystoreError
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import IdentityState, Role
from cloud_keystore.storage import approval_keys
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic import upgrading
from cloud_keystore.storage.authentic.upgrading import Examined
from cloud_keystore.storage.engine import Database

POWERFUL = (Role.OPERATOR, Role.AUDITOR, Role.CLIENT)  # whose names the report has


class NotBelieved(KeystoreError):
    """Records have no authentication codes, or wrong ones; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Report:
    """What is believed from now on, if the records get their codes."""

    records: Mapping[str, int]  # by table
    powerful: Sequence[tuple[str, str, str]]  # role, name and state of operators and auditors


def is_due(database: Database) -> bool:
    """Whether the records are from before there were codes."""
    with database.read() as connection:
        return upgrading.is_due(connection)


def examine(database: Database) -> Examined:
    """Check the code of each record."""
    with database.read() as connection:
        return upgrading.examine(connection)


def report(database: Database, now: datetime) -> Report:
    """What an operator looks at before the records get their codes, while no service runs. Raises
    NotBelieved if some have codes already, and SealingKeyError if a service runs.
    """
    with database.read() as connection:
        check_none(connection, now)
        _check_due(connection)
        i = t.identity.c
        query = select(i.role, i.display_name, i.state).where(i.role.in_(POWERFUL)).order_by(i.id)
        powerful = [
            (Role(row.role).name.lower(), row.display_name, IdentityState(row.state))
            for row in connection.execute(query)
        ]
        return Report(upgrading.count(connection), powerful)


def authenticate(database: Database, now: datetime, actor: Actor) -> int:
    """Give all records their codes, and return how many; all of them or none. Raises NotBelieved if
    some have codes already.
    """
    with database.write(long=True) as connection:
        _check_due(connection)
        records = upgrading.count(connection)
        upgrading.give_codes(connection)
        approval_keys.complete(connection)
        told = entries.about_keystore(Kind.RECORDS_AUTHENTICATED, now, actor, dict(records))
        journal.append(connection, told)
    return sum(records.values())


def _check_due(connection: Connection) -> None:
    if not upgrading.is_due(connection):
        raise NotBelieved(
            "the records of this database have their codes: one without a code was put there by "
            "somebody else, and gets none"
        )

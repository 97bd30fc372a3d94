"""Changes records of a keystore's database as the keystore itself does, with their codes."""

from __future__ import annotations

import os
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Table

from cloud_keystore.custody.sealing.sealing_keys import FILE, Source, open_seal
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Value
from cloud_keystore.storage.engine import Database


def change(data: Path, table: Table, record_id: str, **values: Value) -> None:
    """Give a record other values, in the database of a data folder."""
    key = Source(FILE, str(data / "sealing.key"))
    with closing(Database(f"sqlite:///{data / 'keystore.db'}")) as database:
        open_seal(database, [key], datetime.now(UTC), os.urandom)
        with database.write() as connection:
            rows.change(connection, table, [table.c.id == record_id], values)

"""What rows of passkeys have in common, whoever approves or logs in by them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, ColumnElement, Connection, Table, or_

from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values


def grown(counter: Column[int], sign_count: int) -> ColumnElement[bool]:
    """Whether a counter has grown (WebAuthn level 3, 6.1.1); if not, there is a copy of the
    passkey. Authenticators without a counter always send 0.
    """
    return or_(counter < sign_count, (counter == 0) & (sign_count == 0))


def count_log_in(
    connection: Connection, table: Table, passkey_id: str, sign_count: int, now: datetime
) -> bool:
    """Note a log-in by a passkey that was not removed; False if its counter has not grown."""
    c = table.c
    this = [c.id == passkey_id, c.end_time.is_(None), grown(c.sign_count, sign_count)]
    counted: Values = {"sign_count": sign_count, "use_time": now}
    return bool(rows.change(connection, table, this, counted))


def end(connection: Connection, table: Table, passkey_id: str, now: datetime) -> bool:
    """Let one be of no use any more; False if it was so already."""
    this = [table.c.id == passkey_id, table.c.end_time.is_(None)]
    return bool(rows.change(connection, table, this, {"end_time": now}))

"""Rows of passkeys by which operators log in."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    ForeignKey,
    Index,
    LargeBinary,
    RowMapping,
    String,
    select,
)

from cloud_keystore.model.rights.log_ins import LogInPasskey
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.credentials import passkeys
from cloud_keystore.storage.databases.instants import Instant

log_in_passkey = authentic(
    "log_in_passkey",
    Column("id", String, primary_key=True),
    Column("operator_id", ForeignKey("identity.id"), nullable=False),
    Column("display_name", String, nullable=False),
    Column("credential_id", LargeBinary, nullable=False),
    Column("public_key", LargeBinary, nullable=False),  # COSE
    Column("challenge_sha256", LargeBinary, nullable=False),  # that it answered when it was made
    Column("sign_count", BigInteger, nullable=False),
    Column("backup_eligible", Boolean, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("use_time", Instant),
    Column("end_time", Instant),
    Index("log_in_passkey_by_credential", "credential_id", unique=True),
    Index("log_in_passkey_by_challenge", "challenge_sha256", unique=True),
    Index("log_in_passkey_of_operator", "operator_id", "create_time"),
)
p = log_in_passkey.c
_KNOWN = LogInPasskey.__dataclass_fields__


def add(connection: Connection, made: LogInPasskey) -> None:
    """Add one; raises IntegrityError for an answer that was taken before."""
    rows.add(connection, log_in_passkey, asdict(made))


def by_credential(connection: Connection, credential_id: bytes) -> LogInPasskey | None:
    """The passkey with a credential id, also if it was removed."""
    row = rows.one(connection, log_in_passkey, credential_id=credential_id)
    return None if row is None else _passkey(row)


def of_operator(connection: Connection, operator_id: str) -> list[LogInPasskey]:
    """Those of an operator that were not removed, the first first."""
    query = select(log_in_passkey).where(p.operator_id == operator_id, p.end_time.is_(None))
    found = rows.read(connection, log_in_passkey, query.order_by(p.create_time, p.id))
    return [_passkey(row) for row in found]


def count_use(connection: Connection, used: LogInPasskey, sign_count: int, now: datetime) -> bool:
    """Note a use; False if the counter has not grown, which means that there is a copy."""
    return passkeys.count_log_in(connection, log_in_passkey, used.id, sign_count, now)


def end(connection: Connection, passkey_id: str, now: datetime) -> bool:
    """Let one be of no use any more; False if it was so already."""
    return passkeys.end(connection, log_in_passkey, passkey_id, now)


def _passkey(row: RowMapping) -> LogInPasskey:
    return LogInPasskey(**{name: row[name] for name in _KNOWN})

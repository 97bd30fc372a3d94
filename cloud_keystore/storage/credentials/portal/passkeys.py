"""Rows of passkeys by which holders log in to the portal."""

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

from cloud_keystore.model.portal.passkeys import PortalPasskey
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.credentials import passkeys
from cloud_keystore.storage.databases.instants import Instant

portal_passkey = authentic(
    "portal_passkey",
    Column("id", String, primary_key=True),
    Column("user_id", ForeignKey("user.id"), nullable=False),
    Column("display_name", String, nullable=False),
    Column("credential_id", LargeBinary, nullable=False),
    Column("public_key", LargeBinary, nullable=False),  # COSE
    Column("sign_count", BigInteger, nullable=False),
    Column("backup_eligible", Boolean, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("use_time", Instant),
    Column("end_time", Instant),
    Index("portal_passkey_by_credential", "credential_id", unique=True),
    Index("portal_passkey_of_user", "user_id", "create_time"),
)
p = portal_passkey.c
_KNOWN = PortalPasskey.__dataclass_fields__


def add(connection: Connection, made: PortalPasskey) -> None:
    """Add one; raises IntegrityError for one that was added before."""
    rows.add(connection, portal_passkey, asdict(made))


def by_credential(connection: Connection, credential_id: bytes) -> PortalPasskey | None:
    """The passkey with a credential id, also if it was removed."""
    row = rows.one(connection, portal_passkey, credential_id=credential_id)
    return None if row is None else _passkey(row)


def of_user(connection: Connection, user_id: str) -> list[PortalPasskey]:
    """Those of a holder that were not removed, the first first."""
    query = select(portal_passkey).where(p.user_id == user_id, p.end_time.is_(None))
    found = rows.read(connection, portal_passkey, query.order_by(p.create_time, p.id))
    return [_passkey(row) for row in found]


def count_use(connection: Connection, used: PortalPasskey, sign_count: int, now: datetime) -> bool:
    """Note a use; False if the counter has not grown, which means that there is a copy."""
    return passkeys.count_log_in(connection, portal_passkey, used.id, sign_count, now)


def end(connection: Connection, passkey_id: str, now: datetime) -> bool:
    """Let one be of no use any more; False if it was so already."""
    return passkeys.end(connection, portal_passkey, passkey_id, now)


def end_all(connection: Connection, user_id: str, now: datetime) -> None:
    """Let those of a holder be of no use any more who has left."""
    this = [p.user_id == user_id, p.end_time.is_(None)]
    rows.change(connection, portal_passkey, this, {"end_time": now})


def _passkey(row: RowMapping) -> PortalPasskey:
    return PortalPasskey(**{name: row[name] for name in _KNOWN})

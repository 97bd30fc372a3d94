"""Rows of approval keys."""

from __future__ import annotations

from sqlalchemy import Connection, select

from cloud_keystore.model.approval_keys import (
    ApprovalKey,
    ApprovalKeyKind,
    NativeKey,
    Passkey,
    RelyingParty,
)
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Value, Values
from cloud_keystore.storage.credentials.passkeys import grown

k = t.approval_key.c


def add(connection: Connection, identity_id: str, key: ApprovalKey) -> None:
    """Give a device an approval key of its own."""
    row: dict[str, Value] = {
        "identity_id": identity_id,
        "kind": ApprovalKeyKind.NATIVE,
        "public_key": key.public_key,
    }
    if isinstance(key, Passkey):
        row |= {
            "kind": ApprovalKeyKind.PASSKEY,
            "credential_id": key.credential_id,
            "sign_count": key.sign_count,
            "backup_eligible": key.backup_eligible,
            "backed_up": key.backed_up,
            "transports": " ".join(key.transports),
            "rp_id": key.relying_party.id,
            "origin": key.relying_party.origin,
            "attested_model": key.attested_model,
        }
    rows.add(connection, t.approval_key, row)


def complete(connection: Connection) -> None:
    """Give devices of before, which approve by the key of their connections, a record of it."""
    i = t.identity.c
    query = (
        select(i.id, i.public_key)
        .where(i.role == Role.DEVICE, i.public_key.is_not(None))
        .where(i.id.not_in(select(k.identity_id)))
    )
    for row in connection.execute(query).all():
        add(connection, row.id, NativeKey(row.public_key))


def find(connection: Connection, device: Identity) -> ApprovalKey | None:
    """The key with which a device approves; None if it has none."""
    row = rows.one(connection, t.approval_key, identity_id=device.id)
    if row is None:
        return None
    if row["kind"] == ApprovalKeyKind.NATIVE:
        return NativeKey(row["public_key"])
    return Passkey(
        public_key=row["public_key"],
        credential_id=row["credential_id"],
        relying_party=RelyingParty(row["rp_id"], row["origin"]),
        sign_count=row["sign_count"],
        backup_eligible=row["backup_eligible"],
        backed_up=row["backed_up"],
        transports=tuple(row["transports"].split()),
        attested_model=row["attested_model"],
    )


def has_credential(connection: Connection, credential_id: bytes) -> bool:
    """Whether any device was ever enrolled with this passkey."""
    query = select(k.identity_id).where(k.credential_id == credential_id)
    return connection.execute(query).first() is not None


def count_use(
    connection: Connection, identity_id: str, sign_count: int, *, backed_up: bool
) -> bool:
    """Write down a passkey's counter; False if it has not grown, which means that there is a copy
    of the passkey.
    """
    counted: Values = {"sign_count": sign_count, "backed_up": backed_up}
    where = [k.identity_id == identity_id, grown(k.sign_count, sign_count)]
    return bool(rows.change(connection, t.approval_key, where, counted))

"""Rows of what external authorities are asked to certify, and of what has come from them."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Column, Connection, ForeignKey, LargeBinary, RowMapping, String, select

from cloud_keystore.model.cards import CardState
from cloud_keystore.model.pki.external import Csr
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.indexes import partial
from cloud_keystore.storage.databases.instants import Instant
from cloud_keystore.storage.databases.portions import portions

card_csr = authentic(
    "card_csr",
    Column("key_id", ForeignKey("key.id"), primary_key=True),
    Column("card_id", ForeignKey("card.id"), nullable=False, index=True),
    Column("authority_id", String, nullable=False, index=True),
    Column("csr", LargeBinary, nullable=False),
    Column("public_sha256", LargeBinary, nullable=False, unique=True),
    Column("create_time", Instant, nullable=False),
    Column("certificate", LargeBinary),  # None: none has come
    # Of its issuer and serial number, which name no other certificate
    Column("named_sha256", LargeBinary),
    partial("card_csr_by_name", "named_sha256", where="named_sha256 IS NOT NULL", unique=True),
)
c = card_csr.c


def add(connection: Connection, asked: Iterable[Csr]) -> None:
    """Add what is asked for the keys of a new card."""
    for each in asked:
        known = {name: getattr(each, name) for name in Csr.__dataclass_fields__}
        rows.add(connection, card_csr, {**known, "certificate": None})


def find(connection: Connection, public_sha256: bytes) -> Csr | None:
    """What was asked for a public key."""
    row = rows.one(connection, card_csr, public_sha256=public_sha256)
    return None if row is None else _to_csr(row)


def of_card(connection: Connection, card_id: str) -> list[Csr]:
    """What was asked for the keys of a card; nothing if the keystore has certified them."""
    query = select(card_csr).where(c.card_id == card_id).order_by(c.key_id)
    return [_to_csr(row) for row in rows.read(connection, card_csr, query)]


def asked_for(connection: Connection, key_ids: Iterable[str]) -> set[str]:
    """Those of some keys that an external authority certifies."""
    return {
        row["key_id"]
        for some in portions(key_ids)
        for row in rows.read(connection, card_csr, select(card_csr).where(c.key_id.in_(some)))
    }


def waiting(connection: Connection) -> list[Csr]:
    """What has no certificate yet, of cards that are being issued, oldest first."""
    issuing = select(t.card.c.id).where(t.card.c.state == CardState.ISSUING)
    query = select(card_csr).where(c.card_id.in_(issuing), c.certificate.is_(None))
    return [_to_csr(row) for row in rows.read(connection, card_csr, query.order_by(c.key_id))]


def is_named(connection: Connection, named_sha256: bytes) -> bool:
    """Whether a certificate of this issuer and serial number has come before."""
    return rows.one(connection, card_csr, named_sha256=named_sha256) is not None


def receive(connection: Connection, key_id: str, certificate: bytes, named_sha256: bytes) -> None:
    """Keep the certificate of a key."""
    came = {"certificate": certificate, "named_sha256": named_sha256}
    rows.change(connection, card_csr, [c.key_id == key_id], came)


def is_used(connection: Connection, authority_id: str) -> bool:
    """Whether an authority was asked for anything."""
    query = select(c.key_id).where(c.authority_id == authority_id).limit(1)
    return connection.execute(query).first() is not None


def _to_csr(row: RowMapping) -> Csr:
    known = {name: row[name] for name in Csr.__dataclass_fields__}
    return Csr(**{**known, "certificate": row["certificate"] or b""})

"""Rows of the certificates of cards that were issued, each under its issuer and serial number."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    LargeBinary,
    RowMapping,
    String,
    select,
)

from cloud_keystore.model.pki.revocation import Issued, Listed, RevocationReason, Revoked
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.failures import record
from cloud_keystore.storage.databases.indexes import partial
from cloud_keystore.storage.databases.instants import Instant
from cloud_keystore.storage.databases.portions import portions
from cloud_keystore.storage.revocation import lists

LISTED = "list_time IS NOT NULL"
OPEN = (None, RevocationReason.CERTIFICATE_HOLD)  # reasons of certificates that can be revoked
MOST_UNLISTED = 2000  # in one transaction, for which other writers wait

certificate = authentic(
    "certificate",
    Column("issuer", LargeBinary, primary_key=True),
    Column("serial", LargeBinary, primary_key=True),
    Column("card_id", ForeignKey("card.id"), nullable=False, index=True),
    Column("key_id", ForeignKey("key.id"), nullable=False),
    Column("end_time", Instant, nullable=False),
    Column("reason", String),  # None: the certificate is good
    Column("revoke_time", Instant),
    Column("invalid_time", Instant),
    Column("list_time", Instant),  # since when lists have it; None: they do not
    partial("certificate_on_list", "issuer", "end_time", where=LISTED),
)
c = certificate.c


def add(connection: Connection, issued: Collection[Issued]) -> None:
    """Add certificates that have just been issued, or were issued before they had rows."""
    if issued:
        rows.add(connection, certificate, *(_from_issued(each) for each in issued))
    _note(connection, [(each.issuer, 1) for each in issued if each.revoked is not None])


def recorded(connection: Connection, card_ids: Iterable[str]) -> set[tuple[bytes, bytes]]:
    """Issuers and serial numbers of what some cards have records of. Raises RowNotAuthentic."""
    return {
        (row["issuer"], row["serial"])
        for some in portions(sorted(card_ids))
        for row in rows.read(
            connection, certificate, select(certificate).where(c.card_id.in_(some))
        )
    }


def find(connection: Connection, issuer: bytes, serial: bytes) -> Issued | None:
    """A certificate; None if the authority has issued none of this number."""
    row = rows.one(connection, certificate, issuer=issuer, serial=serial)
    return None if row is None else _to_issued(row)


def revoke(
    connection: Connection, card_id: str, revoked: Revoked, key_ids: Collection[str] | None = None
) -> None:
    """Revoke the certificates of a card, or of some of its keys. Those that were revoked before
    stay as they are; those on hold are revoked since then. Raises RowNotAuthentic.
    """

    def change(row: RowMapping) -> Values:
        return _revoked(row, revoked) if is_meant(row) else {}

    def is_meant(row: RowMapping) -> bool:
        return row["reason"] in OPEN and (key_ids is None or row["key_id"] in key_ids)

    # All of the card, so that a row that somebody has made to look revoked is noticed.
    found = rows.change(connection, certificate, [c.card_id == card_id], change)
    changed = [row for row in found if is_meant(row)]
    _note(connection, [(row["issuer"], int(row["list_time"] is None)) for row in changed])


def release(connection: Connection, card_id: str) -> None:
    """Make the certificates of a card good again that are on hold."""
    good: Values = {"reason": None, "revoke_time": None, "invalid_time": None, "list_time": None}
    where = [c.card_id == card_id, c.reason == RevocationReason.CERTIFICATE_HOLD]
    released = rows.change(connection, certificate, where, good)
    # Those that have ended meanwhile were taken off before.
    _note(connection, [(row["issuer"], -int(row["list_time"] is not None)) for row in released])


def entries(connection: Connection, issuer: bytes) -> list[Listed]:
    """What the list of an authority has to have. Raises RowNotAuthentic."""
    # In this order, so that no database reads all that the authority has ever issued.
    listed = select(certificate).where(c.issuer == issuer, c.list_time.is_not(None))
    query = listed.order_by(c.end_time)
    found = [_to_issued(row) for row in rows.read(connection, certificate, query)]
    return [Listed(each.serial, each.revoked) for each in found if each.revoked is not None]


def unlist(connection: Connection, issuer: bytes, before: datetime) -> int:
    """Take certificates that ended before then off the list of an authority, some of many; returns
    how many.
    """
    where = [c.issuer == issuer, c.list_time.is_not(None), c.end_time < before]
    gone = rows.sweep(
        connection, certificate, where, [c.end_time], {"list_time": None}, MOST_UNLISTED
    )
    _note(connection, [(issuer, -1) for _ in gone])
    return len(gone)


def _note(connection: Connection, changed: Collection[tuple[bytes, int]]) -> None:
    """Note of each certificate that has changed how many more are to be on its authority's list."""
    for issuer in sorted({issuer for issuer, _ in changed}):
        lists.note(connection, issuer, sum(more for of, more in changed if of == issuer))


def _revoked(row: RowMapping, revoked: Revoked) -> Values:
    return {
        "reason": revoked.reason,
        # What was signed while it was on hold was signed with a certificate that was not good.
        "revoke_time": row["revoke_time"] or revoked.time,
        "invalid_time": revoked.invalid_time,
        "list_time": row["list_time"] or revoked.time,
    }


def _from_issued(issued: Issued) -> Values:
    revoked = issued.revoked
    return {
        "issuer": issued.issuer,
        "serial": issued.serial,
        "card_id": issued.card_id,
        "key_id": issued.key_id,
        "end_time": issued.end_time,
        "reason": None if revoked is None else revoked.reason,
        "revoke_time": None if revoked is None else revoked.time,
        "invalid_time": None if revoked is None else revoked.invalid_time,
        "list_time": None if revoked is None else revoked.time,
    }


@record("certificate")
def _to_issued(row: RowMapping) -> Issued:
    revoked = None
    if row["reason"] is not None:
        reason = RevocationReason(row["reason"])
        revoked = Revoked(reason, row["revoke_time"], row["invalid_time"])
    known = ("issuer", "serial", "card_id", "key_id", "end_time")
    return Issued(**{name: row[name] for name in known}, revoked=revoked)

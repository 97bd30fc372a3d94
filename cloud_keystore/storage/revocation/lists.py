"""Rows of revocation lists, one for each authority of cards."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import BigInteger, Column, Connection, ForeignKey, LargeBinary, RowMapping

from cloud_keystore.model.errors import RecordDamaged
from cloud_keystore.model.pki.revocation import Document, RevocationList
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.failures import record
from cloud_keystore.storage.databases.instants import Instant

revocation_list = authentic(
    "revocation_list",
    Column("issuer", LargeBinary, primary_key=True),  # the key identifier of the authority
    Column("number", BigInteger, nullable=False),
    Column("changes", BigInteger, nullable=False),
    Column("covered", BigInteger, nullable=False),
    Column("listed", BigInteger, nullable=False),
    Column("this_time", Instant),
    Column("next_time", Instant),
)
# Apart from these, which each process reads every second
revocation_document = authentic(
    "revocation_document",
    Column("issuer", ForeignKey("revocation_list.issuer"), primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("document", LargeBinary, nullable=False),  # DER
)
r, d = revocation_list.c, revocation_document.c


def begin(connection: Connection, issuer: bytes, listed: int = 0) -> None:
    """Add the row of an authority, of which no list was signed yet; so many of its certificates
    have to be on the first one.
    """
    rows.add(connection, revocation_list, asdict(RevocationList(issuer, 0, 0, 0, listed)))


def find(connection: Connection, issuer: bytes) -> RevocationList | None:
    """The list of an authority; None before it has a row."""
    row = rows.one(connection, revocation_list, issuer=issuer)
    return None if row is None else _to_list(row)


def note(connection: Connection, issuer: bytes, more: int) -> None:
    """Note that certificates of an authority have changed, and that the next list has to have so
    many more.
    """
    rows.change(
        connection,
        revocation_list,
        [r.issuer == issuer],
        lambda row: {"changes": row["changes"] + 1, "listed": row["listed"] + more},
    )


def put(
    connection: Connection, signed: RevocationList, document: bytes, *, instead_of: int
) -> bool:
    """Put a list in place of the one with a number; False if somebody else was faster."""
    values: Values = {
        "number": signed.number,
        "covered": signed.covered,
        "this_time": signed.this_time,
        "next_time": signed.next_time,
    }
    where = [r.issuer == signed.issuer, r.number == instead_of]
    if not rows.change(connection, revocation_list, where, values):
        return False
    fresh: Values = {"number": signed.number, "document": document}
    if not rows.change(connection, revocation_document, [d.issuer == signed.issuer], fresh):
        rows.add(connection, revocation_document, {"issuer": signed.issuer, **fresh})
    return True


def document(connection: Connection, issuer: bytes, known: int = 0) -> Document | None:
    """The newest list of an authority as it was signed, without its bytes if its number is `known`;
    None if there is none. Raises RowNotAuthentic, and RecordDamaged if an earlier one was put back.
    """
    found = find(connection, issuer)
    if found is None or found.this_time is None or found.next_time is None:
        return None
    signed = b""
    if found.number != known:
        row = rows.one(connection, revocation_document, issuer=issuer)
        if row is None or row["number"] != found.number:
            raise RecordDamaged(
                f"the revocation list of {issuer.hex()} is another than it was: restore the "
                "database from a backup"
            )
        signed = row["document"]
    return Document(found.number, found.this_time, found.next_time, signed)


@record("revocation list")
def _to_list(row: RowMapping) -> RevocationList:
    return RevocationList(**{name: row[name] for name in RevocationList.__dataclass_fields__})

"""Rows of certificates that external authorities have revoked, and whether cards have felt it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from cryptography import x509
from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    RowMapping,
    String,
    and_,
    or_,
    select,
    text,
)

from cloud_keystore.model.cards import IN_USE, CardState
from cloud_keystore.model.pki.external import ExternalAuthority, Standing
from cloud_keystore.model.pki.lists import Felt
from cloud_keystore.model.pki.revocation import RevocationReason, Revoked
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.failures import record
from cloud_keystore.storage.databases.indexes import partial
from cloud_keystore.storage.databases.instants import Instant
from cloud_keystore.storage.databases.portions import MOST
from cloud_keystore.storage.issuing.csrs import card_csr

felt_revocation = authentic(
    "felt_revocation",
    Column("key_id", ForeignKey("key.id"), primary_key=True),
    Column("card_id", ForeignKey("card.id"), nullable=False, index=True),
    Column("authority_id", ForeignKey("external_authority.id"), nullable=False, index=True),
    Column("reason", String, nullable=False),
    Column("revoke_time", Instant, nullable=False),
    Column("invalid_time", Instant),
    Column("on_list", Boolean, nullable=False),
    Column("waits", Boolean, nullable=False),
    Column("suspended", Boolean, nullable=False),
    partial("felt_waiting", "card_id", where="waits"),
)
f = felt_revocation.c
WAITS = "felt_revocation.waits"  # as SQLite finds it in the index
HOLD = RevocationReason.CERTIFICATE_HOLD


def of_authority(connection: Connection, authority_id: str) -> Mapping[str, Felt]:
    """What cards have felt of an authority, by their keys."""
    query = select(felt_revocation).where(f.authority_id == authority_id)
    found = [_to_felt(row) for row in rows.read(connection, felt_revocation, query)]
    return {each.key_id: each for each in found}


def of_card(connection: Connection, card_id: str) -> list[Felt]:
    """What a card has felt."""
    query = select(felt_revocation).where(f.card_id == card_id).order_by(f.key_id)
    return [_to_felt(row) for row in rows.read(connection, felt_revocation, query)]


def is_on_hold(connection: Connection, card_id: str) -> bool:
    """Whether an external authority has certificates of a card on hold."""
    return any(each.on_list and each.is_hold for each in of_card(connection, card_id))


def put(connection: Connection, felt: Felt) -> None:
    """Keep what a card feels of a key in place of what it felt before."""
    values = _from_felt(felt)
    if not rows.change(connection, felt_revocation, [f.key_id == felt.key_id], values):
        named = {"key_id": felt.key_id, "card_id": felt.card_id}
        rows.add(connection, felt_revocation, {**named, **values})


def waiting(connection: Connection, most: int) -> Sequence[str]:
    """Cards that have to feel something now, some of many. One that is not in use yet feels a hold
    once it is.
    """
    now = or_(f.reason != HOLD, f.on_list.is_(False), t.card.c.state.in_(IN_USE))
    query = select(f.card_id).join(t.card, t.card.c.id == f.card_id)
    query = query.where(text(WAITS), f.card_id > "", now).distinct().order_by(f.card_id).limit(most)
    return connection.execute(query).scalars().all()


def named(
    connection: Connection, authority: ExternalAuthority, names: Iterable[bytes]
) -> dict[bytes, Felt]:
    """Present keys of an authority's cards, or of those of the one above it, whose certificates
    have come, by the SHA-256 of what names these.
    """
    found, wanted = dict[bytes, Felt](), list(names)
    for at in range(0, len(wanted), MOST):
        query = select(card_csr).where(card_csr.c.named_sha256.in_(wanted[at : at + MOST]))
        for row in rows.read(connection, card_csr, query.where(_present(authority))):
            found[row["named_sha256"]] = _of_csr(row, authority.id)
    return found


def issued(connection: Connection, authority: ExternalAuthority, subject: bytes) -> Iterator[Felt]:
    """Present keys of cards whose certificates an authority of a name, DER, has issued."""
    c, last = card_csr.c, ""
    while True:
        query = select(card_csr).where(_present(authority), c.certificate.is_not(None))
        query = query.where(c.key_id > last).order_by(c.key_id).limit(MOST)
        found = rows.read(connection, card_csr, query)
        for row in found:
            certificate = x509.load_der_x509_certificate(row["certificate"])
            if certificate.issuer.public_bytes() == subject:
                yield _of_csr(row, authority.id)
        if len(found) < MOST:
            return
        last = found[-1]["key_id"]


def _present(authority: ExternalAuthority) -> ColumnElement[bool]:
    """A card that was renewed does not feel what becomes of certificates of before."""
    c, of = card_csr.c, {authority.id, authority.chief_id}
    return and_(c.authority_id.in_(of), c.standing == Standing.PRESENT)


def untouched(connection: Connection, authority_id: str, most: int) -> list[Felt]:
    """Present keys of an authority's cards in use that feel nothing yet, some of many."""
    c = card_csr.c
    active = select(t.card.c.id).where(t.card.c.state == CardState.ACTIVE)
    felt = select(f.key_id).where(f.on_list.is_(True))
    where = and_(c.authority_id == authority_id, c.card_id.in_(active), c.key_id.not_in(felt))
    where = and_(where, c.standing == Standing.PRESENT)
    query = select(card_csr).where(where).order_by(c.key_id).limit(most)
    return [_of_csr(row, authority_id) for row in rows.read(connection, card_csr, query)]


def _of_csr(row: RowMapping, authority_id: str) -> Felt:
    unknown = Revoked(RevocationReason.UNSPECIFIED, row["create_time"])
    return Felt(row["key_id"], row["card_id"], authority_id, unknown)


def _from_felt(felt: Felt) -> Values:
    return {
        "authority_id": felt.authority_id,
        "reason": felt.revoked.reason,
        "revoke_time": felt.revoked.time,
        "invalid_time": felt.revoked.invalid_time,
        "on_list": felt.on_list,
        "waits": felt.waits,
        "suspended": felt.suspended,
    }


@record("revocation of an external authority")
def _to_felt(row: RowMapping) -> Felt:
    known = ("key_id", "card_id", "authority_id", "on_list", "waits", "suspended")
    reason = RevocationReason(row["reason"])
    revoked = Revoked(reason, row["revoke_time"], row["invalid_time"])
    return Felt(revoked=revoked, **{name: row[name] for name in known})

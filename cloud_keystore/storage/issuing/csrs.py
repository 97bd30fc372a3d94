"""Rows of what external authorities are asked to certify, and of what has come from them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Integer,
    LargeBinary,
    RowMapping,
    String,
    and_,
    or_,
    select,
    text,
)

from cloud_keystore.model.cards import CardState
from cloud_keystore.model.pki.external import Csr, Standing
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.indexes import partial
from cloud_keystore.storage.databases.instants import Instant
from cloud_keystore.storage.databases.portions import portions
from cloud_keystore.storage.issuing.est_servers import est_server

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
    # How often the authority was asked by EST, when it is next, why without success, and what to do
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("next_time", Instant),
    Column("why", String, nullable=False, server_default=""),
    Column("fix", String, nullable=False, server_default=""),
    Column("standing", String, nullable=False, server_default=Standing.PRESENT.value),
    partial("card_csr_waiting", "next_time", where="certificate IS NULL"),
    partial("card_csr_by_name", "named_sha256", where="named_sha256 IS NOT NULL", unique=True),
)
c = card_csr.c
NEVER: Values = {"tries": 0, "next_time": None, "why": "", "fix": ""}


def add(connection: Connection, asked: Iterable[Csr]) -> None:
    """Add what is asked for the keys of a new card, or of one that is renewed."""
    for each in asked:
        known = {name: getattr(each, name) for name in Csr.__dataclass_fields__}
        rows.add(connection, card_csr, {**known, "certificate": None})


def find(connection: Connection, public_sha256: bytes) -> Csr | None:
    """What was asked for a public key."""
    row = rows.one(connection, card_csr, public_sha256=public_sha256)
    return None if row is None else _to_csr(row)


def of_card(
    connection: Connection, card_id: str, standing: Standing = Standing.PRESENT
) -> list[Csr]:
    """What was asked for the keys of a card that have this standing; nothing if the keystore has
    certified them.
    """
    query = select(card_csr).where(c.card_id == card_id, c.standing == standing)
    query = query.order_by(c.key_id)
    return [_to_csr(row) for row in rows.read(connection, card_csr, query)]


def asked_for(connection: Connection, key_ids: Iterable[str]) -> set[str]:
    """Those of some keys that an external authority certifies."""
    return {
        row["key_id"]
        for some in portions(key_ids)
        for row in rows.read(connection, card_csr, select(card_csr).where(c.key_id.in_(some)))
    }


def waiting(connection: Connection) -> list[Csr]:
    """What has no certificate yet, of cards that are being issued or renewed, oldest first."""
    query = select(card_csr).where(_waits()).order_by(c.key_id)
    return [_to_csr(row) for row in rows.read(connection, card_csr, query)]


def of_key(connection: Connection, key_id: str) -> Csr | None:
    """What was asked for a key."""
    row = rows.one(connection, card_csr, key_id=key_id)
    return None if row is None else _to_csr(row)


def is_due(connection: Connection, now: datetime) -> bool:
    """Whether `lease` would find anything."""
    return connection.execute(select(c.key_id).where(_due(now)).limit(1)).first() is not None


def lease(connection: Connection, now: datetime, until: timedelta, most: int) -> list[Csr]:
    """What authorities are to be asked for by EST now, at most so much; it is the caller's for some
    time. What somebody else had, whose time has ended, is among them.
    """
    query = select(card_csr).where(_due(now)).order_by(c.next_time, c.key_id).limit(most)
    taken: list[Csr] = []
    for row in rows.authentic(connection, card_csr, query.with_for_update()):
        tries, next_time = row["tries"] + 1, now + until
        rows.rewrite(connection, card_csr, row, {"tries": tries, "next_time": next_time})
        taken.append(replace(_to_csr(row), tries=tries, next_time=next_time))
    return taken


def put_off(
    connection: Connection, key_id: str, tries: int, until: datetime, why: str, fix: str
) -> None:
    """Write down why the last of so many tries had no success, and when to try again; nothing is
    done if somebody else tries by now.
    """
    own = [c.key_id == key_id, c.tries == tries, c.certificate.is_(None)]
    rows.change(connection, card_csr, own, {"next_time": until, "why": why, "fix": fix})


def not_tried(connection: Connection, key_id: str, tries: int) -> None:
    """Take back the last of so many tries, which was none."""
    own = [c.key_id == key_id, c.tries == tries, c.certificate.is_(None)]
    rows.change(connection, card_csr, own, {"tries": tries - 1, "next_time": None})


def begin_anew(connection: Connection, authority_id: str) -> None:
    """Let an authority be asked at once for what it was asked in vain."""
    waiting = [c.authority_id == authority_id, c.certificate.is_(None), c.tries > 0]
    rows.sweep(connection, card_csr, waiting, [c.key_id], NEVER)


def is_named(connection: Connection, named_sha256: bytes) -> bool:
    """Whether a certificate of this issuer and serial number has come before."""
    return rows.one(connection, card_csr, named_sha256=named_sha256) is not None


def receive(connection: Connection, key_id: str, certificate: bytes, named_sha256: bytes) -> None:
    """Keep the certificate of a key."""
    came = {"certificate": certificate, "named_sha256": named_sha256}
    rows.change(connection, card_csr, [c.key_id == key_id], came)


def ask_again(connection: Connection, key_id: str) -> None:
    """Forget a certificate that came and is of no use by now, and ask for another at once."""
    gone: Values = {"certificate": None, "named_sha256": None}
    rows.change(connection, card_csr, [c.key_id == key_id], {**NEVER, **gone})


def succeed(connection: Connection, card_id: str) -> None:
    """Let the next keys of a card be its present ones, and those the former ones."""
    for before, after in (
        (Standing.PRESENT, Standing.FORMER),
        (Standing.NEXT, Standing.PRESENT),
    ):
        own = [c.card_id == card_id, c.standing == before]
        rows.change(connection, card_csr, own, {"standing": after})


def give_up(connection: Connection, card_id: str) -> list[str]:
    """Ask for the next keys of a card no longer; returns which they were."""
    own = [c.card_id == card_id, c.standing == Standing.NEXT]
    given_up = rows.change(connection, card_csr, own, {"standing": Standing.FORMER})
    return [row["key_id"] for row in given_up]


def is_used(connection: Connection, authority_id: str) -> bool:
    """Whether an authority was asked for anything."""
    query = select(c.key_id).where(c.authority_id == authority_id).limit(1)
    return connection.execute(query).first() is not None


def _waits() -> ColumnElement[bool]:
    def of(state: CardState, standing: Standing) -> ColumnElement[bool]:
        such = select(t.card.c.id).where(t.card.c.id == c.card_id, t.card.c.state == state)
        return and_(c.standing == standing, such.exists())

    new = of(CardState.ISSUING, Standing.PRESENT)
    # One that is suspended waits until it is back in use.
    renewed = of(CardState.ACTIVE, Standing.NEXT)
    return and_(c.certificate.is_(None), or_(new, renewed))


def _due(now: datetime) -> ColumnElement[bool]:
    by_est = c.authority_id.in_(select(est_server.c.authority_id))
    return and_(_waits(), by_est, or_(c.next_time.is_(None), c.next_time <= now))


def _to_csr(row: RowMapping) -> Csr:
    known = {name: row[name] for name in Csr.__dataclass_fields__}
    standing = Standing(row["standing"])
    return Csr(**{**known, "certificate": row["certificate"] or b"", "standing": standing})

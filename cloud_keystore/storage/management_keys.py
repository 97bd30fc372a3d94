"""Rows of management keys, of challenges to prove the knowledge of one, and of such proofs."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, func, select

from card_os.piv.names import Cipher
from cloud_keystore.model.management_keys import GUESS_WINDOW
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values

c = t.management_challenge.c
p = t.administrator_proof.c


def set_key(connection: Connection, card_id: str, cipher: Cipher, sealed: bytes) -> None:
    """Give a card a management key, in place of the one before."""
    values: Values = {"algorithm": cipher, "sealed": sealed}
    this = [t.management_key.c.card_id == card_id]
    if not rows.change(connection, t.management_key, this, values):
        rows.add(connection, t.management_key, {"card_id": card_id, **values})


def find_key(connection: Connection, card_id: str) -> tuple[Cipher, bytes] | None:
    """Algorithm and sealed value of a card's management key."""
    row = rows.one(connection, t.management_key, card_id=card_id)
    return None if row is None else (Cipher(row["algorithm"]), row["sealed"])


def add_challenge(
    connection: Connection,
    card_id: str,
    workstation_id: str,
    response_sha256: bytes,
    expire_time: datetime,
) -> None:
    """Keep the response that a challenge expects; it voids the last challenge of this card at this
    workstation.
    """
    connection.execute(
        delete(t.management_challenge).where(
            c.card_id == card_id, c.workstation_id == workstation_id, c.spend_time.is_(None)
        )
    )
    challenge: Values = {
        "card_id": card_id,
        "workstation_id": workstation_id,
        "response_sha256": response_sha256,
        "expire_time": expire_time,
    }
    rows.add(connection, t.management_challenge, challenge)


def spend_challenge(
    connection: Connection, card_id: str, workstation_id: str, now: datetime
) -> tuple[int, bytes] | None:
    """Spend the challenge: of several answers at the same time, exactly one gets its id and the
    hash of the expected response; the others get None.
    """
    open_ = [
        c.card_id == card_id,
        c.workstation_id == workstation_id,
        c.spend_time.is_(None),
        c.expire_time > now,
    ]
    spent = rows.change(connection, t.management_challenge, open_, {"spend_time": now})
    return (spent[0]["id"], spent[0]["response_sha256"]) if spent else None


def forgive(connection: Connection, challenge_id: int) -> None:
    """Do not count a challenge as a guess, because its answer was right."""
    connection.execute(delete(t.management_challenge).where(c.id == challenge_id))


def count_guesses(connection: Connection, card_id: str, now: datetime) -> int:
    """How many challenges of a card were answered lately, without those answered correctly."""
    query = select(func.count()).where(c.card_id == card_id, c.spend_time > now - GUESS_WINDOW)
    return connection.execute(query).scalar_one()


def add_proof(
    connection: Connection, sha256: bytes, card_id: str, workstation_id: str, expire_time: datetime
) -> None:
    proof: Values = {
        "sha256": sha256,
        "card_id": card_id,
        "workstation_id": workstation_id,
        "expire_time": expire_time,
    }
    rows.add(connection, t.administrator_proof, proof)


def has_proof(
    connection: Connection, sha256: bytes, card_id: str, workstation_id: str, now: datetime
) -> bool:
    """Whether the proof holds for this card at this workstation."""
    found = rows.find(
        connection,
        t.administrator_proof,
        p.sha256 == sha256,
        p.card_id == card_id,
        p.workstation_id == workstation_id,
        p.expire_time > now,
    )
    return found is not None


def drop_proofs(connection: Connection, card_id: str, kept_sha256: bytes = b"") -> None:
    """Drop all proofs for a card but the one that is kept, and its open challenges, so that every
    other administrator has to prove the key again. Guesses still count.
    """
    rows.drop(connection, t.administrator_proof, p.card_id == card_id, p.sha256 != kept_sha256)
    connection.execute(
        delete(t.management_challenge).where(c.card_id == card_id, c.spend_time.is_(None))
    )


def drop_proofs_at(connection: Connection, workstation_id: str) -> None:
    """Drop the proofs and open challenges of a workstation, so that nobody administers a card from
    it any more. Guesses still count.
    """
    rows.drop(connection, t.administrator_proof, p.workstation_id == workstation_id)
    connection.execute(
        delete(t.management_challenge).where(
            c.workstation_id == workstation_id, c.spend_time.is_(None)
        )
    )


def drop_expired(connection: Connection, now: datetime) -> None:
    """Delete expired proofs, and challenges that no longer count as guesses."""
    connection.execute(delete(t.administrator_proof).where(p.expire_time <= now))
    # A challenge is answered before it expires.
    counted = c.expire_time > now - GUESS_WINDOW
    connection.execute(delete(t.management_challenge).where(~counted))

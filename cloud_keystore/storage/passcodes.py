"""Rows of passcodes and of the proofs that one was given."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, delete, exists, insert, select, update

from cloud_keystore.model.passcodes import Status
from cloud_keystore.storage import tables as t


def tries_left(connection: Connection, card_id: str, key_ref: int) -> int | None:
    """Tries left of a passcode, or None if none is set."""
    status = find(connection, card_id, key_ref)
    return None if status is None else status.tries_left


def find(connection: Connection, card_id: str, key_ref: int) -> Status | None:
    """Tries, failures and factory mark of a passcode, or None if none is set."""
    query = select(*(t.passcode.c[name] for name in Status.__dataclass_fields__))
    row = connection.execute(query.where(*_is(card_id, key_ref))).mappings().first()
    return None if row is None else Status(**row)


def put(
    connection: Connection,
    card_id: str,
    key_ref: int,
    hashed: str,
    tries: int,
    *,
    factory: bool = False,
) -> None:
    """Give a card a passcode with this number of tries, in place of the one before."""
    connection.execute(delete(t.passcode).where(*_is(card_id, key_ref)))
    connection.execute(
        insert(t.passcode).values(
            card_id=card_id,
            key_ref=key_ref,
            hash=hashed,
            tries_left=tries,
            most_tries=tries,
            factory=factory,
        )
    )


def spend_try(
    connection: Connection, card_id: str, key_ref: int, now: datetime
) -> tuple[str, int] | None:
    """Take one try away, and count a failure; return the hash to compare with and the tries left,
    or None if no try is left.
    """
    spent = connection.execute(
        update(t.passcode)
        .where(*_is(card_id, key_ref), t.passcode.c.tries_left > 0)
        .values(
            tries_left=t.passcode.c.tries_left - 1,
            failures=t.passcode.c.failures + 1,
            fail_time=now,
        )
        .returning(t.passcode.c.hash, t.passcode.c.tries_left)
    ).first()
    return None if spent is None else (spent.hash, spent.tries_left)


def unlock(connection: Connection, card_id: str, key_ref: int) -> None:
    """Give a passcode all its tries again; its failures stay, and the unlock is counted."""
    connection.execute(
        update(t.passcode)
        .where(*_is(card_id, key_ref))
        .values(tries_left=t.passcode.c.most_tries, unlocks=t.passcode.c.unlocks + 1)
    )


def was_right(connection: Connection, card_id: str, key_ref: int, hashed: str) -> int | None:
    """Give a passcode all its tries again and forget its failures, because it was right; return how
    many, or None, with nothing changed, if its hash is no longer the one that was compared.
    """
    restored = connection.execute(
        update(t.passcode)
        .where(*_is(card_id, key_ref), t.passcode.c.hash == hashed)
        .values(tries_left=t.passcode.c.most_tries, failures=0, fail_time=None, unlocks=0)
        .returning(t.passcode.c.tries_left)
    )
    tries: int | None = restored.scalar()
    return tries


def replace(
    connection: Connection, card_id: str, key_ref: int, hashed: str, *, factory: bool
) -> int:
    """Change a passcode, which gets all its tries again, and has no failures; return how many, or 0
    if none is set.
    """
    connection.execute(
        update(t.passcode).where(*_is(card_id, key_ref)).values(hash=hashed, factory=factory)
    )
    return was_right(connection, card_id, key_ref, hashed) or 0


def drop_proofs_at(connection: Connection, workstation_id: str) -> None:
    """Forget all passcodes that were given at a workstation."""
    connection.execute(
        delete(t.passcode_proof).where(t.passcode_proof.c.workstation_id == workstation_id)
    )


def add_proof(
    connection: Connection,
    sha256: bytes,
    card_id: str,
    key_ref: int,
    workstation_id: str,
    expire_time: datetime,
) -> None:
    connection.execute(
        insert(t.passcode_proof).values(
            sha256=sha256,
            card_id=card_id,
            key_ref=key_ref,
            workstation_id=workstation_id,
            expire_time=expire_time,
        )
    )


def use_proof(
    connection: Connection,
    sha256: bytes,
    card_id: str,
    workstation_id: str,
    now: datetime,
    *,
    once: bool,
) -> bool:
    """Whether the proof holds for this card at this workstation; with `once`, for keys that always
    ask for the passcode, it holds only the first time. No proof holds while its passcode is
    blocked.
    """
    proof = t.passcode_proof.c
    conditions = [proof.sha256 == sha256, *_holds(card_id, workstation_id, now)]
    if not once:
        return connection.execute(select(proof.sha256).where(*conditions)).first() is not None
    used = connection.execute(
        update(t.passcode_proof)
        .where(*conditions, proof.signature_time.is_(None))
        .values(signature_time=now)
    )
    return used.rowcount == 1


def is_given(connection: Connection, card_id: str, workstation_id: str, now: datetime) -> bool:
    """Whether some proof of the card holds at the workstation."""
    query = select(t.passcode_proof.c.sha256).where(*_holds(card_id, workstation_id, now))
    return connection.execute(query.limit(1)).first() is not None


def drop_proofs(connection: Connection, card_id: str, key_ref: int | None = None) -> None:
    """Forget that a card's passcodes were given, or only the one of `key_ref`, at all
    workstations.
    """
    proofs = delete(t.passcode_proof).where(t.passcode_proof.c.card_id == card_id)
    if key_ref is not None:
        proofs = proofs.where(t.passcode_proof.c.key_ref == key_ref)
    connection.execute(proofs)


def drop_expired_proofs(connection: Connection, now: datetime) -> None:
    connection.execute(delete(t.passcode_proof).where(t.passcode_proof.c.expire_time <= now))


def _holds(card_id: str, workstation_id: str, now: datetime) -> list[ColumnElement[bool]]:
    proof, passcode = t.passcode_proof.c, t.passcode.c
    open_ = exists().where(
        passcode.card_id == proof.card_id,
        passcode.key_ref == proof.key_ref,
        passcode.tries_left > 0,
    )
    return [
        proof.card_id == card_id,
        proof.workstation_id == workstation_id,
        proof.expire_time > now,
        open_,
    ]


def _is(card_id: str, key_ref: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return t.passcode.c.card_id == card_id, t.passcode.c.key_ref == key_ref

"""Rows of passcodes and of the proofs that one was given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import sha256
from types import MappingProxyType

from sqlalchemy import ColumnElement, Connection, RowMapping, delete, select

from cloud_keystore.model.passcodes import Status
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.databases.portions import portions

CLEARED: Values = MappingProxyType({"failures": 0, "fail_time": None, "unlocks": 0})


def tries_left(connection: Connection, card_id: str, key_ref: int) -> int | None:
    """Tries left of a passcode, or None if none is set."""
    status = find(connection, card_id, key_ref)
    return None if status is None else status.tries_left


def tries_of(connection: Connection, card_ids: Iterable[str], key_ref: int) -> Mapping[str, int]:
    """Tries left of a passcode of some cards, by card; those without one are left out."""
    p = t.passcode.c
    queries = (
        select(t.passcode).where(p.card_id.in_(some), p.key_ref == key_ref)
        for some in portions(card_ids)
    )
    return {
        row["card_id"]: row["tries_left"]
        for query in queries
        for row in rows.read(connection, t.passcode, query)
    }


def find(connection: Connection, card_id: str, key_ref: int) -> Status | None:
    """Tries, failures and factory mark of a passcode, or None if none is set."""
    row = rows.find(connection, t.passcode, *_is(card_id, key_ref))
    known = Status.__dataclass_fields__
    return None if row is None else Status(**{name: row[name] for name in known})


def chosen_on(connection: Connection, card_id: str, key_ref: int) -> str | None:
    """The holder's device on which a passcode was chosen; None if it was somewhere else."""
    row = rows.find(connection, t.passcode, *_is(card_id, key_ref))
    return None if row is None else row["device_id"]


def put(
    connection: Connection,
    card_id: str,
    key_ref: int,
    hashed: str,
    tries: int,
    *,
    factory: bool = False,
    device_id: str | None = None,
) -> None:
    """Give a card a passcode with this number of tries, in place of the one before. `device_id`
    names the holder's device on which it was chosen.
    """
    values: Values = {
        "hash": hashed,
        "tries_left": tries,
        "most_tries": tries,
        "factory": factory,
        "device_id": device_id,
        **CLEARED,
    }
    if not rows.change(connection, t.passcode, _is(card_id, key_ref), values):
        rows.add(connection, t.passcode, {"card_id": card_id, "key_ref": key_ref, **values})


def spend_try(
    connection: Connection, card_id: str, key_ref: int, now: datetime
) -> tuple[str, int, int] | None:
    """Take one try away, and count a failure; return the hash to compare with, the tries left and
    the failures, or None if no try is left.
    """

    def one_less(row: RowMapping) -> Values:
        return {
            "tries_left": row["tries_left"] - 1,
            "failures": row["failures"] + 1,
            "fail_time": now,
        }

    open_ = [*_is(card_id, key_ref), t.passcode.c.tries_left > 0]
    spent = rows.change(connection, t.passcode, open_, one_less)
    if not spent:
        return None
    (row,) = spent
    return row["hash"], row["tries_left"] - 1, row["failures"] + 1


def unlock(connection: Connection, card_id: str, key_ref: int) -> None:
    """Give a passcode all its tries again; its failures stay, and the unlock is counted."""

    def unlocked(row: RowMapping) -> Values:
        return {"tries_left": row["most_tries"], "unlocks": row["unlocks"] + 1}

    rows.change(connection, t.passcode, _is(card_id, key_ref), unlocked)


def leave_one_try(connection: Connection) -> None:
    """Leave at most one try to each passcode."""
    rows.change(connection, t.passcode, [t.passcode.c.tries_left > 1], {"tries_left": 1})


def was_right(connection: Connection, card_id: str, key_ref: int, hashed: str) -> int | None:
    """Give a passcode all its tries again and forget its failures, because it was right; return how
    many, or None, with nothing changed, if its hash is no longer the one that was compared.
    """

    def restored(row: RowMapping) -> Values:
        return {"tries_left": row["most_tries"], **CLEARED}

    same = [*_is(card_id, key_ref), t.passcode.c.hash == hashed]
    found = rows.change(connection, t.passcode, same, restored)
    return int(found[0]["most_tries"]) if found else None


def replace(
    connection: Connection,
    card_id: str,
    key_ref: int,
    hashed: str,
    *,
    factory: bool = False,
    device_id: str | None = None,
) -> int:
    """Change a passcode, which gets all its tries again, and has no failures; return how many, or 0
    if none is set.
    """
    changed: Values = {"hash": hashed, "factory": factory, "device_id": device_id}
    rows.change(connection, t.passcode, _is(card_id, key_ref), changed)
    return was_right(connection, card_id, key_ref, hashed) or 0


def drop_proofs_at(connection: Connection, workstation_id: str, card_id: str | None = None) -> None:
    """Forget all passcodes that were given at a workstation, or only those of a card."""
    p = t.passcode_proof.c
    these = [p.workstation_id == workstation_id]
    if card_id is not None:
        these.append(p.card_id == card_id)
    rows.drop(connection, t.passcode_proof, *these)


def add_proof(
    connection: Connection,
    proof_sha256: bytes,
    card_id: str,
    key_ref: int,
    workstation_id: str,
    expire_time: datetime,
) -> None:
    """Write down that a passcode was given. The proof ends with the passcode."""
    passcode = rows.find(connection, t.passcode, *_is(card_id, key_ref))
    proof: Values = {
        "sha256": proof_sha256,
        "card_id": card_id,
        "key_ref": key_ref,
        "hash_sha256": None if passcode is None else _ground(passcode),
        "workstation_id": workstation_id,
        "expire_time": expire_time,
    }
    rows.add(connection, t.passcode_proof, proof)


def use_proof(
    connection: Connection,
    proof_sha256: bytes,
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
    this = [proof.sha256 == proof_sha256, *_at(card_id, workstation_id, now)]
    found = rows.find(connection, t.passcode_proof, *this)
    if found is None or not _holds(connection, found):
        return False
    unused = [*this, proof.signature_time.is_(None)]
    return not once or bool(
        rows.change(connection, t.passcode_proof, unused, {"signature_time": now})
    )


def is_given(connection: Connection, card_id: str, workstation_id: str, now: datetime) -> bool:
    """Whether some proof of the card holds at the workstation."""
    query = select(t.passcode_proof).where(*_at(card_id, workstation_id, now))
    return any(_holds(connection, row) for row in rows.read(connection, t.passcode_proof, query))


def drop_proofs(connection: Connection, card_id: str, key_ref: int | None = None) -> None:
    """Forget that a card's passcodes were given, or only the one of `key_ref`, at all
    workstations.
    """
    which = [t.passcode_proof.c.card_id == card_id]
    if key_ref is not None:
        which.append(t.passcode_proof.c.key_ref == key_ref)
    rows.drop(connection, t.passcode_proof, *which)


def drop_expired_proofs(connection: Connection, now: datetime) -> None:
    connection.execute(delete(t.passcode_proof).where(t.passcode_proof.c.expire_time <= now))


def _at(card_id: str, workstation_id: str, now: datetime) -> list[ColumnElement[bool]]:
    proof = t.passcode_proof.c
    return [
        proof.card_id == card_id,
        proof.workstation_id == workstation_id,
        proof.expire_time > now,
    ]


def _holds(connection: Connection, proof: RowMapping) -> bool:
    """Whether the passcode of a proof is still the same, and not blocked."""
    passcode = rows.find(connection, t.passcode, *_is(proof["card_id"], proof["key_ref"]))
    return (
        passcode is not None
        and passcode["tries_left"] > 0
        and proof["hash_sha256"] == _ground(passcode)
    )


def _ground(passcode: RowMapping) -> bytes:
    return sha256(passcode["hash"].encode()).digest()


def _is(card_id: str, key_ref: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return t.passcode.c.card_id == card_id, t.passcode.c.key_ref == key_ref

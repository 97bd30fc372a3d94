"""Rows of cards, their data objects and their keys."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import TypeVar, assert_never

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from card_os.piv.names import Algorithm
from card_os.uses import PinPolicy
from cloud_keystore.model.cards import (
    CARD_TRANSITIONS,
    PKCS11,
    SOFTWARE,
    Card,
    CardEvent,
    CardState,
    Destroyed,
    HeldKey,
    Key,
    OnToken,
    Private,
    Sealed,
)
from cloud_keystore.model.errors import CardNotFound, CardNotInUse
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.databases.failures import record

CARD_COLUMNS = tuple(t.card.c[name] for name in Card.__dataclass_fields__)
KEY_COLUMNS = tuple(t.key.c[name] for name in Key.__dataclass_fields__)
HELD_KEY_COLUMNS = (*KEY_COLUMNS, t.key.c.backend, t.key.c.sealed_private, t.key.c.handle)

K = TypeVar("K", bound=Key)


def add(
    connection: Connection,
    card: Card,
    request_id: bytes,
    keys: list[HeldKey],
    objects: Mapping[int, bytes],
) -> None:
    """Add a card with its keys and data objects."""
    connection.execute(
        insert(t.card).values(
            id=card.id,
            serial=card.serial,
            guid=card.guid,
            user_id=card.user_id,
            profile=card.profile,
            state=card.state,
            request_id=request_id,
            create_time=card.create_time,
            expire_time=card.expire_time,
            organisation_id=card.organisation_id,
        )
    )
    for key in keys:
        add_key(connection, key)
    for tag, value in objects.items():
        connection.execute(insert(t.card_object).values(card_id=card.id, tag=tag, value=value))


def add_key(connection: Connection, key: HeldKey) -> None:
    """Add a key; its card must have no key under this reference."""
    known = {name: getattr(key, name) for name in Key.__dataclass_fields__}
    connection.execute(insert(t.key).values({**known, **_from_private(key.private)}))


def find(connection: Connection, card_id: str) -> Card | None:
    return _one(
        connection.execute(select(*CARD_COLUMNS).where(t.card.c.id == card_id)).mappings().first()
    )


def find_by_serial(connection: Connection, serial: str) -> Card | None:
    query = select(*CARD_COLUMNS).where(t.card.c.serial == serial)
    return _one(connection.execute(query).mappings().first())


def named(connection: Connection, serial: str) -> Card:
    """The card with a serial number; raises CardNotFound if there is none."""
    card = find_by_serial(connection, serial)
    if card is None:
        raise CardNotFound(f"there is no card {serial}")
    return card


def in_use(connection: Connection, serial: str) -> Card:
    """The card with a serial number; raises CardNotFound if there is none, CardNotInUse unless it
    is active.
    """
    card = named(connection, serial)
    if card.state is not CardState.ACTIVE:
        raise CardNotInUse(f"card {serial} is {card.state}")
    return card


def find_by_request(connection: Connection, request_id: bytes) -> Card | None:
    query = select(*CARD_COLUMNS).where(t.card.c.request_id == request_id)
    return _one(connection.execute(query).mappings().first())


def list_all(connection: Connection, user_id: str | None = None) -> list[Card]:
    """All cards, or those of one holder, oldest first."""
    query = select(*CARD_COLUMNS).order_by(t.card.c.id)
    if user_id is not None:
        query = query.where(t.card.c.user_id == user_id)
    return [_to_card(row) for row in connection.execute(query).mappings()]


def serials(connection: Connection, ids: Collection[str]) -> Mapping[str, str]:
    """Serial numbers of those cards that have one of some identifiers."""
    query = select(t.card.c.id, t.card.c.serial).where(t.card.c.id.in_(ids))
    return {row.id: row.serial for row in connection.execute(query)}


def key_names(connection: Connection, ids: Collection[str]) -> Mapping[str, str]:
    """References, such as 9A, of those keys that have one of some identifiers."""
    query = select(t.key.c.id, t.key.c.key_ref).where(t.key.c.id.in_(ids))
    return {row.id: f"{row.key_ref:02X}" for row in connection.execute(query)}


def objects(connection: Connection, card_id: str) -> Mapping[int, bytes]:
    """A card's data objects by tag."""
    query = select(t.card_object.c.tag, t.card_object.c.value).where(
        t.card_object.c.card_id == card_id
    )
    return {row.tag: row.value for row in connection.execute(query)}


def written_tags(connection: Connection, card_id: str) -> frozenset[int]:
    """Tags of those data objects of a card that an administrator wrote."""
    query = select(t.card_object.c.tag).where(
        t.card_object.c.card_id == card_id, t.card_object.c.written
    )
    return frozenset(connection.execute(query).scalars())


def put_object(
    connection: Connection, card_id: str, tag: int, value: bytes, *, written: bool
) -> None:
    """Replace a data object's contents; empty contents remove it."""
    this = (t.card_object.c.card_id == card_id, t.card_object.c.tag == tag)
    connection.execute(delete(t.card_object).where(*this))
    if value:
        connection.execute(
            insert(t.card_object).values(card_id=card_id, tag=tag, value=value, written=written)
        )


def keys(connection: Connection, card_id: str) -> list[Key]:
    """The keys on a card, in the order of their references."""
    query = (
        select(*KEY_COLUMNS)
        .where(t.key.c.card_id == card_id, t.key.c.remove_time.is_(None))
        .order_by(t.key.c.key_ref)
    )
    return [_to_key(row) for row in connection.execute(query).mappings()]


def key_under(connection: Connection, card_id: str, key_ref: int) -> Key | None:
    """The key of a card under a reference; None if there is none."""
    return next((key for key in keys(connection, card_id) if key.key_ref == key_ref), None)


def set_guid(connection: Connection, card_id: str, guid: bytes) -> None:
    """Give a card another GUID."""
    connection.execute(update(t.card).where(t.card.c.id == card_id).values(guid=guid))


def set_certificate(connection: Connection, key_id: str, certificate: bytes) -> None:
    """Give a key another certificate."""
    connection.execute(update(t.key).where(t.key.c.id == key_id).values(certificate=certificate))


def move_key(connection: Connection, key_id: str, key_ref: int, pin_policy: PinPolicy) -> None:
    """Put a key under another reference of its card, under which there must be no key."""
    moved = update(t.key).where(t.key.c.id == key_id)
    connection.execute(moved.values(key_ref=key_ref, pin_policy=pin_policy))


def remove_key(connection: Connection, card_id: str, key_ref: int, now: datetime) -> bool:
    """Take a key off its card and erase its private part; False if there is none."""
    removed = connection.execute(
        update(t.key)
        .where(
            t.key.c.card_id == card_id, t.key.c.key_ref == key_ref, t.key.c.remove_time.is_(None)
        )
        .values(sealed_private=None, destroy_time=now, remove_time=now)
    )
    return removed.rowcount == 1


def find_key(connection: Connection, key_id: str) -> HeldKey | None:
    query = select(*HELD_KEY_COLUMNS).where(t.key.c.id == key_id)
    row = connection.execute(query).mappings().first()
    return None if row is None else _to_held_key(row)


def move(connection: Connection, card_id: str, event: CardEvent, reason: str = "") -> bool:
    """Move a card by an event; False if its state does not allow it."""
    moves = {source: to for (source, what), to in CARD_TRANSITIONS.items() if what is event}
    (target,) = set(moves.values())
    values = {"state": target} | ({"reason": reason} if reason else {})
    changed = connection.execute(
        update(t.card).where(t.card.c.id == card_id, t.card.c.state.in_(moves)).values(values)
    )
    return changed.rowcount == 1


def destroy_keys(connection: Connection, card_id: str, now: datetime) -> None:
    """Erase the private parts of a card's keys."""
    connection.execute(
        update(t.key)
        .where(t.key.c.card_id == card_id, t.key.c.destroy_time.is_(None))
        .values(sealed_private=None, destroy_time=now)
    )


def doomed(connection: Connection, card_id: str, key_ref: int | None = None) -> list[HeldKey]:
    """The keys of a card that are not destroyed yet: all, or only the one under a reference."""
    query = select(*HELD_KEY_COLUMNS).where(
        t.key.c.card_id == card_id, t.key.c.destroy_time.is_(None)
    )
    if key_ref is not None:
        query = query.where(t.key.c.key_ref == key_ref, t.key.c.remove_time.is_(None))
    return [_to_held_key(row) for row in connection.execute(query).mappings()]


def left_on_token(connection: Connection) -> list[HeldKey]:
    """Keys that are destroyed in the database, but perhaps not yet in their PKCS#11 token."""
    query = select(*HELD_KEY_COLUMNS).where(
        t.key.c.backend == PKCS11, t.key.c.destroy_time.is_not(None), t.key.c.handle.is_not(None)
    )
    return [_to_held_key(row) for row in connection.execute(query).mappings()]


def forget_handle(connection: Connection, key_id: str) -> bool:
    """Write down that a key is gone from its token; False if that was known already."""
    query = update(t.key).where(t.key.c.id == key_id, t.key.c.handle.is_not(None))
    return connection.execute(query.values(handle=None)).rowcount == 1


def handles(connection: Connection) -> frozenset[bytes]:
    """The handles by which a token finds its keys."""
    query = select(t.key.c.handle).where(t.key.c.backend == PKCS11, t.key.c.handle.is_not(None))
    return frozenset(handle for handle in connection.execute(query).scalars() if handle)


def _one(row: RowMapping | None) -> Card | None:
    return None if row is None else _to_card(row)


@record("card")
def _to_card(row: RowMapping) -> Card:
    if row["profile"] not in PROFILES:
        raise ValueError("no such profile")
    return Card(**{**row, "state": CardState(row["state"])})


@record("key")
def _to_key(row: RowMapping) -> Key:
    return _read(Key, row)


@record("key")
def _to_held_key(row: RowMapping) -> HeldKey:
    return read_held_key(row)


def read_held_key(row: RowMapping, prefix: str = "") -> HeldKey:
    """The key in the columns `HELD_KEY_COLUMNS`, with `prefix` before each name; raises ValueError
    if the row holds what was never written.
    """
    where = (row[f"{prefix}{name}"] for name in ("backend", "sealed_private", "handle"))
    return _read(HeldKey, row, prefix, private=_to_private(*where))


def _read(kind: Callable[..., K], row: RowMapping, prefix: str = "", **more: Private) -> K:
    known = {name: row[f"{prefix}{name}"] for name in Key.__dataclass_fields__}
    known["algorithm"] = Algorithm(known["algorithm"])
    known["pin_policy"] = PinPolicy(known["pin_policy"])
    return kind(**known, **more)


def _to_private(backend: str, sealed: bytes | None, handle: bytes | None) -> Private:
    """Where a private part is, from the three columns that say so; raises ValueError for a
    combination that is never written.
    """
    if sealed is None:
        return Destroyed(handle)
    if backend == SOFTWARE and handle is None:
        return Sealed(sealed)
    if backend == PKCS11 and handle is not None:
        return OnToken(handle, sealed)
    raise ValueError("a private key is nowhere")


def _from_private(private: Private) -> Mapping[str, str | bytes | None]:
    match private:
        case Sealed(sealed):
            return {"backend": SOFTWARE, "sealed_private": sealed, "handle": None}
        case OnToken(handle, mark):
            return {"backend": PKCS11, "sealed_private": mark, "handle": handle}
        case Destroyed():
            raise ValueError("a key that is destroyed is not added")
    assert_never(private)

"""Rows of cards and their keys."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TypeVar, assert_never

from sqlalchemy import Connection, RowMapping, or_, select

from card_os.piv.names import Algorithm
from card_os.piv.sizes import GUID_BYTES
from card_os.uses import PinPolicy
from cloud_keystore.model.cards import (
    CARD_TRANSITIONS,
    LIVE,
    OVER,
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
from cloud_keystore.model.fields.pages import Page
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.databases.failures import record
from cloud_keystore.storage.databases.portions import following, paged, portions
from cloud_keystore.storage.listing.serials import numbered
from cloud_keystore.storage.people import belongs

K = TypeVar("K", bound=Key)


@dataclass(frozen=True, slots=True)
class PastKey:
    """A key, which can have left its card or be destroyed, and the state of the card now."""

    key: Key
    card_state: CardState
    remove_time: datetime | None
    destroy_time: datetime | None


def add(connection: Connection, card: Card, request_id: bytes, keys: list[HeldKey]) -> None:
    """Add a card with its keys."""
    rows.add(connection, t.card, {**asdict(card), "request_id": request_id})
    for key in keys:
        add_key(connection, key)


def add_key(connection: Connection, key: HeldKey) -> None:
    """Add a key; its card must have no key under this reference."""
    known = {name: getattr(key, name) for name in Key.__dataclass_fields__}
    rows.add(connection, t.key, {**known, **from_private(key.private)})


def find(connection: Connection, card_id: str) -> Card | None:
    return _one(rows.one(connection, t.card, id=card_id))


def find_by_serial(connection: Connection, serial: str) -> Card | None:
    return _one(rows.one(connection, t.card, serial=serial))


def named(connection: Connection, serial: str) -> Card:
    """The card with a serial number; raises CardNotFound if there is none."""
    card = find_by_serial(connection, serial)
    if card is None:
        raise missing_card(serial)
    return card


def missing_card(serial: str) -> CardNotFound:
    """What to raise about a card that is not there, or that somebody may not see."""
    return CardNotFound(f"there is no card {serial}")


def in_use(connection: Connection, serial: str) -> Card:
    """The card with a serial number; raises CardNotFound if there is none, CardNotInUse unless it
    is active.
    """
    card = named(connection, serial)
    if card.state is not CardState.ACTIVE:
        raise CardNotInUse(f"card {serial} is {card.state}")
    return card


def find_by_request(connection: Connection, request_id: bytes) -> Card | None:
    return _one(rows.one(connection, t.card, request_id=request_id))


def in_place_of(connection: Connection, card_id: str) -> Card | None:
    """The card that replaces another, or will when it is issued; None if there is none."""
    c = t.card.c
    query = select(t.card).where(c.replaces_id == card_id, c.state.not_in(OVER))
    found = rows.read(connection, t.card, query)
    return _to_card(found[0]) if found else None


def list_all(
    connection: Connection,
    user_id: str | None = None,
    page: Page | None = None,
    within: Collection[str] | None = None,
) -> list[Card]:
    """All cards, or those of one holder, oldest first; or a page of them, by serial number. Or only
    those whose holders belong to some organisations.
    """
    c = t.card.c
    query = paged(select(t.card), c.id if page is None else c.serial, page)
    if within is not None:
        query = query.where(c.user_id.in_(select(t.user.c.id).where(belongs(within))))
    if user_id is not None:
        query = query.where(t.card.c.user_id == user_id)
    return [_to_card(row) for row in rows.read(connection, t.card, query)]


def with_serials(connection: Connection, serials: Iterable[str]) -> list[Card]:
    """The cards that have one of some serial numbers."""
    c = t.card.c
    return [
        _to_card(row)
        for some in portions(serials)
        for row in rows.read(connection, t.card, select(t.card).where(c.serial.in_(some)))
    ]


def of_holders(connection: Connection, user_ids: Iterable[str]) -> list[Card]:
    """The cards of some users, each user's oldest first."""
    c = t.card.c
    return [
        _to_card(row)
        for some in portions(user_ids)
        for row in rows.read(
            connection, t.card, select(t.card).where(c.user_id.in_(some)).order_by(c.id)
        )
    ]


def beginning(connection: Connection, text: str) -> list[Card]:
    """Cards whose serial number, identifier or GUID begins so, oldest first."""
    c = t.card.c
    begins = [numbered(text), c.id.startswith(text, autoescape=True)]
    with suppress(ValueError):
        first, last = (bytes.fromhex(text.ljust(2 * GUID_BYTES, digit)) for digit in "0f")
        begins.append(c.guid.between(first, last))
    query = select(t.card).where(or_(*begins)).order_by(c.id)
    return [_to_card(row) for row in rows.read(connection, t.card, query)]


def holders_by_serial(connection: Connection, text: str) -> set[str]:
    """Identifiers of the holders of cards whose serial number begins so."""
    return set(connection.execute(select(t.card.c.user_id).where(numbered(text))).scalars())


def ending(
    connection: Connection,
    since: tuple[datetime, str],
    before: datetime,
    most: int,
    profile: str = "",
    within: Collection[str] | None = None,
) -> list[Card]:
    """Cards that are issued, not revoked and end before a time, or have ended, the first to end
    first: so many at most of those that follow an end and a serial number; of one profile, or of
    all, and whose holders belong to some organisations, or to any.
    """
    c = t.card.c
    query = (
        select(t.card)
        .where(
            c.state.in_(LIVE),
            following(c.expire_time, c.serial, since),
            c.expire_time < before,
        )
        .order_by(c.expire_time, c.serial)
        .limit(most)
    )
    if profile:
        query = query.where(c.profile == profile)
    if within is not None:
        query = query.join(t.user, t.user.c.id == c.user_id).where(belongs(within))
    return [_to_card(row) for row in rows.read(connection, t.card, query)]


def serials(connection: Connection, ids: Collection[str]) -> Mapping[str, str]:
    """Serial numbers of those cards that have one of some identifiers."""
    queries = (
        select(t.card.c.id, t.card.c.serial).where(t.card.c.id.in_(some)) for some in portions(ids)
    )
    return {row.id: row.serial for query in queries for row in connection.execute(query)}


def key_names(connection: Connection, ids: Collection[str]) -> Mapping[str, str]:
    """References, such as 9A, of those keys that have one of some identifiers."""
    query = select(t.key.c.id, t.key.c.key_ref).where(t.key.c.id.in_(ids))
    return {row.id: f"{row.key_ref:02X}" for row in connection.execute(query)}


def keys(connection: Connection, card_id: str) -> list[Key]:
    """The keys on a card, in the order of their references."""
    query = (
        select(t.key)
        .where(t.key.c.card_id == card_id, t.key.c.remove_time.is_(None))
        .order_by(t.key.c.key_ref)
    )
    return [_to_key(row) for row in rows.read(connection, t.key, query)]


def keys_of(connection: Connection, card_ids: Collection[str]) -> Mapping[str, Sequence[Key]]:
    """The keys on some cards, in the order of their references, by card."""
    found: dict[str, list[Key]] = {}
    query = (
        select(t.key)
        .where(t.key.c.card_id.in_(card_ids), t.key.c.remove_time.is_(None))
        .order_by(t.key.c.key_ref)
    )
    for row in rows.read(connection, t.key, query):
        found.setdefault(row["card_id"], []).append(_to_key(row))
    return found


def keys_after(connection: Connection, key_id: str, most: int) -> list[PastKey]:
    """The next keys of all that there ever were, in the order of their identifiers, so many at
    most; records that are not authentic are passed over.
    """
    query = select(t.key).where(t.key.c.id > key_id).order_by(t.key.c.id).limit(most)
    found = rows.authentic(connection, t.key, query)
    of = select(t.card).where(t.card.c.id.in_({row["card_id"] for row in found}))
    states = {row["id"]: row["state"] for row in rows.authentic(connection, t.card, of)}
    return [
        PastKey(
            _to_key(row), CardState(states[row["card_id"]]), row["remove_time"], row["destroy_time"]
        )
        for row in found
        if row["card_id"] in states
    ]


def key_under(connection: Connection, card_id: str, key_ref: int) -> Key | None:
    """The key of a card under a reference; None if there is none."""
    return next((key for key in keys(connection, card_id) if key.key_ref == key_ref), None)


def set_guid(connection: Connection, card_id: str, guid: bytes) -> None:
    """Give a card another GUID."""
    rows.change(connection, t.card, [t.card.c.id == card_id], {"guid": guid})


def prolong(connection: Connection, card: Card) -> None:
    """Let a card end later, under another GUID."""
    later: Values = {"guid": card.guid, "expire_time": card.expire_time}
    rows.change(connection, t.card, [t.card.c.id == card.id], later)


def set_end(connection: Connection, card_id: str, end: datetime) -> None:
    """Let a card end at another time."""
    rows.change(connection, t.card, [t.card.c.id == card_id], {"expire_time": end})


def set_certificate(connection: Connection, key_id: str, certificate: bytes) -> None:
    """Give a key another certificate."""
    rows.change(connection, t.key, [t.key.c.id == key_id], {"certificate": certificate})


def move_key(connection: Connection, key_id: str, key_ref: int, pin_policy: PinPolicy) -> None:
    """Put a key under another reference of its card, under which there must be no key."""
    moved: Values = {"key_ref": key_ref, "pin_policy": pin_policy}
    rows.change(connection, t.key, [t.key.c.id == key_id], moved)


def remove_key(connection: Connection, card_id: str, key_ref: int, now: datetime) -> bool:
    """Take a key off its card and erase its private part; False if there is none."""
    this = [t.key.c.card_id == card_id, t.key.c.key_ref == key_ref, t.key.c.remove_time.is_(None)]
    removed: Values = {"sealed_private": None, "destroy_time": now, "remove_time": now}
    return bool(rows.change(connection, t.key, this, removed))


def find_key(connection: Connection, key_id: str) -> HeldKey | None:
    row = rows.one(connection, t.key, id=key_id)
    return None if row is None else _to_held_key(row)


def move(connection: Connection, card_id: str, event: CardEvent, reason: str = "") -> bool:
    """Move a card by an event; False if its state does not allow it."""
    moves = {source: to for (source, what), to in CARD_TRANSITIONS.items() if what is event}
    (target,) = set(moves.values())
    values: Values = {"state": target} | ({"reason": reason} if reason else {})
    movable = [t.card.c.id == card_id, t.card.c.state.in_(moves)]
    return bool(rows.change(connection, t.card, movable, values))


def destroy_keys(connection: Connection, card_id: str, now: datetime) -> None:
    """Erase the private parts of a card's keys."""
    left = [t.key.c.card_id == card_id, t.key.c.destroy_time.is_(None)]
    rows.change(connection, t.key, left, {"sealed_private": None, "destroy_time": now})


def doomed(connection: Connection, card_id: str, key_ref: int | None = None) -> list[HeldKey]:
    """The keys of a card that are not destroyed yet: all, or only the one under a reference."""
    query = select(t.key).where(t.key.c.card_id == card_id, t.key.c.destroy_time.is_(None))
    if key_ref is not None:
        query = query.where(t.key.c.key_ref == key_ref, t.key.c.remove_time.is_(None))
    return [_to_held_key(row) for row in rows.read(connection, t.key, query)]


def left_on_token(connection: Connection) -> list[HeldKey]:
    """Keys that are destroyed in the database, but perhaps not yet in their PKCS#11 token; records
    that are not authentic are passed over.
    """
    query = select(t.key).where(
        t.key.c.backend == PKCS11, t.key.c.destroy_time.is_not(None), t.key.c.handle.is_not(None)
    )
    return [_to_held_key(row) for row in rows.authentic(connection, t.key, query)]


def forget_handle(connection: Connection, key_id: str) -> bool:
    """Write down that a key is gone from its token; False if that was known already."""
    there = [t.key.c.id == key_id, t.key.c.handle.is_not(None)]
    return bool(rows.change(connection, t.key, there, {"handle": None}))


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
    known = {name: row[name] for name in Card.__dataclass_fields__}
    return Card(**{**known, "state": CardState(row["state"])})


@record("key")
def _to_key(row: RowMapping) -> Key:
    return _read(Key, row)


def _to_held_key(row: RowMapping) -> HeldKey:
    return to_held_key(row, row["sealed_private"])


@record("key")
def to_held_key(row: RowMapping, sealed: bytes | None) -> HeldKey:
    """A row as a key with its private part, which can have been sealed anew since the row was
    read.
    """
    # A destroyed key stays so, whoever puts back what was sealed.
    kept = sealed if row["destroy_time"] is None else None
    return _read(HeldKey, row, private=_to_private(row["backend"], kept, row["handle"]))


def _read(kind: Callable[..., K], row: RowMapping, **more: Private) -> K:
    known = {name: row[name] for name in Key.__dataclass_fields__}
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


def from_private(private: Private) -> Mapping[str, str | bytes | None]:
    match private:
        case Sealed(sealed):
            return {"backend": SOFTWARE, "sealed_private": sealed, "handle": None}
        case OnToken(handle, mark):
            return {"backend": PKCS11, "sealed_private": mark, "handle": handle}
        case Destroyed():
            raise ValueError("a key that is destroyed is not added")
    assert_never(private)

"""Rows of the card profiles that organisations have defined, and of which of them cards are. A
deleted one keeps its row, for the cards that are over.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Integer,
    RowMapping,
    Select,
    String,
    func,
    select,
)

from cloud_keystore.model.cards import OVER, Card
from cloud_keystore.model.custom.profiles import CustomProfile
from cloud_keystore.model.people import UserState
from cloud_keystore.model.profiles import PROFILES, CardProfile
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.instants import Instant
from cloud_keystore.storage.databases.portions import portions

custom_profile = authentic(
    "custom_profile",
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("organisation_id", String, nullable=False),
    Column("base", String, nullable=False),
    Column("series", String, nullable=False),
    Column("oldest_client", String, nullable=False),
    Column("serial_prefix", String, nullable=False),
    Column("validity_days", Integer, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("end_time", Instant),
)
custom_card = authentic(
    "custom_card",
    Column("card_id", ForeignKey("card.id"), primary_key=True),
    Column("profile_id", ForeignKey("custom_profile.id"), nullable=False, index=True),
)


def add(connection: Connection, profile: CustomProfile) -> None:
    rows.add(connection, custom_profile, asdict(profile))


def change(connection: Connection, profile: CustomProfile) -> None:
    """Give a profile what it says now."""
    rows.change(connection, custom_profile, [custom_profile.c.id == profile.id], asdict(profile))


def find(connection: Connection, profile_id: str) -> CustomProfile | None:
    """The profile with an identifier, unless it was deleted."""
    row = rows.one(connection, custom_profile, id=profile_id)
    return None if row is None or row["end_time"] is not None else _to_profile(row)


def list_all(connection: Connection) -> list[CustomProfile]:
    """All that were not deleted, by name. Records that are not authentic are passed over."""
    return _current(connection)


def named(connection: Connection, name: str) -> list[CustomProfile]:
    """Those of a name, in whichever organisation, as `list_all` has them."""
    return _current(connection, custom_profile.c.name == name)


def of(connection: Connection, organisation_id: str) -> list[CustomProfile]:
    """Those of an organisation, as `list_all` has them."""
    return _current(connection, custom_profile.c.organisation_id == organisation_id)


def add_card(connection: Connection, card_id: str, profile_id: str) -> None:
    """Write down of which profile a new card is."""
    rows.add(connection, custom_card, {"card_id": card_id, "profile_id": profile_id})


def of_card(connection: Connection, card: Card) -> CustomProfile | None:
    """The profile of which a card is, deleted or not; None for a built-in one."""
    row = rows.one(connection, custom_card, card_id=card.id)
    if row is None:
        return None
    found = rows.one(connection, custom_profile, id=row["profile_id"])
    return None if found is None else _to_profile(found)


def made_of(connection: Connection, card: Card) -> CardProfile:
    """What a card was made of, and is renewed by."""
    custom = of_card(connection, card)
    return PROFILES[card.profile] if custom is None else custom.card_profile


def of_cards(connection: Connection, card_ids: Collection[str]) -> Mapping[str, CustomProfile]:
    """The profiles of those of some cards that are of a custom one, by the cards' identifiers.
    Records that are not authentic are passed over.
    """
    c = custom_card.c
    profiles = {
        row["card_id"]: row["profile_id"]
        for some in portions(card_ids)
        for row in rows.authentic(
            connection, custom_card, select(custom_card).where(c.card_id.in_(some))
        )
    }
    if not profiles:
        return {}
    ids = sorted(set(profiles.values()))
    query = select(custom_profile).where(custom_profile.c.id.in_(ids))
    known = {
        row["id"]: _to_profile(row) for row in rows.authentic(connection, custom_profile, query)
    }
    return {card: known[each] for card, each in profiles.items() if each in known}


def count_cards(connection: Connection, profile_ids: Collection[str]) -> Mapping[str, int]:
    """How many cards of some profiles are not over; profiles without one are left out."""
    c = custom_card.c
    query = (
        select(c.profile_id, func.count().label("cards"))
        .join(t.card, t.card.c.id == c.card_id)
        .where(c.profile_id.in_(sorted(profile_ids)), t.card.c.state.not_in(OVER))
        .group_by(c.profile_id)
    )
    return {row.profile_id: row.cards for row in connection.execute(query)}


def count_people(connection: Connection, name: str, within: Collection[str]) -> int:
    """How many people of some organisations have not left, and are to get cards of a name."""
    u = t.user.c
    query = select(func.count()).where(u.profile == name, u.state == UserState.ACTIVE)
    return sum(
        connection.execute(query.where(u.organisation_id.in_(some))).scalar_one()
        for some in portions(within)
    )


def cards_of(name: str) -> Select[tuple[str]]:
    """Identifiers of the cards that are of a profile of a name, whoever has defined it."""
    joined = custom_card.join(custom_profile)
    query = select(custom_card.c.card_id).select_from(joined)
    return query.where(custom_profile.c.name == name)


def delete(connection: Connection, profile: CustomProfile, now: datetime) -> None:
    same = [custom_profile.c.id == profile.id]
    rows.change(connection, custom_profile, same, {"end_time": now})


def _current(connection: Connection, *conditions: ColumnElement[bool]) -> list[CustomProfile]:
    query = select(custom_profile).where(custom_profile.c.end_time.is_(None), *conditions)
    found = rows.authentic(connection, custom_profile, query.order_by(custom_profile.c.name))
    return [_to_profile(row) for row in found]


def _to_profile(row: RowMapping) -> CustomProfile:
    return CustomProfile(**{name: row[name] for name in CustomProfile.__dataclass_fields__})

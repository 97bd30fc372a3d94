"""From whom a phone comes: whether an unlock code counts on it, which its maker knows.

It does where the holder had chosen the very PIN that is replaced; or else where neither the
invitation nor the address to which that was mailed comes from the code's maker. What an operator
does whom the maker has invited, or who has invited the maker, counts as the maker's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto, unique

from sqlalchemy import Connection

from cloud_keystore.model.actors import Actor, ActorKind
from cloud_keystore.model.people import Identity
from cloud_keystore.storage import people


@unique
class Doubt(Enum):
    """Why a code does not count on a phone."""

    OWN = auto()  # its maker can have it
    UNKNOWN = auto()  # it was invited before it was kept who has done that


def doubt(
    connection: Connection, device: Identity, made_by: str, chosen_on: str | None
) -> Doubt | None:
    """Why the code of an operator does not count on a phone of the card's holder, or None if it
    does; `chosen_on` is where the PIN was chosen.
    """
    if chosen_on == device.id:
        return None
    if not device.invited_by:
        return Doubt.UNKNOWN
    maker = str(Actor(ActorKind.OPERATOR, made_by))
    of_maker = set(_line(connection, maker))
    for each in filter(None, [device.invited_by, *device.addressed_by.split("\n")]):
        if each in of_maker or maker in _line(connection, each):
            return Doubt.OWN
    return None


def _line(connection: Connection, actor: str) -> Iterator[str]:
    """An actor, whoever has invited that one, and so on."""
    seen = set[str]()
    while actor and actor not in seen:
        seen.add(actor)
        yield actor
        found = people.find_identity(connection, Actor.parse(actor).id)
        actor = "" if found is None else found.invited_by

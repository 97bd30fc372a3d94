"""What new users get: their 12-digit UUIDs, and whose the addresses are that they have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection

from cloud_keystore.model.actors import Actor
from cloud_keystore.model.clock import Random
from cloud_keystore.model.people import User, new_uuid12
from cloud_keystore.storage import people


def numbered(
    connection: Connection, users: Sequence[User], random: Random, actor: Actor
) -> list[User]:
    """Users whom an actor adds, with UUIDs that nobody has."""
    drawn: dict[str, None] = {}
    while missing := len(users) - len(drawn):
        some = [new_uuid12(random) for _ in range(missing)]
        free = set(some) - people.taken(connection, some)
        drawn |= dict.fromkeys(each for each in some if each in free)
    return [
        replace(user, uuid12=uuid12, email_by=str(actor) if user.email else "")
        for user, uuid12 in zip(users, drawn, strict=True)
    ]

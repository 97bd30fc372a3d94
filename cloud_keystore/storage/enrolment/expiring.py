"""Rows of identities in the order in which they end."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, or_, select

from cloud_keystore.model.people import Identity, IdentityState, Role
from cloud_keystore.model.rights.roles import HOLDERS
from cloud_keystore.storage import people
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.databases.portions import following


def enrolled_until(
    connection: Connection,
    since: tuple[datetime, str],
    before: datetime,
    most: int,
    within: Collection[str] | None,
    staff_within: Collection[str] | None,
) -> list[Identity]:
    """Identities that are not removed and whose certificates end before a time, or have ended, the
    first to end first: so many at most of those that follow an end and an identifier. Of holders
    and workstations of some organisations, and of staff and API clients of some; None: of all.
    """
    i = t.identity.c
    query = (
        select(t.identity)
        .where(
            i.state == IdentityState.ACTIVE,
            following(i.expire_time, i.id, since),
            i.expire_time < before,
            i.role != Role.SEAT,
        )
        .order_by(i.expire_time, i.id)
        .limit(most)
    )
    if within is not None:
        # A subquery, so that the row that is read, and its code, is the identity's alone.
        holders = select(t.user.c.id).where(people.belongs(within)).scalar_subquery()
        placed = (Role.WORKSTATION, Role.SHARED_DEVICE)
        own = or_(i.role.not_in(placed), i.organisation_id.in_(within))
        query = query.where(own, or_(i.role != Role.DEVICE, i.user_id.in_(holders)))
    if staff_within is not None:
        query = query.where(or_(i.role.not_in(HOLDERS), i.organisation_id.in_(staff_within)))
    return [people.to_identity(row) for row in rows.read(connection, t.identity, query)]

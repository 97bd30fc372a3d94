"""Shared devices in lists, a page at a time."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, select

from cloud_keystore.model.fields.pages import Page
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.databases.indexes import has_role, number
from cloud_keystore.storage.people import to_identity


def listed(
    connection: Connection, page: Page | None, within: Collection[str] | None
) -> list[Identity]:
    """The shared devices of some organisations, or of all, oldest first; or a page of them."""
    i = t.identity.c
    query = select(t.identity).where(has_role(i.role, Role.SHARED_DEVICE)).order_by(i.id)
    if within is not None:
        query = query.where(i.organisation_id.in_(within))
    if page is not None:
        query = query.where(i.id > page.after).limit(number(page.size))
    return [to_identity(row) for row in rows.read(connection, t.identity, query)]

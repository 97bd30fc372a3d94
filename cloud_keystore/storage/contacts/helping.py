"""Rows of whom people ask for help, by organisation."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Column, Connection, ForeignKey, String, select

from cloud_keystore.model.rights.holding import upwards
from cloud_keystore.storage import organisations
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.declaring import authentic

# Whoever writes the database must not send people to somebody else.
help_contact = authentic(
    "help_contact",
    Column("organisation_id", ForeignKey("organisation.id"), primary_key=True),
    Column("contact", String, nullable=False),  # empty: that of the organisation above
)


def put(connection: Connection, organisation_id: str, contact: str) -> None:
    """Say whom the people of an organisation ask; empty: as those of the one above it."""
    own = [help_contact.c.organisation_id == organisation_id]
    if not rows.change(connection, help_contact, own, {"contact": contact}):
        values = {"organisation_id": organisation_id, "contact": contact}
        rows.add(connection, help_contact, values)


def own_contacts(connection: Connection) -> Mapping[str, str]:
    """What organisations say themselves, by organisation. Records that are not authentic are passed
    over.
    """
    found = rows.authentic(connection, help_contact, select(help_contact))
    return {row["organisation_id"]: row["contact"] for row in found if row["contact"]}


def contact_of(connection: Connection, organisation_id: str) -> str:
    """Whom the people of an organisation ask: what it says, or the nearest above it that says
    anything; empty if none does.
    """
    said = own_contacts(connection)
    if not said:
        return ""
    above = organisations.parents(connection)
    return next((said[each] for each in upwards(organisation_id, above) if each in said), "")

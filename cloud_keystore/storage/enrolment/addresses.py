"""Who has given the e-mail addresses to which invitations are mailed."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, RowMapping

from cloud_keystore.model.people import IdentityState, User
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values


def given(connection: Connection, user: User, by: str) -> str:
    """Write down, at a user's invitations that are open, that an actor has given the address, to
    which they can be mailed now. Returns who has given it: nobody, if there is none any more.
    """
    if not user.email:
        return ""
    i = t.identity.c
    _note(connection, [i.user_id == user.id, i.state == IdentityState.INVITED], by)
    return by


def reached(connection: Connection, identity_id: str, by: str) -> None:
    """Write down, at an invitation, that an actor could follow it."""
    _note(connection, [t.identity.c.id == identity_id], by)


def _note(connection: Connection, which: list[ColumnElement[bool]], by: str) -> None:
    def one_more(row: RowMapping) -> Values:
        known = dict.fromkeys([*row["addressed_by"].split("\n"), by])
        return {"addressed_by": "\n".join(filter(None, known))}

    rows.change(connection, t.identity, which, one_more)

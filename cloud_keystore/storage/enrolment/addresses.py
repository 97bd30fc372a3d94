"""Who has given the e-mail addresses to which invitations are mailed."""

from __future__ import annotations

from sqlalchemy import Connection, RowMapping

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

    def one_more(row: RowMapping) -> Values:
        known = dict.fromkeys([*row["addressed_by"].split("\n"), by])
        return {"addressed_by": "\n".join(filter(None, known))}

    i = t.identity.c
    invited = [i.user_id == user.id, i.state == IdentityState.INVITED]
    rows.change(connection, t.identity, invited, one_more)
    return by

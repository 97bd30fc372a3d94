"""Which operator a person is who logs in by something that an RA manager has said to be theirs: a
card, or what an OpenID provider knows of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection

from cloud_keystore.model.directories.groups import OperatorPerson
from cloud_keystore.model.errors import TokenRejected
from cloud_keystore.model.people import Identity, Role, UserState
from cloud_keystore.model.rights.holding import upwards
from cloud_keystore.storage import organisations, people
from cloud_keystore.storage.rights import assignments


def one_of(
    connection: Connection, said: Iterable[OperatorPerson], now: datetime, nobody: str, several: str
) -> Identity:
    """The one operator of whom something that was said holds; raises TokenRejected, with `nobody`
    or `several`.

    Whoever has said it may do everything in an organisation, and lets the person do whatever the
    operator may: that counts only if the operator may do nothing anywhere else.
    """
    found = [
        operator for each in said if (operator := _operator(connection, each, now)) is not None
    ]
    if not found:
        raise TokenRejected(nobody)
    if len(found) > 1:
        raise TokenRejected(several)
    return found[0]


def _operator(connection: Connection, said: OperatorPerson, now: datetime) -> Identity | None:
    """The operator of whom it was said, if it holds."""
    if said.until_time is not None and said.until_time <= now:
        return None
    user = people.find_user(connection, said.user_id)
    if user is None or user.state is UserState.CLOSED:
        return None
    operator = people.find_identity(connection, said.identity_id)
    if operator is None or operator.role is not Role.OPERATOR or not operator.is_active(now):
        return None
    return operator if _is_within(connection, operator, said.organisation_id, now) else None


def _is_within(connection: Connection, operator: Identity, place: str, now: datetime) -> bool:
    """Whether all roles of an operator are in an organisation and below it."""
    parents = organisations.parents(connection)
    return all(
        place in upwards(each.organisation_id, parents)
        for each in assignments.of(connection, operator)
        if not each.has_ended(now)
    )

"""Roles that groups of directories give: to operators of whom an RA manager has said which person
they are, by mappings that an operator has made who may grant the role. What somebody has granted or
withdrawn by hand stays.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection

from cloud_keystore.audit.acting import Acting
from cloud_keystore.model import people as model
from cloud_keystore.model.clock import Random, new_id
from cloud_keystore.model.directories.groups import GivenRole, GroupMapping, OperatorPerson
from cloud_keystore.model.people import Identity, IdentityState, UserState
from cloud_keystore.model.rights.holding import upwards
from cloud_keystore.model.rights.roles import Assignment
from cloud_keystore.people import roles
from cloud_keystore.storage import organisations, people
from cloud_keystore.storage.directories import groups, mappings
from cloud_keystore.storage.rights import assignments


def settle(by: Acting, random: Random, users: Collection[str] | None = None) -> None:
    """Give the operators who are some persons, or any, the roles of the groups in which these are
    now, and take those that no group gives any more. Raises LastOperator.
    """
    for person in mappings.persons(by.connection, users):
        identity = people.find_identity(by.connection, person.identity_id)
        if identity is None or identity.state is IdentityState.REMOVED:
            continue
        wanted = {each.id: each for each in _wanted(by, person, identity)}
        given = mappings.given_to(by.connection, identity.id)
        for each in given:
            if each.mapping_id not in wanted:
                take(by, each)
        for mapping_id in sorted(wanted.keys() - {each.mapping_id for each in given}):
            _give(by, wanted[mapping_id], person, identity, random)


def take_all(by: Acting, user_id: str) -> None:
    """Take what groups have given to the operators who are a person: the person has left. Raises
    LastOperator.
    """
    for person in mappings.persons(by.connection, [user_id]):
        for each in mappings.given_to(by.connection, person.identity_id):
            take(by, each)


def take(by: Acting, given: GivenRole, *, forget: bool = False) -> None:
    """End a role that a group has given. One that somebody has withdrawn by hand is remembered, so
    that no group gives it again, unless it is to be forgotten. Raises LastOperator.
    """
    connection = by.connection
    found = assignments.find(connection, given.assignment_id)
    identity = people.find_identity(connection, given.identity_id)
    has_ended = found is None or identity is None or found.has_ended(by.now)
    if found is not None and identity is not None and not has_ended:
        roles.end(connection, found, identity, by.now, by.actor)
    if forget or not has_ended:
        mappings.take(connection, given.assignment_id)


def _give(
    by: Acting, mapping: GroupMapping, person: OperatorPerson, identity: Identity, random: Random
) -> None:
    ends = [end for end in (mapping.until_time, person.until_time) if end is not None]
    granted = Assignment(
        id=new_id(by.now, random),
        identity_id=identity.id,
        role=mapping.role,
        organisation_id=mapping.organisation_id,
        from_time=by.now,
        until_time=min(ends, default=None),
        granted_by=str(by.actor),
        create_time=by.now,
    )
    about = {"mapping": mapping.id, "group": mapping.name, "directory": mapping.client_id}
    roles.put(by.connection, granted, identity, by.actor, about)
    mappings.give(by.connection, GivenRole(granted.id, mapping.id, identity.id))


def _wanted(by: Acting, person: OperatorPerson, identity: Identity) -> list[GroupMapping]:
    """The mappings by which an operator has roles now: nobody has one by a mapping of their own."""
    connection = by.connection
    user = people.find_user(connection, person.user_id)
    if user is None or user.state is UserState.CLOSED or identity.role is not model.Role.OPERATOR:
        return []
    known = [
        each
        for each in mappings.list_all(connection)
        if _counts(connection, each, person)
        and each.mapped_by != str(identity.actor)
        and not _is_over(each, by.now)
        and not _is_over(person, by.now)
    ]
    found = groups.of_user(connection, user.id, {each.client_id for each in known})
    return [each for each in known if any(each.means(group) for group in found)]


def _counts(connection: Connection, mapping: GroupMapping, person: OperatorPerson) -> bool:
    """Whether a mapping is for the organisation where the operator is known, or below it."""
    above = upwards(mapping.organisation_id, organisations.parents(connection))
    return person.organisation_id in above


def _is_over(said: GroupMapping | OperatorPerson, now: datetime) -> bool:
    return said.until_time is not None and said.until_time <= now


def in_force(by: Acting, given: Collection[GivenRole]) -> int:
    """How many of some roles have not ended."""
    found = (assignments.find(by.connection, each.assignment_id) for each in given)
    return sum(each is not None and each.is_in_force(by.now) for each in found)

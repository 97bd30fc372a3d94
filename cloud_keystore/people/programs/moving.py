"""Groups that give roles in an organisation give them in another one, into which it is migrated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cloud_keystore.audit.acting import Acting
from cloud_keystore.model.clock import Random, new_id
from cloud_keystore.model.directories.groups import GroupMapping, OperatorPerson
from cloud_keystore.model.errors import IdentityNotFound, InvalidInput, NotAllowed
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.model.rights.requests import HighRisk
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.people import roles
from cloud_keystore.people.programs import giving, operators
from cloud_keystore.people.programs import mappings as mapping
from cloud_keystore.storage import people
from cloud_keystore.storage.directories import mappings
from cloud_keystore.storage.rights import custom_roles

SECOND = "another operator has to approve it there (cloudcard ra directory {word})"


@dataclass(frozen=True, slots=True)
class Groups:
    """What can be moved of an organisation's groups, and why the rest stays."""

    mappings: Sequence[GroupMapping]
    persons: Sequence[tuple[OperatorPerson, Identity]]
    kept: Sequence[str]


def movable(by: Acting, organisation_id: str, to: str) -> Groups:
    """The mappings of groups in an organisation that the actor could make in the other one; and
    the operators of whom the actor could say there which person they are.
    """
    kept: list[str] = []
    found: list[GroupMapping] = []
    persons: list[tuple[OperatorPerson, Identity]] = []
    own = [
        each for each in mappings.list_all(by.connection) if each.organisation_id == organisation_id
    ]
    called = custom_roles.names(by.connection, {each.role for each in own})
    for each in own:
        name = called.get(each.role, each.role)
        if why := _why_kept(by, each, name, to):
            kept.append(f"group {each.name} with the role {name}: {why}")
        else:
            found.append(each)
    for said in mappings.persons(by.connection):
        operator = people.find_identity(by.connection, said.identity_id)
        if said.organisation_id != organisation_id or operator is None:
            continue
        if why := _why_unsaid(by, operator, to):
            kept.append(f"person of the operator {operator.display_name}: {why}")
        else:
            persons.append((said, operator))
    return Groups(found, persons, kept)


def given(by: Acting, organisation_id: str) -> frozenset[str]:
    """The roles that groups have given in an organisation: they go and stay with the mappings."""
    return frozenset(
        each.assignment_id
        for made in mappings.list_all(by.connection)
        if made.organisation_id == organisation_id
        for each in mappings.given_by(by.connection, made.id)
    )


def move(by: Acting, groups: Groups, to: str, random: Random) -> None:
    """Let the groups give their roles in another organisation, all at once, so that nobody is
    without these. Raises LastOperator.
    """
    connection = by.connection
    for gone in groups.mappings:
        mapping.drop(by, gone)
        made = replace(
            gone,
            id=new_id(by.now, random),
            organisation_id=to,
            mapped_by=str(by.actor),
            create_time=by.now,
        )
        same = mapping.terms_of(made)
        there = mappings.of_client(connection, made.client_id)
        if all(mapping.terms_of(each) != same for each in there):
            mappings.add(connection, made)
            mapping.tell(by, Kind.GROUP_MAPPED, made)
    for said, operator in groups.persons:
        mappings.forget(connection, operator.id)
        operators.tell(by, Kind.OPERATOR_FORGOTTEN, said, operator)
        moved = replace(
            said,
            id=new_id(by.now, random),
            organisation_id=to,
            said_by=str(by.actor),
            create_time=by.now,
        )
        mappings.identify(connection, moved)
        operators.tell(by, Kind.OPERATOR_IDENTIFIED, moved, operator)
    if groups.mappings or groups.persons:
        giving.settle(by, random)


def _why_kept(by: Acting, made: GroupMapping, name: str, to: str) -> str:
    """Why a mapping stays where it is; empty if it can be made in the other organisation."""
    if by.is_high_risk({HighRisk.GRANT_ROLE}, to):
        return SECOND.format(word="map")
    try:
        mapping.directory(by, made.client_id)
        there = roles.grantable(by, name, Role.OPERATOR, to)
        there.check_end(made.until_time, to)
    except (IdentityNotFound, InvalidInput, NotAllowed) as refused:
        return str(refused)
    return "" if there.id == made.role else "that is another role there"


def _why_unsaid(by: Acting, operator: Identity, to: str) -> str:
    if by.is_high_risk({HighRisk.GRANT_ROLE}, to):
        return SECOND.format(word="operator")
    try:
        roles.check_other(operator.id, by.actor)
    except InvalidInput as refused:
        return str(refused)
    if not all(by.held.has(each, to) for each in Right):
        return "whoever has all rights there says it (cloudcard ra directory operator)"
    return ""

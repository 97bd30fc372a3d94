"""Which roles groups of directories give. Whoever maps a group may grant the role there, and by
that approves each grant which follows from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cloud_keystore.audit import acting, entries, journal
from cloud_keystore.audit.acting import Acting
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.directories.groups import (
    LONGEST_GROUP_NAME,
    MOST_MAPPINGS,
    GroupMapping,
    NamedBy,
)
from cloud_keystore.model.errors import IdentityNotFound, InvalidInput, MappingNotFound
from cloud_keystore.model.fields.texts import text_field
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import Identity, IdentityState, Role
from cloud_keystore.model.rights.requests import Action, Deed, HighRisk, Second
from cloud_keystore.model.rights.roles import RIGHTS, Right
from cloud_keystore.people import roles
from cloud_keystore.people.programs import giving
from cloud_keystore.people.roles import Grantable
from cloud_keystore.storage import organisations, people
from cloud_keystore.storage.directories import mappings
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.rights import custom_roles


@dataclass(frozen=True, slots=True)
class WantedMapping:
    """A mapping to be made: of a directory's group, by its name or by its identifier there."""

    client_id: str
    named_by: str
    name: str
    role: str
    organisation_id: str = ""
    until_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class MappingListing:
    """A mapping as lists show it, with how many operators have the role by it."""

    mapping: GroupMapping
    client_name: str
    role_name: str
    organisation_name: str
    operators: int


@dataclass(frozen=True, slots=True)
class Mappings:
    """Maps groups to roles. `second` is who approves what is done."""

    database: Database
    clock: Clock
    random: Random
    second: Second | None = None

    def map_group(self, wanted: WantedMapping, *, actor: Actor) -> MappingListing:
        """Let the members of a group have a role, for as long as the actor has its rights, at most.
        Who repeats this maps nothing more. Raises InvalidInput, IdentityNotFound,
        OrganisationNotFound, NotAllowed, LastOperator.
        """
        now = self.clock()
        named_by = _named_by(wanted.named_by)
        name = text_field("group", wanted.name, LONGEST_GROUP_NAME)
        if wanted.until_time is not None and wanted.until_time <= now:
            raise InvalidInput("until_time is past: give a later one")
        with acting.changing(self.database, actor, now) as by:
            place = by.place(Right.ROLES, wanted.organisation_id)
            client = directory(by, wanted.client_id)
            role = roles.grantable(by, wanted.role, Role.OPERATOR, place)
            role.check_end(wanted.until_time, place)
            own, until = new_id(now, self.random), wanted.until_time
            made = GroupMapping(
                own, client.id, named_by, name, role.id, place, until, str(actor), now
            )
            there = mappings.of_client(by.connection, client.id)
            for each in there:
                if terms_of(each) == terms_of(made):
                    return _listing(by, each)
            if len(there) >= MOST_MAPPINGS:
                raise InvalidInput(
                    f"group is one too many: a directory has {MOST_MAPPINGS} mappings "
                    "(cloudcard ra directory unmap)"
                )
            by.need_second({HighRisk.GRANT_ROLE}, _deed(made, role), self.second)
            mappings.add(by.connection, made)
            tell(by, Kind.GROUP_MAPPED, made)
            giving.settle(by, self.random)
            return _listing(by, made)

    def list_all(self, *, actor: Actor) -> list[MappingListing]:
        """The mappings to roles that the actor could grant where they hold, oldest first."""
        with acting.looking(self.database, actor, self.clock()) as by:
            by.need_somewhere(Right.ROLES)
            return [
                _listing(by, each)
                for each in mappings.list_all(by.connection)
                if by.held.has(Right.ROLES, each.organisation_id)
            ]

    def unmap(self, mapping_id: str, *, actor: Actor) -> MappingListing:
        """Remove a mapping, and end the roles that it has given. Raises MappingNotFound,
        NotAllowed, LastOperator.
        """
        with acting.changing(self.database, actor, self.clock()) as by:
            found = mappings.find(by.connection, mapping_id)
            if found is None or not by.held.has(Right.ROLES, found.organisation_id):
                raise MappingNotFound("there is no such mapping: cloudcard ra directory mappings")
            listing = _listing(by, found)
            drop(by, found)
        return listing


def drop(by: Acting, mapping: GroupMapping) -> None:
    """Remove a mapping, with what it has given. Raises LastOperator."""
    for each in mappings.given_by(by.connection, mapping.id):
        giving.take(by, each, forget=True)
    mappings.drop(by.connection, mapping.id)
    tell(by, Kind.GROUP_UNMAPPED, mapping)


def directory(by: Acting, client_id: str) -> Identity:
    """A directory that the actor sees; raises IdentityNotFound."""
    found = people.find_identity(by.connection, client_id)
    if (
        found is None
        or found.role is not Role.CLIENT
        or found.state is IdentityState.REMOVED
        or not by.sees_identity(found)
    ):
        raise IdentityNotFound("there is no such API client: cloudcard ra client list")
    return found


def _named_by(text: str) -> NamedBy:
    try:
        return NamedBy(text)
    except ValueError:
        raise InvalidInput(f"named_by is {text[:32]!r}: give one of {', '.join(NamedBy)}") from None


def terms_of(mapping: GroupMapping) -> dict[str, str]:
    """What makes a mapping, as the journal and requests have it."""
    terms = {
        "directory": mapping.client_id,
        "named_by": mapping.named_by.value,
        "group": mapping.name,
        "role": mapping.role,
        "organisation": mapping.organisation_id,
    }
    return terms | ({} if mapping.until_time is None else {"until": mapping.until_time.isoformat()})


def _deed(mapping: GroupMapping, role: Grantable) -> Deed:
    custom = {} if role.id in RIGHTS else {"role_name": role.name}
    terms = {**terms_of(mapping), **custom}
    return Deed(Action.MAP_GROUP, Right.ROLES, mapping.organisation_id, mapping.name, terms)


def tell(by: Acting, kind: Kind, mapping: GroupMapping) -> None:
    """Write into the journal what was done with a mapping."""
    said = {"mapping": mapping.id, **terms_of(mapping)}
    if mapping.role not in RIGHTS:
        name = custom_roles.names(by.connection, [mapping.role]).get(mapping.role, mapping.role)
        said |= {"role": name, "role_id": mapping.role}
    journal.append(by.connection, entries.about_keystore(kind, by.now, by.actor, said))


def _listing(by: Acting, mapping: GroupMapping) -> MappingListing:
    connection = by.connection
    given = mappings.given_by(connection, mapping.id)
    return MappingListing(
        mapping=mapping,
        client_name=people.names(connection, [mapping.client_id]).get(mapping.client_id, ""),
        role_name=custom_roles.names(connection, [mapping.role]).get(mapping.role, mapping.role),
        organisation_name=organisations.name(connection, mapping.organisation_id),
        operators=giving.in_force(by, given),
    )

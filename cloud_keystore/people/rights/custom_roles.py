"""Roles that organisations define for themselves: there and below, and never with more rights than
whoever defines them has.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from cloud_keystore.audit import acting, entries, journal
from cloud_keystore.audit.acting import Acting
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.errors import (
    BuiltInRole,
    InvalidInput,
    NotAllowed,
    RoleExists,
    RoleGranted,
    RoleNotFound,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import IdentityState
from cloud_keystore.model.rights.custom import (
    MOST_ROLES,
    CustomRole,
    role_name,
    role_rights,
    spelled,
)
from cloud_keystore.model.rights.holding import upwards
from cloud_keystore.model.rights.requests import Action, Deed, HighRisk, Second
from cloud_keystore.model.rights.roles import RIGHTS, Right
from cloud_keystore.people.roles import WHEN, RoleListing, custom_listing, soonest_end
from cloud_keystore.storage import organisations, people
from cloud_keystore.storage.directories import mappings
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.rights import assignments, custom_roles

MOST_NAMED = 10  # of those who have a role


@dataclass(frozen=True, slots=True)
class CustomRoles:
    """Defines, changes and deletes roles. What is changed holds at once, for all who have one.
    `second` is who approves what is done.
    """

    database: Database
    clock: Clock
    random: Random
    second: Second | None = None

    def define(
        self, name: str, rights: Collection[str], organisation_id: str = "", *, actor: Actor
    ) -> RoleListing:
        """Define a role for an organisation and those below it.

        Raises InvalidInput, OrganisationNotFound, NotAllowed, RoleExists.
        """
        now = self.clock()
        name, wanted = role_name(name), role_rights(rights)
        with acting.changing(self.database, actor, now) as by:
            place = by.place(Right.ROLES, organisation_id)
            _need_all(by, wanted, place)
            role = CustomRole(new_id(now, self.random), name, place, wanted, now)
            _check_free(by.connection, role)
            custom_roles.add(by.connection, role)
            said = {**_facts(role), "rights": spelled(wanted)}
            told = entries.about_keystore(Kind.ROLE_DEFINED, now, actor, said)
            journal.append(by.connection, told)
            return _listing(by, role)

    def change(
        self, role_id: str, name: str | None, rights: Collection[str], *, actor: Actor
    ) -> RoleListing:
        """Give a role another name, or other rights; None, and no rights, keep what there is.

        Raises RoleNotFound, BuiltInRole, InvalidInput, NotAllowed, RoleExists.
        """
        now = self.clock()
        with acting.changing(self.database, actor, now) as by:
            role = changed = _named(by, role_id)
            if name is not None and name != role.name:
                changed = replace(changed, name=role_name(name))
                _check_free(by.connection, changed)
            if rights:
                changed = replace(changed, rights=role_rights(rights))
            if changed == role:
                return _listing(by, role)
            added = changed.rights - role.rights
            # People grant by names: who gives a role another one decides what they hand out.
            needed = added if changed.name == role.name else changed.rights | role.rights
            _need_all(by, needed, role.organisation_id)
            if actor.id in _holders(by.connection, role, now):
                raise NotAllowed(
                    f"you have the role {role.name}, and nobody changes their own: ask another RA "
                    "manager",
                    Right.ROLES,
                    role.organisation_id,
                )
            _check_ends(by, role, added, now)
            if added:
                terms = {"role": role.id, "name": changed.name, "rights": spelled(changed.rights)}
                at = role.organisation_id
                wanted = Deed(Action.CHANGE_ROLE, Right.ROLES, at, role.name, terms)
                by.need_second({HighRisk.GRANT_ROLE}, wanted, self.second)
            custom_roles.change(by.connection, changed)
            said = _facts(role)
            if changed.name != role.name:
                said |= {"old_role": role.name, "role": changed.name}
            if changed.rights != role.rights:
                said |= {"old_rights": spelled(role.rights), "rights": spelled(changed.rights)}
            told = entries.about_keystore(Kind.ROLE_CHANGED, now, actor, said)
            journal.append(by.connection, told)
            return _listing(by, changed)

    def delete(self, role_id: str, *, actor: Actor) -> RoleListing:
        """Delete a role that nobody has, now or later.

        Raises RoleNotFound, BuiltInRole, NotAllowed, RoleGranted.
        """
        now = self.clock()
        with acting.changing(self.database, actor, now) as by:
            role = _named(by, role_id)
            if holders := sorted(_holders(by.connection, role, now).values()):
                named = ", ".join(holders[:MOST_NAMED])
                more = f" and {len(holders) - MOST_NAMED} more" if holders[MOST_NAMED:] else ""
                raise RoleGranted(
                    f"{role.name} is granted to {named}{more}: withdraw it first "
                    f"(cloudcard ra role withdraw WHO {role.name})"
                )
            if mapped := mappings.of_role(by.connection, role.id):
                raise RoleGranted(
                    f"the group {mapped[0].name} of a directory gives {role.name}: remove that "
                    "first (cloudcard ra directory unmap)"
                )
            custom_roles.end(by.connection, role, now)
            said = {**_facts(role), "rights": spelled(role.rights)}
            told = entries.about_keystore(Kind.ROLE_DELETED, now, actor, said)
            journal.append(by.connection, told)
            return _listing(by, role)


def _named(by: Acting, role_id: str) -> CustomRole:
    """A role that the actor may change; raises RoleNotFound, BuiltInRole, NotAllowed."""
    if role_id in RIGHTS:
        by.need_somewhere(Right.ROLES)
        raise BuiltInRole(
            f"{role_id} is built in: nobody changes, renames or deletes it. Define one of your "
            "own: cloudcard ra role create"
        )
    found = custom_roles.find(by.connection, role_id)
    if found is None or not by.held.sees_of(found.organisation_id):
        raise RoleNotFound("there is no such role: cloudcard ra role list")
    by.need(Right.ROLES, found.organisation_id)
    return found


def _need_all(by: Acting, rights: Collection[Right], organisation_id: str) -> None:
    """Raise NotAllowed for a right that the actor does not have: nobody hands out more."""
    for each in sorted(rights):
        by.need(each, organisation_id)


def _check_ends(by: Acting, role: CustomRole, added: Collection[Right], now: datetime) -> None:
    """Raise NotAllowed if somebody who has a role would get a right for longer than the actor has
    it.
    """
    right, end = soonest_end(by, added, role.organisation_id)
    if right is None or end is None:
        return
    ends = [
        each.until_time
        for each in assignments.with_role(by.connection, role.id)
        if not each.has_ended(now)
    ]
    ends += [each.until_time for each in mappings.of_role(by.connection, role.id)]
    for each in ends:
        if each is None or each > end:
            raise NotAllowed(
                f"you have the right {right.value!r} until {end:{WHEN}}, and others have the role "
                f"{role.name} for longer: ask another RA manager",
                right,
                role.organisation_id,
            )


def _check_free(connection: Connection, role: CustomRole) -> None:
    """Raise RoleExists for a name that another role has in the same organisation, above it or below
    it, and InvalidInput if the organisation has enough. So a name says which role is meant.
    """
    parents = organisations.parents(connection)
    above = set(upwards(role.organisation_id, parents))
    for each in custom_roles.named(connection, role.name):
        below = role.organisation_id in upwards(each.organisation_id, parents)
        if each.id != role.id and (below or each.organisation_id in above):
            where = organisations.name(connection, each.organisation_id)
            raise RoleExists(f"{where} has a role {role.name} already: give another name")
    own = custom_roles.of(connection, [role.organisation_id])
    if sum(each.id != role.id for each in own) >= MOST_ROLES:
        raise InvalidInput(f"name is one too many: an organisation defines {MOST_ROLES} roles")


def _holders(connection: Connection, role: CustomRole, now: datetime) -> dict[str, str]:
    """Who has a role, or will have it, with their names."""
    ids = {
        each.identity_id
        for each in assignments.with_role(connection, role.id)
        if not each.has_ended(now)
    }
    found = people.with_identity_ids(connection, ids)
    return {each.id: each.display_name for each in found if each.state is not IdentityState.REMOVED}


def _listing(by: Acting, role: CustomRole) -> RoleListing:
    return custom_listing(role, organisations.name(by.connection, role.organisation_id))


def _facts(role: CustomRole) -> dict[str, str]:
    return {"role": role.name, "role_id": role.id, "organisation": role.organisation_id}

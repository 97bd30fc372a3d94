"""Workstations, operators and auditors for the registration authority, which lists them, and
removes those that are lost, compromised or no longer in office. Holders' devices are in `devices`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from cloud_keystore.audit import acting, entries, journal
from cloud_keystore.audit.acting import Acting
from cloud_keystore.custody.use.closing import close_workstation, end_seats
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import IdentityNotFound
from cloud_keystore.model.fields.software import Contact
from cloud_keystore.model.fields.texts import LONGEST_DISPLAY_NAME, text_field
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.organisations import ROOT
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.model.sharing.seats import Why
from cloud_keystore.notify.wakeups import Wake
from cloud_keystore.people.programs import mappings
from cloud_keystore.people.roles import check_manager_remains
from cloud_keystore.storage import people
from cloud_keystore.storage.directories import mappings as group_mappings
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.enrolment import software, tokens
from cloud_keystore.storage.listing import belonging
from cloud_keystore.storage.rights import assignments
from cloud_keystore.storage.sharing.seats import Which

# Those of others need the right to grant roles.
LISTED_BY = {Role.WORKSTATION: Right.VIEW}
REMOVED_BY = {Role.WORKSTATION: Right.WORKSTATIONS, Role.SHARED_DEVICE: Right.WORKSTATIONS}


@dataclass(frozen=True, slots=True)
class Identities:
    """Lists and removes identities. `wake` wakes callers that wait for an operation or a user."""

    database: Database
    clock: Clock
    wake: Wake

    def list_of(self, role: Role, *, actor: Actor) -> list[Identity]:
        """The identities of a role that the actor sees, oldest first, removed ones included."""
        with acting.looking(self.database, actor, self.clock()) as by:
            right = LISTED_BY.get(role, Right.ROLES)
            by.need_somewhere(right)
            found = people.list_identities(by.connection, role)
            return [each for each in found if by.held.has(right, each.organisation_id)]

    def invitations(self, invited: Collection[str], *, actor: Actor) -> Mapping[str, datetime]:
        """When the invitations of identities that the actor sees expire that are not enrolled yet,
        by identifier.
        """
        with acting.looking(self.database, actor, self.clock()) as by:
            known = people.with_identity_ids(by.connection, invited)
            seen = [each.id for each in known if by.sees_identity(each)]
            found = tokens.terms(by.connection, seen)
        return {identity: expire_time for identity, (expire_time, _) in found.items()}

    def contacts(self, heard: Collection[str], *, actor: Actor) -> Mapping[str, Contact]:
        """What workstations and devices that the actor sees said of themselves last, by
        identifier; those that said nothing are left out.
        """
        with acting.looking(self.database, actor, self.clock()) as by:
            known = people.with_identity_ids(by.connection, heard)
            return software.of(by.connection, [each.id for each in known if by.sees_identity(each)])

    def remove(self, role: Role, identity_id: str, reason: str, operator: Identity) -> Identity:
        """Take an identity out of use for ever; does nothing if it is removed already. An identity
        that was only invited can no longer enrol.

        If it is a workstation, its open operations are withdrawn and its sessions end; from a
        shared device whoever is there is signed out.

        Raises IdentityNotFound, NotAllowed, InvalidInput, LastOperator, and IdentityRejected if the
        operator who asks was removed meanwhile.
        """
        reason = text_field("reason", reason, LONGEST_DISPLAY_NAME)
        now = self.clock()
        topics: set[str] = set()
        with acting.changing(self.database, operator.actor, now) as by:
            connection = by.connection
            found = named(by, role, identity_id)
            by.need(REMOVED_BY.get(role, Right.ROLES), found.organisation_id)
            granted = assignments.of(connection, found)
            for each in granted:
                if not each.has_ended(now):
                    by.need(Right.ROLES, each.organisation_id)
            check_manager_remains(connection, granted, now)
            if people.remove_identity(connection, found.id):
                for each in granted:
                    if not each.has_ended(now):
                        assignments.end(connection, each, now)
                actor = operator.actor
                said = {
                    "identity": found.id,
                    "role": found.role.name.lower(),
                    "name": found.display_name,
                    "reason": reason,
                }
                gone = entries.about_identity(Kind.IDENTITY_REMOVED, found, now, actor, said)
                journal.append(connection, gone)
                for mapping in group_mappings.of_client(connection, found.id):
                    mappings.drop(by, mapping)
                if role is Role.WORKSTATION:
                    topics = close_workstation(
                        connection, found.id, now, actor, "workstation removed"
                    )
                if role is Role.SHARED_DEVICE:
                    which = Which(device_id=found.id)
                    ended = end_seats(connection, now, actor, Why.REMOVED, which)
                    topics = {found.id, *ended}
            removed = people.find_identity(connection, found.id) or found
        self.wake(topics)
        return removed

    def move(self, role: Role, identity_id: str, organisation_id: str, *, actor: Actor) -> Identity:
        """Let a workstation, operator or auditor belong to another organisation, by whoever has the
        right in both. Roles stay where they were granted. Raises IdentityNotFound,
        OrganisationNotFound, NotAllowed.
        """
        now, right = self.clock(), REMOVED_BY.get(role, Right.ROLES)
        with acting.changing(self.database, actor, now) as by:
            connection, found = by.connection, named(by, role, identity_id)
            by.need(right, found.organisation_id)
            place = by.place(right, organisation_id or ROOT)
            moved = replace(found, organisation_id=place)
            if moved != found:
                belonging.move_identity(connection, found.id, place)
                said: dict[str, Detail] = {
                    "identity": found.id,
                    "role": role.name.lower(),
                    "name": found.display_name,
                    "old_organisation": found.organisation_id,
                    "organisation": place,
                }
                told = entries.about_identity(Kind.IDENTITY_CHANGED, found, now, actor, said)
                journal.append(connection, told)
        return moved


def named(by: Acting, role: Role, identity_id: str) -> Identity:
    """The identity of a role with an identifier; raises IdentityNotFound if there is none that the
    actor sees.
    """
    found = people.find_identity(by.connection, identity_id)
    if found is None or found.role is not role or not by.sees_identity(found):
        word = role.name.lower()
        several = word.replace("_", "-")
        raise IdentityNotFound(
            f"there is no such {word.replace('_', ' ')}: cloudcard ra {several} list"
        )
    return found

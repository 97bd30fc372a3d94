"""Organisations, and the policies that are set for them and for card profiles."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy.exc import IntegrityError

from cloud_keystore.audit import acting, entries, journal
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.errors import InvalidInput, OrganisationExists
from cloud_keystore.model.fields.texts import LONGEST_LABEL, text_field
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.organisations import ROOT, Organisation
from cloud_keystore.model.people import Identity
from cloud_keystore.model.policies import Policy, PolicyVersion, encode
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.storage import organisations, policies
from cloud_keystore.storage.engine import Database


@dataclass(frozen=True, slots=True)
class Organisations:
    """The use cases of organisations and policies."""

    database: Database
    clock: Clock
    random: Random

    def add(self, name: str, operator: Identity, parent_id: str = "") -> Organisation:
        """Add an organisation below another one, which is that where the operator may do so if none
        is named. Raises InvalidInput, OrganisationExists, OrganisationNotFound, NotAllowed.
        """
        now = self.clock()
        name = text_field("name", name, LONGEST_LABEL)
        try:
            with acting.changing(self.database, operator.actor, now) as by:
                parent = by.place(Right.POLICY, parent_id)
                made = Organisation(new_id(now, self.random), name, now, parent)
                organisations.add(by.connection, made)
                said = {"organisation": made.id, "name": name, "parent": parent}
                added = entries.about_keystore(Kind.ORGANISATION_ADDED, now, operator.actor, said)
                journal.append(by.connection, added)
        except IntegrityError:
            raise OrganisationExists(f"there is an organisation {name} already") from None
        return made

    def list_all(self, *, actor: Actor) -> list[Organisation]:
        """The organisations that the actor sees, by name. A parent that the actor does not see is
        left out.
        """
        with acting.looking(self.database, actor, self.clock()) as by:
            by.need_somewhere(Right.VIEW)
            return [
                each if by.held.sees(each.parent_id or ROOT) else replace(each, parent_id="")
                for each in organisations.list_all(by.connection)
                if by.held.sees(each.id)
            ]

    def set_policy(
        self, organisation_id: str, profile: str, policy: Policy, operator: Identity
    ) -> PolicyVersion:
        """Put a new version in force, for an organisation (empty: all) and a profile (empty: all).

        It applies at once, also to open sessions. Raises OrganisationNotFound, NotAllowed,
        InvalidInput.
        """
        if profile and profile not in PROFILES:
            raise InvalidInput(f"there is no profile {profile}: ask for one of the list")
        now = self.clock()
        version = PolicyVersion(organisation_id, profile, 1, policy, now)
        with acting.changing(self.database, operator.actor, now) as by:
            connection = by.connection
            by.place(Right.POLICY, organisation_id or ROOT)
            last = policies.latest(connection, organisation_id, profile)
            version = replace(version, version=last + 1)
            policies.add(connection, version, operator.id)
            said = {"policy": version.name, "document": encode(policy)}
            in_force = entries.about_keystore(Kind.POLICY_SET, now, operator.actor, said)
            journal.append(connection, in_force)
        return version

    def list_policies(self, *, earlier: bool, actor: Actor) -> list[PolicyVersion]:
        """The policies in force, or all versions, by organisation, profile and version: those of
        all organisations, and of those that the actor sees.
        """
        with acting.looking(self.database, actor, self.clock()) as by:
            by.need_somewhere(Right.VIEW)
            found = policies.list_all(by.connection, earlier=earlier)
            return [
                each
                for each in found
                if not each.organisation_id or by.held.sees(each.organisation_id)
            ]

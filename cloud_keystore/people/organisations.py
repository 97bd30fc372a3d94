"""Organisations, and the policies that are set for them and for card profiles."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from cloud_keystore.audit import entries, journal
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.errors import InvalidInput, OrganisationExists, OrganisationNotFound
from cloud_keystore.model.fields.texts import LONGEST_LABEL, text_field
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.organisations import Organisation
from cloud_keystore.model.people import Identity
from cloud_keystore.model.policies import Policy, PolicyVersion, encode
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.storage import organisations, policies
from cloud_keystore.storage.engine import Database


@dataclass(frozen=True, slots=True)
class Organisations:
    """The use cases of organisations and policies."""

    database: Database
    clock: Clock
    random: Random

    def add(self, name: str, operator: Identity) -> Organisation:
        """Add an organisation; raises InvalidInput, OrganisationExists."""
        now = self.clock()
        name = text_field("name", name, LONGEST_LABEL)
        made = Organisation(new_id(now, self.random), name, now)
        said = {"organisation": made.id, "name": name}
        added = entries.about_keystore(Kind.ORGANISATION_ADDED, now, operator.actor, said)
        try:
            with self.database.write() as connection:
                organisations.add(connection, made)
                journal.append(connection, added)
        except IntegrityError:
            raise OrganisationExists(f"there is an organisation {name} already") from None
        return made

    def list_all(self) -> list[Organisation]:
        """All organisations by name."""
        with self.database.read() as connection:
            return organisations.list_all(connection)

    def set_policy(
        self, organisation_id: str, profile: str, policy: Policy, operator: Identity
    ) -> PolicyVersion:
        """Put a new version in force, for an organisation (empty: all) and a profile (empty: all).

        It applies at once, also to open sessions. Raises OrganisationNotFound, InvalidInput.
        """
        if profile and profile not in PROFILES:
            raise InvalidInput(f"there is no profile {profile}: ask for one of the list")
        now = self.clock()
        version = PolicyVersion(organisation_id, profile, 1, policy, now)
        with self.database.write() as connection:
            if organisation_id:
                check(connection, organisation_id)
            last = policies.latest(connection, organisation_id, profile)
            version = replace(version, version=last + 1)
            policies.add(connection, version, operator.id)
            said = {"policy": version.name, "document": encode(policy)}
            in_force = entries.about_keystore(Kind.POLICY_SET, now, operator.actor, said)
            journal.append(connection, in_force)
        return version

    def list_policies(self, *, earlier: bool) -> list[PolicyVersion]:
        """The policies in force, or all versions, by organisation, profile and version."""
        with self.database.read() as connection:
            return policies.list_all(connection, earlier=earlier)


def check(connection: Connection, organisation_id: str) -> None:
    """Raise OrganisationNotFound unless there is such an organisation."""
    if organisations.find(connection, organisation_id) is None:
        raise OrganisationNotFound(f"there is no organisation {organisation_id}: add it first")

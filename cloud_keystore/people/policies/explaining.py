"""Says which policy holds for an organisation, a person or a card, and from where it has each of
its terms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cloud_keystore.audit import acting
from cloud_keystore.audit.acting import Acting
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.policies import PolicyVersion, Term
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.model.terms.resolving import Origin, Resolved, by_scope, resolve
from cloud_keystore.people.policies import card_profiles
from cloud_keystore.storage import organisations, policies
from cloud_keystore.storage.engine import Database


@dataclass(frozen=True, slots=True)
class Source:
    """From where a term is. `policy` is the name of the version that sets it; empty for the
    default, and for an organisation that the actor does not see. `locked`: that organisation lets
    none below set it otherwise.
    """

    origin: Origin
    organisation_id: str = ""
    policy: str = ""
    locked: bool = False


@dataclass(frozen=True, slots=True)
class Explained:
    """The policy in force for an organisation and a profile (empty: any), and its sources."""

    organisation_id: str
    profile: str
    version: PolicyVersion
    sources: Mapping[Term, Source]


@dataclass(frozen=True, slots=True)
class Explaining:
    """Explains policies to operators."""

    database: Database
    clock: Clock

    def of_organisation(
        self, organisation_id: str, profile: str = "", *, actor: Actor
    ) -> Explained:
        """What holds for an organisation's cards of a profile. Raises OrganisationNotFound,
        NotAllowed, InvalidInput.
        """
        if profile and profile not in PROFILES:
            raise InvalidInput(f"there is no profile {profile}: ask for one of the list")
        with acting.looking(self.database, actor, self.clock()) as by:
            return _explained(by, by.place(Right.VIEW, organisation_id), profile)

    def of_user(self, user_id: str, *, actor: Actor) -> Explained:
        """What holds for a person, with the profile that the person's cards are to have. Raises
        UserNotFound, NotAllowed.
        """
        with acting.looking(self.database, actor, self.clock()) as by:
            user = by.user(user_id, Right.VIEW)
            profile = card_profiles.of_user(by.connection, user).name
            return _explained(by, user.organisation_id, profile)

    def of_card(self, serial: str, *, actor: Actor) -> Explained:
        """What holds for a card. Raises CardNotFound, NotAllowed."""
        with acting.looking(self.database, actor, self.clock()) as by:
            card = by.card(serial, Right.VIEW)
            return _explained(by, card.organisation_id, card.profile)


def _explained(by: Acting, organisation_id: str, profile: str) -> Explained:
    connection = by.connection
    said = by_scope(policies.list_all(connection, earlier=False))
    resolved = resolve(said, organisation_id, profile, organisations.parents(connection))
    in_force = policies.in_force(connection, organisation_id, profile)
    sources = {each: _source(by, resolved, each, organisation_id) for each in Term}
    return Explained(organisation_id, profile, in_force, sources)


def _source(by: Acting, resolved: Resolved, term: Term, organisation_id: str) -> Source:
    origin, version = resolved.origin(term, organisation_id), resolved.sources.get(term)
    if version is None:
        return Source(origin)
    locked = term in resolved.locked
    if origin is Origin.INHERITED and not by.held.sees(version.organisation_id):
        return Source(origin, locked=locked)
    return Source(origin, version.organisation_id, version.name, locked)

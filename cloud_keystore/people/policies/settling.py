"""Puts in force what organisations inherit, in the transaction of what changes it. So whoever uses
a card's keys finds one whole policy, and nothing of the tree is read then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cloud_keystore.audit import entries
from cloud_keystore.audit.acting import Acting
from cloud_keystore.model.actors import KEYSTORE, NAMELESS
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.journal import Detail, Entry, Kind
from cloud_keystore.model.policies import PolicyVersion, encode
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.model.rights.holding import upwards
from cloud_keystore.model.rights.requests import HighRisk
from cloud_keystore.model.terms.resolving import by_scope, holding, resolve
from cloud_keystore.storage import organisations, policies
from cloud_keystore.storage.policies import UNSET
from cloud_keystore.storage.rights import requests

MOST_INHERITED = 1000  # versions that one change puts in force below, while other writers wait


@dataclass(frozen=True, slots=True)
class Change:
    """A version that is put in force, and the one that was in force before."""

    version: PolicyVersion
    before: PolicyVersion

    def details(self) -> dict[str, Detail]:
        """What the journal says of it, old and new."""
        return {
            "policy": self.version.name,
            "document": encode(self.version.policy),
            "old_policy": self.before.name,
            "old_document": encode(self.before.policy),
        }


def changes(by: Acting, below: str, wanted: PolicyVersion | None = None) -> Sequence[Change]:
    """What has to be put in force for an organisation and those below it (empty: for all): the
    policy that is wanted, if any, comes first, and what is inherited follows. Raises InvalidInput
    if that is too much for one transaction.
    """
    connection = by.connection
    said = by_scope(policies.list_all(connection, earlier=False))
    parents = organisations.parents(connection)
    found: list[Change] = []
    if wanted is not None:
        own, profile = wanted.organisation_id, wanted.profile
        before = holding(said, own, profile) or UNSET
        last = said.get((own, profile), UNSET).version
        said[own, profile] = wanted
        policy = resolve(said, own, profile, parents).policy
        said[own, profile] = replace(wanted, version=last + 1, policy=policy)
        found.append(Change(said[own, profile], before))
    if not said:
        return found
    # The most general comes first, for what holds by it needs no version of its own.
    scopes = ["", *(each.id for each in organisations.list_all(connection))]
    for place in scopes:
        if below and below not in upwards(place, parents):
            continue
        for profile in ("", *PROFILES):
            before = holding(said, place, profile) or UNSET
            resolved = resolve(said, place, profile, parents)
            if resolved.policy == before.policy:
                continue
            now = said.get((place, profile), replace(UNSET, organisation_id=place, profile=profile))
            # What is locked above is set here no more.
            over = {term for term, at in resolved.locked.items() if at != place}
            said[place, profile] = replace(
                now,
                version=now.version + 1,
                policy=resolved.policy,
                create_time=by.now,
                own=now.own if now.here_alone else now.own - over,
                locked=now.locked - over,
            )
            found.append(Change(said[place, profile], before))
            if len(found) > MOST_INHERITED:
                raise InvalidInput(
                    f"more than {MOST_INHERITED} policies of organisations below would change at "
                    "once: change it for those below it first, one after the other, and here last"
                )
    return found


def check_locks(by: Acting, wanted: PolicyVersion) -> None:
    """Raise InvalidInput for a policy that sets a term which an organisation above has locked."""
    said = by_scope(policies.list_all(by.connection, earlier=False))
    own, parents = wanted.organisation_id, organisations.parents(by.connection)
    locked = resolve(said, own, wanted.profile, parents).locked
    for term in sorted(wanted.own & locked.keys()):
        place = locked[term]
        if place == own:
            continue
        who = "an organisation above"
        if not place:
            who = "the policy for all organisations"
        elif by.held.sees(place):
            who = organisations.name(by.connection, place)
        raise InvalidInput(f"{term} is locked by {who}: leave it out, and it is inherited")


def put(by: Acting, found: Sequence[Change], cause: str) -> list[Entry]:
    """Put in force what is inherited, because of a policy or an organisation's place; returns the
    entries of the journal about it.
    """
    told: list[Entry] = []
    for each in found:
        policies.add(by.connection, each.version, by.actor.id)
        said = {**each.details(), "because": cause}
        told.append(entries.about_keystore(Kind.POLICY_INHERITED, by.now, KEYSTORE, said))
    return told


def follow_place(by: Acting, organisation_id: str) -> list[Entry]:
    """Put in force what an organisation and those below it inherit at another place; returns the
    entries of the journal about it. Raises InvalidInput if another operator has to approve their
    policies.
    """
    found = changes(by, organisation_id)
    if needs_second(by, found):
        raise InvalidInput(
            "organisation would inherit other policies there, and somebody has named those as of "
            "high risk: set them for the organisation itself first (cloudcard ra policy set)"
        )
    return put(by, found, f"organisation {organisation_id}")


def needs_second(by: Acting, found: Sequence[Change]) -> bool:
    """Whether another operator has to approve some changes of policies, wherever they hold."""
    named = requests.all_operations(by.connection)
    if by.actor.kind in NAMELESS or not named:
        return False
    parents = organisations.parents(by.connection)
    return any(
        HighRisk.POLICY in named.get(each, ())
        for change in found
        for each in upwards(change.version.organisation_id, parents)
    )

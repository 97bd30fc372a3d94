"""Which terms hold for an organisation and profile, and from where it has them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum, unique
from typing import TypeAlias

from cloud_keystore.model.policies import Policy, PolicyVersion, Term
from cloud_keystore.model.rights.holding import upwards

Scope: TypeAlias = tuple[str, str]  # an organisation and a profile, as a policy names them

DEFAULT = Policy()
# The fields of each term, which have one source, so that they never contradict one another.
FIELDS: Mapping[Term, tuple[str, ...]] = {
    Term.PASSWORDLESS: ("passwordless",),
    Term.BATCH: ("largest_batch",),
    Term.COMMITMENT: ("largest_commitment_batch",),
    Term.SESSION: ("session",),
    Term.CHANNELS: ("channels",),
    Term.PASSKEYS: ("passkeys", "synced_passkeys", "passkey_models"),
    Term.CODE_TIME: ("unlock_code_time",),
    Term.SURVEY: ("survey_after",),
    Term.PASSWORDS: ("portal_passwords", "security_answers", "portal_changes", "portal_factors"),
    Term.REFUSES_PUK: ("refuses_puk",),
    Term.SHARED_DEVICES: ("shared_device_time",),
}


@unique
class Origin(StrEnum):
    """From where an organisation has a term."""

    OWN = "own"
    INHERITED = "inherited"  # from an organisation above
    ALL = "all"  # set for all organisations
    DEFAULT = "default"  # set nowhere


@dataclass(frozen=True, slots=True)
class Resolved:
    """A policy as it holds, and the version that says each term; without one, the default holds.
    `locked` are the terms that nobody below sets otherwise, with the organisation (empty: all) that
    has locked them.
    """

    policy: Policy
    sources: Mapping[Term, PolicyVersion]
    locked: Mapping[Term, str]

    def origin(self, term: Term, organisation_id: str) -> Origin:
        """From where an organisation has a term."""
        source = self.sources.get(term)
        if source is None:
            return Origin.DEFAULT
        if not source.organisation_id:
            return Origin.ALL
        return Origin.OWN if source.organisation_id == organisation_id else Origin.INHERITED


def resolve(
    said: Mapping[Scope, PolicyVersion],
    organisation_id: str,
    profile: str,
    parents: Mapping[str, str],
) -> Resolved:
    """What holds for an organisation (empty: for those that set nothing) and a profile. Each term
    is that of the nearest policy that sets it, where the organisation counts for more than the
    profile; below an organisation that locks it, that of the organisation.
    """
    above = [*upwards(organisation_id, parents)] if organisation_id else []
    sources: dict[Term, PolicyVersion] = {}
    locked: dict[Term, str] = {}
    for place, versions in reversed([*_chain(said, above, profile)]):
        # The most specific one comes last, and counts.
        own = {term: each for each in reversed(versions) for term in each.own}
        sources |= {term: own[term] for term in own.keys() - locked.keys()}
        fixed = {term for each in versions for term in each.locked & each.own}
        locked |= dict.fromkeys(fixed - locked.keys(), place)
    given = {
        name: getattr(version.policy, name)
        for term, version in sources.items()
        for name in FIELDS[term]
    }
    return Resolved(replace(DEFAULT, **given), sources, locked)


def holding(
    said: Mapping[Scope, PolicyVersion], organisation_id: str, profile: str
) -> PolicyVersion | None:
    """The version that is in force for an organisation and a profile, as storage finds it; None
    means the default.
    """
    scopes = ((organisation_id, profile), (organisation_id, ""), ("", profile), ("", ""))
    return next((said[each] for each in scopes if each in said), None)


def by_scope(versions: Iterable[PolicyVersion]) -> dict[Scope, PolicyVersion]:
    """The last versions of policies, by what they are for."""
    return {(each.organisation_id, each.profile): each for each in versions}


def _chain(
    said: Mapping[Scope, PolicyVersion], above: Iterable[str], profile: str
) -> Iterator[tuple[str, Sequence[PolicyVersion]]]:
    """The organisations that count (empty: all), with their policies: the nearest and the most
    specific first.
    """
    for distance, organisation_id in enumerate((*above, "")):
        scopes = dict.fromkeys(((organisation_id, profile), (organisation_id, "")))
        found = [said[each] for each in scopes if each in said]
        elsewhere = bool(distance and organisation_id)
        yield organisation_id, [each for each in found if not (elsewhere and each.here_alone)]

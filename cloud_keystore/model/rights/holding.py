"""The rights that somebody has at a moment, by organisation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from cloud_keystore.model.organisations import ROOT
from cloud_keystore.model.rights.roles import Right

NOWHERE: Mapping[str, frozenset[Right]] = {}


@dataclass(frozen=True, slots=True)
class Held:
    """Rights by the organisation where they were granted. They hold below it too. `parents` has the
    parent of each organisation that is not directly below the root. `ends` has when a right that
    was granted in an organisation ends there; one that does not end is not in it.
    """

    granted: Mapping[str, frozenset[Right]]
    parents: Mapping[str, str]
    ends: Mapping[tuple[str, Right], datetime] = field(default_factory=dict)

    def has(self, right: Right, organisation_id: str) -> bool:
        """Whether the right is held in an organisation."""
        return any(
            right in self.granted.get(each, ()) for each in upwards(organisation_id, self.parents)
        )

    def end(self, right: Right, organisation_id: str) -> datetime | None:
        """When a right that is held in an organisation ends there; None if it does not."""
        found = [
            self.ends.get((each, right))
            for each in upwards(organisation_id, self.parents)
            if right in self.granted.get(each, ())
        ]
        known = [each for each in found if each is not None]
        return max(known) if len(known) == len(found) > 0 else None

    def where(self, right: Right) -> list[str]:
        """The organisations where the right was granted."""
        return [each for each, rights in self.granted.items() if right in rights]

    def sees(self, organisation_id: str) -> bool:
        """Whether what belongs to an organisation is shown, to operators or to auditors."""
        return self.has(Right.VIEW, organisation_id) or self.has(Right.JOURNAL, organisation_id)

    def sees_of(self, organisation_id: str) -> bool:
        """Whether what an organisation has set for those below it too is shown: to whoever sees it,
        or one of those.
        """
        return self.sees(organisation_id) or any(
            organisation_id in upwards(each, self.parents) and self.sees(each)
            for each in self.granted
        )

    def sees_staff(self, organisation_id: str) -> bool:
        """Whether an organisation's operators and auditors are shown."""
        return self.has(Right.ROLES, organisation_id) or self.has(Right.JOURNAL, organisation_id)

    @property
    def sees_all(self) -> bool:
        """Whether nothing at all is hidden."""
        return self.sees(ROOT)


def upwards(organisation_id: str, parents: Mapping[str, str]) -> Iterator[str]:
    """An organisation and those above it, up to the root."""
    seen = set[str]()
    while organisation_id != ROOT and organisation_id not in seen:
        seen.add(organisation_id)
        yield organisation_id
        organisation_id = parents.get(organisation_id, ROOT)
    yield ROOT

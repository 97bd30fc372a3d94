"""Which pages of administration there are, and what they call organisations: by their path in the
tree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cloud_keystore.model.organisations import ROOT, Organisation
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.web.ra.views import ORGANISATIONS, MenuItem
from cloud_keystore.web.ra.visiting import AT

DOMAINS, ROLES, GRANTS = f"{AT}/domains", f"{AT}/roles", f"{AT}/grants"
POLICIES, PROFILES = f"{AT}/policies", f"{AT}/profiles"
SECTION = (
    MenuItem(ORGANISATIONS, "Organisations", Right.VIEW),
    MenuItem(DOMAINS, "E-mail domains", Right.VIEW),
    MenuItem(ROLES, "Roles", Right.VIEW),
    MenuItem(GRANTS, "Who has which role", Right.ROLES),
    MenuItem(POLICIES, "Policies", Right.VIEW),
    MenuItem(PROFILES, "Card types", Right.VIEW),
)
BELOW = " / "


def paths(known: Sequence[Organisation]) -> Mapping[str, str]:
    """What organisations are called with those above them, by identifier, in the order of the tree.
    The one above all others is left out where there is another one.
    """
    by_id = {each.id: each for each in known}
    made = {each.id: BELOW.join(_names(each, by_id)) for each in known}
    return dict(sorted(made.items(), key=lambda each: (each[0] != ROOT, each[1].casefold())))


def _names(organisation: Organisation, by_id: Mapping[str, Organisation]) -> list[str]:
    names: list[str] = []
    seen = set[str]()
    at: Organisation | None = organisation
    while at is not None and at.id not in seen:
        if at.id != ROOT or not names:
            names.insert(0, at.name)
        seen.add(at.id)
        at = by_id.get(at.parent_id)
    return names

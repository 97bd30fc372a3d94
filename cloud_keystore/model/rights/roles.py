"""Rights, the built-in roles that have them, and who was granted which role."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, unique
from types import MappingProxyType

from cloud_keystore.model import people
from cloud_keystore.model.organisations import ROOT
from cloud_keystore.model.people import Identity


@unique
class Right(StrEnum):
    """What an operator or auditor may do. A name that a journal has held keeps its meaning."""

    VIEW = "view"  # people with their cards and phones, workstations, alerts, policies
    PEOPLE = "people"  # adds and changes people
    ISSUE = "issue"
    UNLOCK = "unlock"
    SUSPEND = "suspend"
    REVOKE = "revoke"  # also puts suspended cards back in use, and closes people
    DEVICES = "devices"  # invites and removes phones
    WORKSTATIONS = "workstations"  # adds and removes them
    ALERTS = "alerts"  # acknowledges them
    ROLES = "roles"  # invites and removes operators and auditors, grants and withdraws roles
    POLICY = "policy"  # sets policies, adds organisations
    DOMAINS = "domains"  # which domains e-mail addresses can have
    JOURNAL = "journal"  # reads the entries of others
    PORTAL = "portal"  # asks whether somebody's portal password is right, and lets it be changed


@unique
class BuiltIn(StrEnum):
    """The built-in roles, which nobody deletes or renames."""

    RA_MANAGER = "ra-manager"
    RA_AGENT_ADVANCED = "ra-agent-advanced"
    RA_AGENT = "ra-agent"
    SPONSOR = "sponsor"
    ID_CHECKER = "id-checker"
    LOCAL_ADMIN = "local-admin"
    AUDITOR = "auditor"
    SUPPORT = "support"
    PORTAL = "portal"


_UNLOCKS = frozenset({Right.VIEW, Right.UNLOCK})
_AGENT = _UNLOCKS | {Right.PEOPLE, Right.ISSUE, Right.SUSPEND, Right.DEVICES, Right.ALERTS}

RIGHTS: Mapping[str, frozenset[Right]] = MappingProxyType(
    {
        BuiltIn.RA_MANAGER: frozenset(Right),
        BuiltIn.RA_AGENT_ADVANCED: _AGENT | {Right.REVOKE, Right.WORKSTATIONS, Right.JOURNAL},
        BuiltIn.RA_AGENT: _AGENT,
        BuiltIn.SPONSOR: _UNLOCKS | {Right.SUSPEND},
        BuiltIn.ID_CHECKER: _UNLOCKS,
        BuiltIn.LOCAL_ADMIN: _UNLOCKS,
        BuiltIn.AUDITOR: frozenset({Right.JOURNAL}),
        BuiltIn.SUPPORT: frozenset({Right.VIEW, Right.DOMAINS}),
        BuiltIn.PORTAL: frozenset({Right.PORTAL}),
    }
)
# Who can be granted roles, in the order of lists.
HOLDERS = (people.Role.OPERATOR, people.Role.AUDITOR, people.Role.CLIENT)
# What an identity of before there were roles has in the whole keystore.
FORMER: Mapping[people.Role, BuiltIn] = MappingProxyType(
    {people.Role.OPERATOR: BuiltIn.RA_MANAGER, people.Role.AUDITOR: BuiltIn.AUDITOR}
)


@dataclass(frozen=True, slots=True)
class Assignment:
    """A role that an identity has in an organisation and in those below it, for a time."""

    id: str
    identity_id: str
    role: str
    organisation_id: str
    from_time: datetime
    until_time: datetime | None  # None: without end
    granted_by: str  # an actor
    create_time: datetime

    def is_in_force(self, now: datetime) -> bool:
        """Whether it has begun and not ended."""
        return self.from_time <= now and not self.has_ended(now)

    def was_in_force(self, at: datetime) -> bool:
        """Whether it was in force at a time, and was granted by then: whoever grants a role from a
        day in the past changes nothing of what was possible on that day.
        """
        return self.create_time <= at and self.is_in_force(at)

    def has_ended(self, now: datetime) -> bool:
        """Whether it gives no right any more."""
        return self.until_time is not None and self.until_time <= now

    def state_at(self, now: datetime) -> str:
        """Its state as lists show it."""
        if self.has_ended(now):
            return "ended"
        return "in force" if self.is_in_force(now) else "will begin"

    @property
    def keeps_the_root(self) -> bool:
        """Whether it makes somebody RA manager of the whole, without end."""
        whole = self.role == BuiltIn.RA_MANAGER and self.organisation_id == ROOT
        return whole and self.until_time is None


def former(identity: Identity) -> list[Assignment]:
    """What an identity of before there were roles was granted by that; its identifier is the
    identity's own.
    """
    role = FORMER.get(identity.role)
    if identity.assigned or role is None:
        return []
    since = identity.create_time
    return [Assignment(identity.id, identity.id, role, ROOT, since, None, "", since)]


def is_held_by(role: str, kind: people.Role) -> bool:
    """Whether identities of a kind can have a role: auditors have theirs, operators and API clients
    the others, and only API clients are the portal.
    """
    if role == BuiltIn.PORTAL:
        return kind is people.Role.CLIENT
    return kind in HOLDERS and (kind is people.Role.AUDITOR) is (role == BuiltIn.AUDITOR)

"""Moves all that belongs to an organisation into another one, a portion at a time: who is
interrupted goes on by doing it again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import Connection, RowMapping

from cloud_keystore.audit import acting, entries, journal
from cloud_keystore.audit.acting import Acting
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.custom.profiles import CustomProfile
from cloud_keystore.model.errors import InvalidInput, NotAllowed, ProfileExists
from cloud_keystore.model.journal import Detail, Entry, Kind
from cloud_keystore.model.organisations import ROOT
from cloud_keystore.model.people import Identity, IdentityState, Role
from cloud_keystore.model.policies import PolicyVersion
from cloud_keystore.model.rights.holding import upwards
from cloud_keystore.model.rights.requests import HighRisk
from cloud_keystore.model.rights.roles import FORMER, Assignment, Right
from cloud_keystore.people import roles
from cloud_keystore.people.policies import card_profiles, settling
from cloud_keystore.people.programs import moving
from cloud_keystore.storage import organisations, policies
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.issuing import custom_profiles
from cloud_keystore.storage.listing import belonging
from cloud_keystore.storage.rights import assignments, custom_roles

PORTION = 200  # things in one transaction
# Whoever moves everything may do so with each part of it, in both organisations.
NEEDED = (Right.PEOPLE, Right.ISSUE, Right.WORKSTATIONS, Right.ROLES, Right.POLICY)
TOLD: Mapping[str, Kind] = {
    "people": Kind.USER_CHANGED,
    "cards": Kind.CARD_MOVED,
    "workstations": Kind.IDENTITY_CHANGED,
    "staff": Kind.IDENTITY_CHANGED,
}


@dataclass(frozen=True, slots=True)
class Migrated:
    """How many things of each sort were moved, or would be; and what stays, with the reason."""

    moved: Mapping[str, int]
    kept: tuple[str, ...] = ()


@dataclass(slots=True)
class _Portion:
    """What a transaction has moved, and what it can still move."""

    left: int
    moved: Counter[str] = field(default_factory=Counter)
    kept: list[str] = field(default_factory=list)

    def note(self, sort: str, number: int = 1) -> None:
        self.moved[sort] += number
        self.left -= number


@dataclass(frozen=True, slots=True)
class Migrating:
    """Moves all that belongs to organisations."""

    database: Database
    clock: Clock
    random: Random

    def foresee(
        self, organisation_id: str, to: str, *, with_policies: bool, operator: Identity
    ) -> Migrated:
        """What `migrate` would move, called until it moves nothing more; raises what it does."""
        now = self.clock()
        with acting.looking(self.database, operator.actor, now) as by:
            _check(by, organisation_id, to)
            connection, found = by.connection, _Portion(0)
            for sort in belonging.SORTS:
                found.note(sort, belonging.count(connection, sort, organisation_id))
            below = _below(connection, organisation_id)
            found.note("organisations", len(below))
            groups = moving.movable(by, organisation_id, to or ROOT)
            found.kept += groups.kept
            found.note("groups", len(groups.mappings) + len(groups.persons))
            found.note("roles", len(_movable(by, organisation_id, to, now, found)))
            found.note("profiles", len(_profiles(connection, organisation_id, to, found)))
            if with_policies:
                found.note("policies", len(_policies(by, organisation_id, to, found)))
            return _result(found)

    def migrate(
        self, organisation_id: str, to: str, *, with_policies: bool, operator: Identity
    ) -> Migrated:
        """Move the next portion of what belongs to an organisation into another one: people with
        their cards, workstations, operators and auditors, roles, what groups give, organisations
        below it, its card profiles, and its policies if the other one has none; nothing if all is
        done. Raises InvalidInput, OrganisationNotFound, NotAllowed, LastOperator.
        """
        now = self.clock()
        with acting.changing(self.database, operator.actor, now) as by:
            _check(by, organisation_id, to)
            connection, done = by.connection, _Portion(PORTION)
            told: list[Entry] = []
            # Before those who use them.
            for profile in _profiles(connection, organisation_id, to, done)[: done.left]:
                custom_profiles.change(connection, replace(profile, organisation_id=to or ROOT))
                about: dict[str, Detail] = {
                    "profile": profile.name,
                    "profile_id": profile.id,
                    "old_organisation": organisation_id,
                    "organisation": to or ROOT,
                }
                told.append(entries.about_keystore(Kind.PROFILE_CHANGED, now, by.actor, about))
                done.note("profiles")
            for each in _below(connection, organisation_id)[: done.left]:
                organisations.move(connection, each, to)
                said = {"organisation": each, "old_parent": organisation_id, "parent": to}
                told.append(entries.about_keystore(Kind.ORGANISATION_CHANGED, now, by.actor, said))
                told += settling.follow_place(by, each)
                done.note("organisations")
            if with_policies:
                for version in _policies(by, organisation_id, to, done)[: done.left]:
                    first, *inherited = settling.changes(by, to, _copied(version, to, now))
                    policies.add(connection, first.version, operator.id)
                    about = first.details()
                    told.append(entries.about_keystore(Kind.POLICY_SET, now, by.actor, about))
                    told += settling.put(by, inherited, first.version.name)
                    done.note("policies")
            groups = moving.movable(by, organisation_id, to or ROOT)
            done.kept += groups.kept
            if done.left > 0:
                moving.move(by, groups, to or ROOT, self.random)
                done.note("groups", len(groups.mappings) + len(groups.persons))
            for identity, granted in _movable(by, organisation_id, to, now, done)[
                : max(done.left, 0)
            ]:
                self._regrant(by, identity, granted, to, now)
                done.note("roles")
            for sort, kind in TOLD.items():
                moved = belonging.move(connection, sort, organisation_id, to, max(done.left, 0))
                told += [_entry(kind, sort, row, to, now, by) for row in moved]
                done.note(sort, len(moved))
            if told:
                journal.append(connection, *told)
            return _result(done)

    def _regrant(
        self, by: Acting, identity: Identity, granted: Assignment, to: str, now: datetime
    ) -> None:
        assignments.end(by.connection, granted, now)
        own = new_id(now, self.random)
        since = max(granted.from_time, now)
        there = replace(
            granted,
            id=own,
            organisation_id=to,
            from_time=since,
            granted_by=str(by.actor),
            create_time=now,
        )
        roles.put(by.connection, there, identity, by.actor)


def _check(by: Acting, organisation_id: str, to: str) -> None:
    """Raise unless an actor may move everything from one organisation to another."""
    for place in (organisation_id, to):
        for right in NEEDED:
            by.place(right, place or ROOT)
    if organisation_id in ("", ROOT):
        raise InvalidInput("from is the organisation above all others, which stays as it is")
    if organisation_id in upwards(to or ROOT, organisations.parents(by.connection)):
        raise InvalidInput("to is the organisation itself, or one below it: name another one")


def _below(connection: Connection, organisation_id: str) -> list[str]:
    """The organisations directly below one."""
    every = organisations.list_all(connection)
    return [each.id for each in every if each.parent_id == organisation_id]


def _profiles(
    connection: Connection, organisation_id: str, to: str, portion: _Portion
) -> list[CustomProfile]:
    """The card profiles of an organisation whose names are free in the other one: cards stay of
    them. The others stay there.
    """
    found: list[CustomProfile] = []
    for each in custom_profiles.of(connection, organisation_id):
        try:
            card_profiles.check_free(connection, replace(each, organisation_id=to or ROOT))
        except (ProfileExists, InvalidInput) as refused:
            portion.kept.append(f"profile {each.name}: {refused}")
        else:
            found.append(each)
    return found


def _policies(by: Acting, organisation_id: str, to: str, portion: _Portion) -> list[PolicyVersion]:
    """The policies of an organisation that another one has none instead of, and that the actor may
    set there alone.
    """
    every = [each for each in policies.list_all(by.connection, earlier=False) if each.own]
    there = {each.profile: each.policy for each in every if each.organisation_id == to}
    own = [each for each in every if each.organisation_id == organisation_id]
    portion.kept += [
        f"policy {each.name}: the other organisation has one of its own"
        for each in own
        if each.profile in there and there[each.profile] != each.policy
    ]
    wanted = [each for each in own if each.profile not in there]
    alone = [
        each
        for each in wanted
        if not settling.needs_second(by, settling.changes(by, to, _copied(each, to, by.now)))
    ]
    portion.kept += [
        f"policy {each.name}: another operator has to approve it there (cloudcard ra policy set)"
        for each in wanted
        if each not in alone
    ]
    return alone


def _copied(version: PolicyVersion, to: str, now: datetime) -> PolicyVersion:
    """A policy as it is set in another organisation."""
    return replace(version, organisation_id=to, create_time=now)


def _movable(
    by: Acting, organisation_id: str, to: str, now: datetime, portion: _Portion
) -> list[tuple[Identity, Assignment]]:
    """The roles in an organisation that the actor may grant in the other one."""
    found: list[tuple[Identity, Assignment]] = []
    by_groups = moving.given(by, organisation_id)
    every = [each for kind in FORMER for each in assignments.list_all(by.connection, kind)]
    own = [
        (identity, granted)
        for identity, granted in every
        if granted.organisation_id == organisation_id
        and granted.id not in by_groups
        and not granted.has_ended(now)
        and identity.state is not IdentityState.REMOVED
    ]
    called = custom_roles.names(by.connection, {granted.role for _, granted in own})
    for identity, granted in own:
        name = called.get(granted.role, granted.role)
        why = _why_kept(by, identity, granted, name, to)
        if why:
            portion.kept.append(f"role {name} of {identity.display_name}: {why}")
        else:
            found.append((identity, granted))
    return found


def _why_kept(by: Acting, identity: Identity, granted: Assignment, name: str, to: str) -> str:
    """Why a role stays where it is; empty if it can be granted in the other organisation."""
    if by.is_high_risk({HighRisk.GRANT_ROLE}, to):
        return "another operator has to approve it there (cloudcard ra role grant)"
    try:
        roles.check_other(identity.id, by.actor)
        there = roles.grantable(by, name, identity.role, to)
        there.check_end(granted.until_time, to)
    except (InvalidInput, NotAllowed) as refused:
        return str(refused)
    return "" if there.id == granted.role else "that is another role there"


def _entry(kind: Kind, sort: str, row: RowMapping, to: str, now: datetime, by: Acting) -> Entry:
    """The entry about something that was moved."""
    own: str = row["id"]
    said: dict[str, Detail] = {"old_organisation": row["organisation_id"], "organisation": to}
    if sort in ("workstations", "staff"):
        role = Role(row["role"]).name.lower()
        said |= {"identity": own, "role": role, "name": row["display_name"]}
    return entries.about_moved(
        kind,
        now,
        by.actor,
        said,
        user_id={"people": own, "cards": row.get("user_id")}.get(sort),
        card_id=own if sort == "cards" else None,
        workstation_id=own if sort == "workstations" else None,
    )


def _result(portion: _Portion) -> Migrated:
    return Migrated(dict(portion.moved), tuple(portion.kept))

"""Roles of operators and auditors: who may do what, in which organisation and for how long."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType

from sqlalchemy import Connection

from cloud_keystore.audit import acting, entries, journal
from cloud_keystore.audit.acting import Acting
from cloud_keystore.model import people as model
from cloud_keystore.model.actors import Actor, ActorKind
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.errors import (
    IdentityNotFound,
    InvalidInput,
    LastOperator,
    NotAllowed,
    RoleNotFound,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import Identity, IdentityState
from cloud_keystore.model.rights.custom import CustomRole
from cloud_keystore.model.rights.holding import upwards
from cloud_keystore.model.rights.requests import Action, Deed, HighRisk, Second
from cloud_keystore.model.rights.roles import HOLDERS, RIGHTS, Assignment, Right, is_held_by
from cloud_keystore.storage import organisations, people
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.rights import assignments, custom_roles

WHEN = "%Y-%m-%dT%H:%M:%SZ"  # as commands take it
BY_HAND: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class AssignmentListing:
    """An assignment as lists show it, with whoever has it."""

    assignment: Assignment
    identity: Identity
    role_name: str
    organisation_name: str


@dataclass(frozen=True, slots=True)
class RoleListing:
    """A role as lists show it. A built-in one has its name as identifier, and no organisation."""

    id: str
    name: str
    rights: tuple[Right, ...]
    built_in: bool
    organisation_id: str = ""
    organisation_name: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """A role to be granted: from now on and without end, unless times are given."""

    identity_id: str
    role: str
    organisation_id: str = ""
    from_time: datetime | None = None
    until_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Grantable:
    """A role that somebody can grant: for as long as they have its rights themselves, and not
    beyond. So nobody keeps by others what was granted to them for a time.
    """

    id: str
    name: str
    first_to_end: Right | None = None
    until_time: datetime | None = None  # None: without end

    def check_end(self, until_time: datetime | None, organisation_id: str) -> None:
        """Raise NotAllowed if the role would be granted for longer than that."""
        end, right = self.until_time, self.first_to_end
        if end is None or right is None or (until_time is not None and until_time <= end):
            return
        raise NotAllowed(
            f"you have the right {right.value!r} until {end:{WHEN}}, and nobody hands it out for "
            "longer: let the role end then, or before (--until)",
            right,
            organisation_id,
        )


@dataclass(frozen=True, slots=True)
class Roles:
    """Lists, grants and withdraws roles. `second` is who approves what is done."""

    database: Database
    clock: Clock
    random: Random
    second: Second | None = None

    def known(self, *, actor: Actor) -> list[RoleListing]:
        """The built-in roles, and those that were defined for organisations that the actor sees."""
        with acting.looking(self.database, actor, self.clock()) as by:
            by.need_somewhere(Right.VIEW)
            called = organisations.names(by.connection)
            custom = [
                custom_listing(each, called.get(each.organisation_id, each.organisation_id))
                for each in custom_roles.list_all(by.connection)
                if by.held.sees_of(each.organisation_id)
            ]
        built_in = [
            RoleListing(name, name, _in_order(rights), built_in=True)
            for name, rights in RIGHTS.items()
        ]
        return built_in + custom

    def list_all(self, at: datetime | None = None, *, actor: Actor) -> list[AssignmentListing]:
        """What operators, then auditors and then API clients were ever granted where the actor
        could grant it; or what was in force at a time.
        """
        with acting.looking(self.database, actor, self.clock()) as by:
            by.need_somewhere(Right.ROLES)
            found = [
                (granted, identity)
                for kind in HOLDERS
                for identity, granted in assignments.list_all(by.connection, kind)
                if by.held.has(Right.ROLES, granted.organisation_id)
                and (at is None or granted.was_in_force(at))
            ]
            called = custom_roles.names(by.connection, {granted.role for granted, _ in found})
            return [_listing(by, granted, identity, called) for granted, identity in found]

    def grant(self, wish: Wish, *, actor: Actor) -> AssignmentListing:
        """Grant a role to somebody else: for as long as the actor has its rights, at most. Who
        repeats this grants nothing more.

        Raises IdentityNotFound, OrganisationNotFound, NotAllowed, InvalidInput.
        """
        now = self.clock()
        since = wish.from_time or now
        if wish.until_time is not None and wish.until_time <= max(since, now):
            raise InvalidInput("until_time is over before the role begins, or is past")
        with acting.changing(self.database, actor, now) as by:
            place = by.place(Right.ROLES, wish.organisation_id)
            identity = people.find_identity(by.connection, wish.identity_id)
            if identity is None or identity.role not in HOLDERS or not by.sees_identity(identity):
                raise IdentityNotFound("there is no such operator, auditor or API client")
            if identity.state is IdentityState.REMOVED:
                raise InvalidInput(f"{identity.display_name} was removed: invite somebody")
            check_other(identity.id, actor)
            found = grantable(by, wish.role, identity.role, place)
            found.check_end(wish.until_time, place)
            role = found.id
            for each in assignments.of(by.connection, identity):
                same = (each.role, each.organisation_id, each.until_time)
                wanted = (role, place, wish.until_time)
                if same == wanted and each.from_time <= since:
                    return _listing(by, each, identity)
            asked = replace(wish, organisation_id=place)
            deed = grant_wanted(asked, found, identity)
            by.need_second({HighRisk.GRANT_ROLE}, deed, self.second)
            granted = Assignment(
                id=new_id(now, self.random),
                identity_id=identity.id,
                role=role,
                organisation_id=place,
                from_time=since,
                until_time=wish.until_time,
                granted_by=str(actor),
                create_time=now,
            )
            put(by.connection, granted, identity, actor)
            return _listing(by, granted, identity)

    def withdraw(self, assignment_id: str, *, actor: Actor) -> AssignmentListing:
        """End somebody else's role; does nothing if it has ended already.

        Raises RoleNotFound, NotAllowed, LastOperator.
        """
        now = self.clock()
        with acting.changing(self.database, actor, now) as by:
            found = assignments.find(by.connection, assignment_id)
            if found is None or not by.held.has(Right.ROLES, found.organisation_id):
                raise RoleNotFound("there is no such role of anybody: cloudcard ra role show")
            check_other(found.identity_id, actor)
            identity = people.find_identity(by.connection, found.identity_id)
            if identity is None:
                raise RoleNotFound("nobody has this role any more")
            if not found.has_ended(now):
                end(by.connection, found, identity, now, actor)
                found = replace(found, until_time=now)
            return _listing(by, found, identity)


def grantable(by: Acting, role: str, kind: model.Role, organisation_id: str) -> Grantable:
    """A role that the actor can grant in an organisation, by its identifier or by its name, as it
    is called now. Raises InvalidInput for a role that is not there, or not for identities of a
    kind, and NotAllowed for one with a right that the actor does not have there: nobody hands out
    more than that.
    """
    above = set(upwards(organisation_id, organisations.parents(by.connection)))
    custom = custom_roles.of(by.connection, above)
    known = {each: (each, RIGHTS[each]) for each in RIGHTS} | {
        each.name: (each.id, each.rights) for each in custom
    }
    by_id = {each.id: (each.id, each.rights) for each in custom}
    found = by_id.get(role) or known.get(role)
    if found is None:
        raise InvalidInput(f"there is no role {role!r} there: use one of {', '.join(known)}")
    role_id, given = found
    if not is_held_by(role_id, kind):
        raise InvalidInput(f"{role} is no role of an {ActorKind[kind.name]}")
    for right in sorted(given):
        by.need(right, organisation_id)
    name = next(name for name, (each, _) in known.items() if each == role_id)
    return Grantable(role_id, name, *soonest_end(by, given, organisation_id))


def soonest_end(
    by: Acting, rights: Collection[Right], organisation_id: str
) -> tuple[Right | None, datetime | None]:
    """Which of some rights that the actor has in an organisation ends first, and when; None if none
    of them ends.
    """
    ends = [
        (end, each) for each in rights if (end := by.held.end(each, organisation_id)) is not None
    ]
    if not ends:
        return None, None
    end, right = min(ends)
    return right, end


def grant_first(by: Acting, own: str, identity: Identity, role: Grantable) -> None:
    """Grant a new identity its role, with an identifier, for as long as the actor can; or, if
    another operator has to approve that, ask for it: until then the identity has none.
    """
    now, place, end = identity.create_time, identity.organisation_id, role.until_time
    if by.is_high_risk({HighRisk.GRANT_ROLE}, place):
        wish = Wish(identity.id, role.id, place, None, end)
        acting.ask_second(by.connection, grant_wanted(wish, role, identity), by.actor, now)
        return
    granted = Assignment(own, identity.id, role.id, place, now, end, str(by.actor), now)
    put(by.connection, granted, identity, by.actor)


def grant_wanted(wish: Wish, role: Grantable, identity: Identity) -> Deed:
    """A grant as another operator is asked to approve it: of a role by its identifier, because it
    can have another name by then.
    """
    custom = {} if role.id in RIGHTS else {"role_name": role.name}
    terms = {
        "identity": identity.id,
        "role": role.id,
        **custom,
        "organisation": wish.organisation_id,
    }
    for name, time in (("from", wish.from_time), ("until", wish.until_time)):
        if time is not None:
            terms[name] = time.isoformat()
    about, place = identity.display_name, wish.organisation_id
    return Deed(Action.GRANT_ROLE, Right.ROLES, place, about, terms)


def check_manager_remains(
    connection: Connection, ended: Collection[Assignment], now: datetime
) -> None:
    """Raise LastOperator if without some assignments nobody is RA manager of the whole."""
    gone = {each.id for each in ended}
    known = {each.id for each in assignments.managers(connection, now)}
    if known and known <= gone:
        raise LastOperator(
            "nobody else is RA manager of the whole, and could invite another: cloudcard ra "
            "operator invite NAME, and go on when that operator has enrolled"
        )


def put(
    connection: Connection,
    granted: Assignment,
    identity: Identity,
    actor: Actor,
    about: Mapping[str, str] = BY_HAND,
) -> None:
    """Add an assignment, and tell the journal, also why there is one if nobody has granted it by
    hand.
    """
    assignments.add(connection, granted)
    said = {**_facts(connection, granted), "from": str(granted.from_time), **about}
    if granted.until_time is not None:
        said["until"] = str(granted.until_time)
    told = entries.about_identity(Kind.ROLE_GRANTED, identity, granted.create_time, actor, said)
    journal.append(connection, told)


def end(
    connection: Connection, granted: Assignment, identity: Identity, now: datetime, actor: Actor
) -> None:
    """End an assignment that has not ended, and tell the journal. Raises LastOperator."""
    check_manager_remains(connection, [granted], now)
    assignments.end(connection, granted, now)
    said = {**_facts(connection, granted), "from": str(granted.from_time), "until": str(now)}
    told = entries.about_identity(Kind.ROLE_WITHDRAWN, identity, now, actor, said)
    journal.append(connection, told)


def custom_listing(role: CustomRole, organisation_name: str) -> RoleListing:
    """A role that an organisation has defined, as lists show it."""
    return RoleListing(
        id=role.id,
        name=role.name,
        rights=_in_order(role.rights),
        built_in=False,
        organisation_id=role.organisation_id,
        organisation_name=organisation_name,
    )


def _listing(
    by: Acting,
    granted: Assignment,
    identity: Identity,
    called: Mapping[str, str] | None = None,
) -> AssignmentListing:
    called = called or custom_roles.names(by.connection, [granted.role])
    place = organisations.name(by.connection, granted.organisation_id)
    return AssignmentListing(granted, identity, called.get(granted.role, granted.role), place)


def _in_order(rights: Collection[Right]) -> tuple[Right, ...]:
    return tuple(each for each in Right if each in rights)


def check_other(identity_id: str, actor: Actor) -> None:
    """Raise NotAllowed for an actor's own roles."""
    if identity_id == actor.id:
        raise NotAllowed("nobody changes their own roles: ask another RA manager", Right.ROLES)


def _facts(connection: Connection, granted: Assignment) -> dict[str, str]:
    """What the journal says of an assignment; of a custom role, also which one of its name."""
    name = custom_roles.names(connection, [granted.role]).get(granted.role, granted.role)
    custom = {} if granted.role in RIGHTS else {"role_id": granted.role}
    return {
        "identity": granted.identity_id,
        "role": name,
        **custom,
        "organisation": granted.organisation_id,
    }

"""Organisations, and the policies that are set for them and for card profiles."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from cloud_keystore.audit import acting, entries, journal
from cloud_keystore.audit.acting import Acting
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.errors import InvalidInput, OrganisationExists
from cloud_keystore.model.fields.texts import LONGEST_DISPLAY_NAME, LONGEST_LABEL, text_field
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.organisations import ROOT, Organisation
from cloud_keystore.model.people import Identity
from cloud_keystore.model.policies import EVERY_TERM, Policy, PolicyVersion, Term, encode
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.model.rights.holding import upwards
from cloud_keystore.model.rights.requests import (
    Action,
    Deed,
    HighRisk,
    Second,
    SecondWanted,
)
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.people.policies import settling
from cloud_keystore.storage import organisations, policies
from cloud_keystore.storage.contacts import helping
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.rights import requests


@dataclass(frozen=True, slots=True)
class Organisations:
    """The use cases of organisations and policies. `second` is who approves what is done."""

    database: Database
    clock: Clock
    random: Random
    second: Second | None = None

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
                inherited = settling.put(
                    by, settling.changes(by, made.id), f"organisation {made.id}"
                )
                journal.append(by.connection, added, *inherited)
        except IntegrityError:
            raise OrganisationExists(f"there is an organisation {name} already") from None
        return made

    def change(
        self,
        organisation_id: str,
        name: str | None = None,
        parent_id: str | None = None,
        contact: str | None = None,
        *,
        actor: Actor,
    ) -> Organisation:
        """Give an organisation another name or place in the tree, or say whom its people ask for
        help (empty: whom those of the one above ask); None keeps what there is. Rights go with the
        place: whoever has some in the new one has them here too.

        Raises InvalidInput, OrganisationExists, OrganisationNotFound, NotAllowed.
        """
        now = self.clock()
        if name is not None:
            name = text_field("name", name, LONGEST_LABEL)
        if contact is not None:
            contact = text_field("help contact", contact, LONGEST_DISPLAY_NAME, required=False)
        try:
            with acting.changing(self.database, actor, now) as by:
                connection, place = by.connection, by.place(Right.POLICY, organisation_id or ROOT)
                before = _whole(connection, place)
                changed = replace(
                    before,
                    name=before.name if name is None else name,
                    help=before.help if contact is None else contact,
                )
                if parent_id is not None:
                    changed = replace(changed, parent_id=_new_parent(by, before, parent_id))
                if said := _changes(before, changed):
                    needed = requests.operations_in(connection, place)
                    _store(connection, before, changed)
                    if lost := needed - requests.operations_in(connection, place):
                        raise InvalidInput(
                            "parent_id is one above which nobody has named "
                            f"{', '.join(sorted(lost))} as of high risk: name that for the "
                            "organisation itself first (cloudcard ra request require)"
                        )
                    details = {"organisation": place, **said}
                    told = [entries.about_keystore(Kind.ORGANISATION_CHANGED, now, actor, details)]
                    if changed.parent_id != before.parent_id:
                        told += settling.follow_place(by, place)
                    journal.append(connection, *told)
        except IntegrityError:
            raise OrganisationExists(f"there is an organisation {name} already") from None
        return changed

    def list_all(self, *, actor: Actor) -> list[Organisation]:
        """The organisations that the actor sees, by name. A parent that the actor does not see is
        left out.
        """
        with acting.looking(self.database, actor, self.clock()) as by:
            by.need_somewhere(Right.VIEW)
            said = helping.own_contacts(by.connection)
            return [
                replace(
                    each,
                    parent_id=each.parent_id if by.held.sees(each.parent_id or ROOT) else "",
                    help=said.get(each.id, ""),
                )
                for each in organisations.list_all(by.connection)
                if by.held.sees(each.id)
            ]

    def set_policy(
        self,
        organisation_id: str,
        profile: str,
        policy: Policy,
        operator: Identity,
        own: tuple[str, ...] | None = None,
        locked: tuple[str, ...] = (),
    ) -> PolicyVersion:
        """Put a new version in force, for an organisation (empty: all) and a profile (empty: all).
        It sets the terms that `own` names, or all; the others are inherited from above. Those of
        them that are `locked` are set otherwise by no organisation below.

        It applies at once, also to open sessions, and for organisations below that inherit it.
        Raises OrganisationNotFound, NotAllowed, InvalidInput.
        """
        if profile and profile not in PROFILES:
            raise InvalidInput(f"there is no profile {profile}: ask for one of the list")
        terms = EVERY_TERM if own is None else frozenset(map(_term, own))
        fixed = frozenset(map(_term, locked))
        if unset := fixed - terms:
            raise InvalidInput(f"locked has {min(unset)}, which the policy does not set: set it")
        now = self.clock()
        with acting.changing(self.database, operator.actor, now) as by:
            connection = by.connection
            place = by.place(Right.POLICY, organisation_id or ROOT)
            given = PolicyVersion(organisation_id, profile, 1, policy, now, terms, locked=fixed)
            settling.check_locks(by, given)
            asked = {
                "organisation": organisation_id,
                "profile": profile,
                "document": encode(policy),
                **({} if terms == EVERY_TERM else {"own": " ".join(sorted(terms))}),
                **({"locked": " ".join(sorted(fixed))} if fixed else {}),
            }
            name = organisations.name(connection, place)
            wanted = Deed(Action.SET_POLICY, Right.POLICY, place, name, asked)
            by.need_second({HighRisk.POLICY}, wanted, self.second)
            first, *inherited = settling.changes(by, organisation_id, given)
            if self.second is None and settling.needs_second(by, inherited):
                raise SecondWanted(wanted)
            policies.add(connection, first.version, operator.id)
            said = {
                **first.details(),
                "own": " ".join(sorted(terms)),
                "locked": " ".join(sorted(fixed)),
                "old_locked": " ".join(sorted(first.before.locked)),
            }
            in_force = entries.about_keystore(Kind.POLICY_SET, now, operator.actor, said)
            journal.append(connection, in_force, *settling.put(by, inherited, first.version.name))
        return first.version

    def list_policies(self, *, earlier: bool, actor: Actor) -> list[PolicyVersion]:
        """The policies that are set, or all versions, with those that were inherited, by
        organisation, profile and version: those of all organisations, and of those that the actor
        sees.
        """
        with acting.looking(self.database, actor, self.clock()) as by:
            by.need_somewhere(Right.VIEW)
            found = policies.list_all(by.connection, earlier=earlier)
            return [
                each
                for each in found
                if (each.own or earlier)
                and (not each.organisation_id or by.held.sees(each.organisation_id))
            ]


def _term(name: str) -> Term:
    """A term that a caller names; raises InvalidInput if there is no such one."""
    try:
        return Term(name)
    except ValueError:
        raise InvalidInput(f"own has {name!r}: use some of {', '.join(Term)}") from None


def _whole(connection: Connection, organisation_id: str) -> Organisation:
    found = organisations.find(connection, organisation_id)
    if found is None:
        raise organisations.missing(organisation_id)
    return replace(found, help=helping.own_contacts(connection).get(organisation_id, ""))


def _new_parent(by: Acting, moved: Organisation, parent_id: str) -> str:
    """The place to which an organisation moves: the actor has the right there, and where it is.
    Raises InvalidInput, OrganisationNotFound, NotAllowed.
    """
    parent = by.place(Right.POLICY, parent_id or ROOT)
    if moved.id == ROOT:
        raise InvalidInput("organisation is the one above all others, which stays where it is")
    if parent == moved.parent_id:
        return parent
    # Whoever has rights above loses them here.
    by.need(Right.POLICY, moved.parent_id)
    if moved.id in upwards(parent, organisations.parents(by.connection)):
        raise InvalidInput("parent is the organisation itself, or one below it: name another one")
    return parent


def _changes(before: Organisation, changed: Organisation) -> dict[str, Detail]:
    """What of an organisation is changed, as details of an entry: the old and the new values."""
    details: dict[str, Detail] = {}
    for word, old, new in (
        ("name", before.name, changed.name),
        ("parent", before.parent_id, changed.parent_id),
        ("help", before.help, changed.help),
    ):
        if old != new:
            details |= {f"old_{word}": old, word: new}
    return details


def _store(connection: Connection, before: Organisation, changed: Organisation) -> None:
    if changed.name != before.name:
        organisations.rename(connection, changed.id, changed.name)
    if changed.parent_id != before.parent_id:
        organisations.move(connection, changed.id, changed.parent_id)
    if changed.help != before.help:
        helping.put(connection, changed.id, changed.help)

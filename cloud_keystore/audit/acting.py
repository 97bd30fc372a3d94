"""Who acts, and with which rights: the one check of operators and auditors, in the transaction of
what they do. What they may not see is to them as what does not exist.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from itertools import count

from sqlalchemy import Connection

from cloud_keystore.audit import entries, journal
from cloud_keystore.model.actors import NAMELESS, Actor
from cloud_keystore.model.cards import Card
from cloud_keystore.model.clock import Random, new_id
from cloud_keystore.model.errors import (
    IdentityRejected,
    InvalidInput,
    NotAllowed,
    RequestClosed,
    SecondNeeded,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.organisations import ROOT
from cloud_keystore.model.people import Identity, Role, User
from cloud_keystore.model.rights.holding import Held, upwards
from cloud_keystore.model.rights.requests import (
    MOST_OPEN,
    REQUEST_TIME,
    Deed,
    HighRisk,
    Request,
    RequestState,
    Second,
    SecondWanted,
    encode,
)
from cloud_keystore.model.rights.roles import Assignment, Right
from cloud_keystore.storage import cards, organisations, people
from cloud_keystore.storage.contacts import memberships
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.rights import assignments, custom_roles, requests

# Whoever can write to the data folder, and the keystore itself.
EVERYTHING = Held({ROOT: frozenset(Right)}, {})


@dataclass(frozen=True, slots=True)
class Acting:
    """An actor in a transaction, with the rights that hold in it."""

    connection: Connection
    actor: Actor
    held: Held
    now: datetime

    def need(self, right: Right, organisation_id: str) -> None:
        """Raise NotAllowed unless the actor has a right in an organisation."""
        if not self.held.has(right, organisation_id):
            seen = self.held.sees(organisation_id)
            where = f" in {organisations.name(self.connection, organisation_id)}" if seen else ""
            raise NotAllowed(
                f"no role of yours has the right {right.value!r}{where}: ask an RA manager",
                right,
                organisation_id,
            )

    def need_somewhere(self, right: Right) -> None:
        """Raise NotAllowed unless the actor has a right in any organisation."""
        if not self.held.where(right):
            raise NotAllowed(
                f"no role of yours has the right {right.value!r}: ask an RA manager", right
            )

    def is_high_risk(self, operations: Collection[HighRisk], organisation_id: str) -> bool:
        """Whether another operator has to approve one of some operations of the actor's. Whoever
        can write to the data folder needs nobody.
        """
        if self.actor.kind in NAMELESS:
            return False
        named = requests.operations_in(self.connection, organisation_id)
        return not named.isdisjoint(operations)

    def need_second(
        self, operations: Collection[HighRisk], wanted: Deed, second: Second | None
    ) -> None:
        """Raise SecondWanted for an operation of high risk that nobody else approves: the
        transaction is undone, and a request made. The approval of a second is spent here, with what
        it approves. Raises RequestClosed, NotAllowed, IdentityRejected.
        """
        if second is None:
            if self.is_high_risk(operations, wanted.organisation_id):
                raise SecondWanted(wanted)
            return
        made = requests.find(self.connection, second.request_id)
        if (
            made is None
            or not made.is_open(self.now)
            or made.wanted != wanted
            or made.asked_by != self.actor.id
            or made.asked_by == second.actor.id
        ):
            raise RequestClosed("this is not what was asked for any more: refuse it")
        theirs = held_by(self.connection, second.actor, self.now)
        Acting(self.connection, second.actor, theirs, self.now).need(
            wanted.right, wanted.organisation_id
        )
        state, by = RequestState.APPROVED, second.actor
        requests.decide(self.connection, made, state, by.id, self.now)
        said = request_facts(made)
        told = entries.about_keystore(Kind.REQUEST_APPROVED, self.now, by, said)
        journal.append(self.connection, told)

    def place(self, right: Right, organisation_id: str) -> str:
        """The organisation that is named, or else the one where the actor has the right. Raises
        OrganisationNotFound, NotAllowed, and InvalidInput if it has to be named.
        """
        if organisation_id:
            if not self.held.sees(organisation_id):
                raise organisations.missing(organisation_id)
            organisations.check(self.connection, organisation_id)
            self.need(right, organisation_id)
            return organisation_id
        self.need_somewhere(right)
        where = self.held.where(right)
        if ROOT in where:
            return ROOT
        if len(where) > 1:
            raise InvalidInput("organisation_id is missing: you act for several, so name one")
        return where[0]

    def user(self, user_id: str, right: Right) -> User:
        """A user for whom the actor has a right; raises UserNotFound, NotAllowed."""
        found = people.find_user(self.connection, user_id)
        if found is None or not self._sees(found):
            raise people.missing_user(user_id)
        self._need_for(right, found)
        return found

    def card(self, serial: str, right: Right) -> Card:
        """A card, which belongs to its holder's organisation, for which the actor has a right;
        raises CardNotFound, NotAllowed.
        """
        found = cards.named(self.connection, serial)
        holder = people.holder(self.connection, found)
        if not self._sees(holder):
            raise cards.missing_card(serial)
        self._need_for(right, holder)
        return found

    def sees_identity(self, identity: Identity) -> bool:
        """Whether an identity is shown to the actor: a device as its holder."""
        match identity.role:
            case Role.DEVICE:
                return self.sees_user(identity.user_id)
            case Role.SEAT:
                return self.sees_user(identity.user_id)
            case Role.WORKSTATION | Role.SHARED_DEVICE:
                return self.held.sees(identity.organisation_id)
            case Role.OPERATOR | Role.AUDITOR | Role.CLIENT:
                return self.held.sees_staff(identity.organisation_id)
            case Role.HOLDER:  # who is no identity of the database
                return False

    def seen_organisations(self) -> Collection[str] | None:
        """Identifiers of the organisations that the actor sees; None for all."""
        if self.held.sees_all:
            return None
        return [
            each.id for each in organisations.list_all(self.connection) if self.held.sees(each.id)
        ]

    def below(self, organisation_id: str) -> Collection[str] | None:
        """Identifiers of an organisation that the actor sees and of those below it; None for all if
        none is named. Raises OrganisationNotFound.
        """
        if not organisation_id:
            return None
        if not self.held.sees(organisation_id):
            raise organisations.missing(organisation_id)
        organisations.check(self.connection, organisation_id)
        above = organisations.parents(self.connection)
        every = organisations.list_all(self.connection)
        return [each.id for each in every if organisation_id in upwards(each.id, above)]

    def seen_staff(self) -> Collection[str] | None:
        """Identifiers of the organisations whose operators, auditors and API clients the actor
        sees; None for all.
        """
        if self.held.sees_staff(ROOT):
            return None
        known = organisations.list_all(self.connection)
        return [each.id for each in known if self.held.sees_staff(each.id)]

    def seen_users(self, ids: Collection[str]) -> Collection[str]:
        """Those of some users whom the actor sees."""
        seen = self.seen_organisations()
        return ids if seen is None else people.of_organisations(self.connection, ids, seen)

    def sees_user(self, user_id: str | None) -> bool:
        """Whether a user is shown to the actor."""
        if self.held.sees_all:
            return True
        found = people.find_user(self.connection, user_id or "")
        return found is not None and self._sees(found)

    def _sees(self, user: User) -> bool:
        """Whether a user is shown, of whom any of the user's organisations is."""
        return self.held.sees(user.organisation_id) or any(
            self.held.sees(each.organisation_id)
            for each in memberships.of(self.connection, user.id)
        )

    def _need_for(self, right: Right, user: User) -> None:
        """Raise NotAllowed unless the actor has a right in a user's own organisation; to look, in
        any of the user's.
        """
        if right is Right.VIEW and not self.held.has(right, user.organisation_id):
            for each in memberships.of(self.connection, user.id):
                if self.held.has(right, each.organisation_id):
                    return
        self.need(right, user.organisation_id)


@contextmanager
def looking(database: Database, actor: Actor, now: datetime) -> Iterator[Acting]:
    """A transaction in which an actor reads. Raises IdentityRejected, and what `Database.read`
    raises; tells the journal of what the block refuses.
    """
    with _told(database, actor, now), database.read() as connection:
        yield Acting(connection, actor, held_by(connection, actor, now), now)


@contextmanager
def changing(
    database: Database, actor: Actor, now: datetime, *, shared: bool = False
) -> Iterator[Acting]:
    """A transaction in which an actor changes something. Raises IdentityRejected if the actor was
    removed meanwhile, and what `Database.write` raises; tells the journal of what the block
    refuses. What another operator has to approve becomes a request, and raises SecondNeeded.
    """
    with _told(database, actor, now), database.write(shared=shared) as connection:
        yield Acting(connection, actor, held_by(connection, actor, now), now)


def held_by(connection: Connection, actor: Actor, now: datetime) -> Held:
    """The rights of an actor; raises IdentityRejected for an identity that is not active."""
    if actor.kind in NAMELESS:
        return EVERYTHING
    identity = people.find_identity(connection, actor.id)
    if identity is None or identity.actor != actor or not identity.is_active(now):
        raise IdentityRejected(f"this {actor.kind} was removed: ask another one, or enrol again")
    granted: defaultdict[str, frozenset[Right]] = defaultdict(frozenset)
    found = [each for each in assignments.of(connection, identity) if each.is_in_force(now)]
    rights = custom_roles.rights(connection, {each.role for each in found})
    for each in found:
        granted[each.organisation_id] |= rights.get(each.role, frozenset())
    parents = organisations.parents(connection) if granted.keys() - {ROOT} else {}
    return Held(dict(granted), parents, _ends(found, rights))


def _ends(
    granted: Collection[Assignment], rights: Mapping[str, frozenset[Right]]
) -> Mapping[tuple[str, Right], datetime]:
    """When rights end, where they were granted with an end alone."""
    found: dict[tuple[str, Right], datetime] = {}
    endless = set[tuple[str, Right]]()
    for each in granted:
        for right in rights.get(each.role, ()):
            what = (each.organisation_id, right)
            if each.until_time is None:
                endless.add(what)
            else:
                found[what] = max(found.get(what, each.until_time), each.until_time)
    return {what: end for what, end in found.items() if what not in endless}


def may(
    connection: Connection, actor: Actor, right: Right, organisation_id: str, now: datetime
) -> bool:
    """Whether an actor is active, and has a right in an organisation, in this transaction."""
    try:
        return held_by(connection, actor, now).has(right, organisation_id)
    except IdentityRejected:
        return False


@contextmanager
def _told(database: Database, actor: Actor, now: datetime) -> Iterator[None]:
    """Write down what is refused in the block, whose own transaction ends with nothing done."""
    try:
        yield
    except NotAllowed as refused:
        said = {"right": refused.right, "organisation": refused.organisation_id}
        entry = entries.about_keystore(Kind.RIGHT_REFUSED, now, actor, said)
        with database.write(shared=True) as connection:
            journal.append(connection, entry)
        raise
    except SecondWanted as waits:
        with database.write() as connection:
            made = ask_second(connection, waits.wanted, actor, now)
        raise SecondNeeded(
            f"another operator has to approve this until {made.expire_time:%Y-%m-%d %H:%M} UTC: "
            f"cloudcard ra request approve {made.id}"
        ) from None


def ask_second(connection: Connection, wanted: Deed, actor: Actor, now: datetime) -> Request:
    """Make a request of an operator; whoever repeats it gets the same. Raises SecondNeeded if the
    operator has asked for too much that nobody has decided about.
    """
    waiting = requests.open_of(connection, actor.id, now)
    for each in waiting:
        if each.wanted == wanted:
            return each
    if len(waiting) >= MOST_OPEN:
        raise SecondNeeded(
            f"another operator has to approve this, and {MOST_OPEN} requests of yours wait "
            "already: let some be decided first (cloudcard ra request list)"
        )
    own = _free_id(connection, f"{actor} {wanted.action} {encode(wanted.terms)}", now)
    made = Request(own, wanted, actor.id, now, now + REQUEST_TIME)
    requests.add(connection, made)
    told = entries.about_keystore(Kind.REQUEST_MADE, now, actor, request_facts(made))
    journal.append(connection, told)
    return made


def _free_id(connection: Connection, text: str, now: datetime) -> str:
    """An identifier for a request. It is no secret: what is asked for, and when, make it."""
    turns = (new_id(now, _drawn(f"{turn} {text}")) for turn in count())
    return next(each for each in turns if requests.find(connection, each) is None)


def _drawn(text: str) -> Random:
    digest = sha256(text.encode()).digest()
    return lambda number: digest[:number]


def request_facts(made: Request) -> dict[str, str]:
    """What the journal says of a request."""
    return {
        "request": made.id,
        "action": made.wanted.action.value,
        "about": made.wanted.about,
        "organisation": made.wanted.organisation_id,
        "asked_by": made.asked_by,
        "terms": encode(made.wanted.terms),
    }

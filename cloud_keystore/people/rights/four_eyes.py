"""Which operations are of high risk, so that another operator has to approve them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from cloud_keystore.audit import acting, entries, journal
from cloud_keystore.audit.acting import Acting
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import InvalidInput, NobodyElse
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import Role
from cloud_keystore.model.rights.requests import Action, Deed, HighRisk, Second, spelled
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.storage import organisations, people
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.rights import requests

# What whoever approves an operation needs.
NEEDED = {
    HighRisk.REVOKE: Right.REVOKE,
    HighRisk.REVOKE_COMPROMISED: Right.REVOKE,
    HighRisk.CLOSE_USER: Right.REVOKE,
    HighRisk.GRANT_ROLE: Right.ROLES,
    HighRisk.POLICY: Right.POLICY,
}


@dataclass(frozen=True, slots=True)
class FourEyesListing:
    """What an organisation has named, as lists show it."""

    organisation_id: str
    organisation_name: str
    operations: tuple[HighRisk, ...]


@dataclass(frozen=True, slots=True)
class FourEyes:
    """Says which operations are of high risk, for an organisation and those below it. `second` is
    who approves what is done.
    """

    database: Database
    clock: Clock
    second: Second | None = None

    def require(
        self, operations: Collection[str], organisation_id: str = "", *, actor: Actor
    ) -> FourEyesListing:
        """Name the operations of high risk of an organisation, in place of those that it has named.
        Those above it stay. To take one back, somebody else has to approve that.

        Raises InvalidInput, OrganisationNotFound, NotAllowed, NobodyElse.
        """
        known = {each.value: each for each in HighRisk}
        for each in operations:
            if each not in known:
                raise InvalidInput(f"operations has {each!r}: use some of {', '.join(known)}")
        wanted = frozenset(known[each] for each in operations)
        now = self.clock()
        with acting.changing(self.database, actor, now) as by:
            place = by.place(Right.POLICY, organisation_id)
            before = requests.all_operations(by.connection).get(place, frozenset())
            if wanted != before:
                _check_second_is_there(by, wanted - before, place)
                if removed := before - wanted:
                    terms = {"operations": spelled(wanted), "organisation": place}
                    name = organisations.name(by.connection, place)
                    change = Deed(Action.SET_FOUR_EYES, Right.POLICY, place, name, terms)
                    by.need_second(removed, change, self.second)
                requests.set_operations(by.connection, place, wanted)
                said = {
                    "organisation": place,
                    "old_operations": spelled(before),
                    "operations": spelled(wanted),
                }
                told = entries.about_keystore(Kind.FOUR_EYES_SET, now, actor, said)
                journal.append(by.connection, told)
            return _listing(by, place, wanted)

    def list_all(self, *, actor: Actor) -> list[FourEyesListing]:
        """What organisations that the actor sees, and those above them, have named."""
        with acting.looking(self.database, actor, self.clock()) as by:
            by.need_somewhere(Right.VIEW)
            return [
                _listing(by, place, operations)
                for place, operations in sorted(requests.all_operations(by.connection).items())
                if operations and by.held.sees_of(place)
            ]


def _check_second_is_there(by: Acting, added: Collection[HighRisk], organisation_id: str) -> None:
    """Raise NobodyElse unless somebody else could approve each operation, and take it back."""
    others = [
        acting.held_by(by.connection, each.actor, by.now)
        for each in people.list_identities(by.connection, Role.OPERATOR)
        if each.id != by.actor.id and each.is_active(by.now)
    ]
    for right in sorted({NEEDED[each] for each in added} | ({Right.POLICY} if added else set())):
        if not any(each.has(right, organisation_id) for each in others):
            raise NobodyElse(
                f"nobody else there has the right {right.value!r}, and could approve: invite an "
                "operator first (cloudcard ra operator invite NAME)"
            )


def _listing(by: Acting, place: str, operations: frozenset[HighRisk]) -> FourEyesListing:
    name = organisations.name(by.connection, place)
    return FourEyesListing(place, name, tuple(each for each in HighRisk if each in operations))

"""Which person an operator is: groups of directories have people as members, and roles are those of
operators. Only an RA manager says so, because it gives the operator whatever groups of that person
give in the RA manager's organisation, now and later.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from cloud_keystore.audit import acting, entries, journal
from cloud_keystore.audit.acting import Acting
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.directories.groups import OperatorPerson
from cloud_keystore.model.errors import IdentityNotFound, InvalidInput
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import Identity, IdentityState, Role, User
from cloud_keystore.model.rights.oidc import LONGEST_SUBJECT, is_plain
from cloud_keystore.model.rights.requests import Action, Deed, HighRisk, Second
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.people.identities import named
from cloud_keystore.people.programs import giving
from cloud_keystore.people.roles import check_other, soonest_end
from cloud_keystore.storage import organisations, people
from cloud_keystore.storage.directories import mappings
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.rights import visits


@dataclass(frozen=True, slots=True)
class OperatorListing:
    """An operator and the person who that is, as lists show them."""

    said: OperatorPerson
    operator: Identity
    user: User
    organisation_name: str


@dataclass(frozen=True, slots=True)
class Operators:
    """Says which persons operators are. `second` is who approves what is done."""

    database: Database
    clock: Clock
    random: Random
    second: Second | None = None
    issuer: str = ""  # of the OpenID provider by which operators log in; empty: by none

    def identify(
        self,
        operator_id: str,
        user_id: str,
        organisation_id: str = "",
        subject: str = "",
        *,
        actor: Actor,
    ) -> OperatorListing:
        """Say which person another operator is, in an organisation where the actor has all rights,
        and below it; for as long as the actor has them; and, if it is given, as whom the OpenID
        provider knows the operator, who logs in by that. Who repeats this says nothing more. Raises
        IdentityNotFound, UserNotFound, UserClosed, OrganisationNotFound, NotAllowed, InvalidInput.
        """
        now, issuer = self.clock(), self._issuer_of(subject)
        with acting.changing(self.database, actor, now) as by:
            place = by.place(Right.ROLES, organisation_id)
            for each in Right:
                by.need(each, place)
            operator = _operator(by, operator_id)
            by.user(user_id, Right.VIEW)
            user = people.present(by.connection, user_id)
            before = mappings.person(by.connection, operator.id)
            if before is not None:
                told = before.user_id, before.organisation_id, before.issuer, before.subject
                if told == (user.id, place, issuer, subject or None):
                    return _listing(by, before)
                raise InvalidInput(
                    f"{operator.display_name} is said to be a person already: take that back first "
                    "(cloudcard ra directory operator --nobody)"
                )
            terms = {"operator": operator.id, "user": user.id, "organisation": place}
            about = f"{operator.display_name} ({user.display_name})"
            if issuer is not None:
                # Another issuer's subject of that name is somebody else, whom nobody approves.
                terms |= {"subject": subject, "issuer": issuer}
                about = f"{about}, subject {subject} of {issuer}"
            deed = Deed(Action.IDENTIFY_OPERATOR, Right.ROLES, place, about, terms)
            by.need_second({HighRisk.GRANT_ROLE}, deed, self.second)
            _, end = soonest_end(by, frozenset(Right), place)
            own = new_id(now, self.random)
            said = OperatorPerson(own, operator.id, user.id, place, end, str(actor), now)
            if issuer is not None:
                said = replace(said, issuer=issuer, subject=subject)
            mappings.identify(by.connection, said)
            tell(by, Kind.OPERATOR_IDENTIFIED, said, operator)
            giving.settle(by, self.random, [user.id])
            return _listing(by, said)

    def _issuer_of(self, subject: str) -> str | None:
        """Who knows an operator as a subject; None for no subject. Raises InvalidInput."""
        if not subject:
            return None
        if not self.issuer:
            raise InvalidInput(
                "this keystore has no OpenID provider: have it started with --web-oidc-issuer"
            )
        if not is_plain(subject, LONGEST_SUBJECT):
            raise InvalidInput(
                f"a subject has 1 to {LONGEST_SUBJECT} characters of ASCII without spaces: take "
                "what the OpenID provider calls sub"
            )
        return self.issuer

    def forget(self, operator_id: str, *, actor: Actor) -> OperatorListing:
        """Say no more which person another operator is, and end the roles that groups have given,
        and all visits: the person can have begun one by a card, or at an OpenID provider. Raises
        IdentityNotFound, NotAllowed, LastOperator.
        """
        with acting.changing(self.database, actor, self.clock()) as by:
            by.need_somewhere(Right.ROLES)
            operator = _operator(by, operator_id)
            said = mappings.person(by.connection, operator.id)
            if said is None:
                raise IdentityNotFound(
                    "nobody has said which person this operator is: cloudcard ra directory "
                    "operators"
                )
            by.need(Right.ROLES, said.organisation_id)
            listing = _listing(by, said)
            for each in mappings.given_to(by.connection, operator.id):
                giving.take(by, each, forget=True)
            mappings.forget(by.connection, operator.id)
            visits.end_all(by.connection, Role.OPERATOR, operator.id, by.now)
            tell(by, Kind.OPERATOR_FORGOTTEN, said, operator)
        return listing

    def list_all(self, *, actor: Actor) -> list[OperatorListing]:
        """The operators of whom it is said which person they are, where the actor grants roles."""
        with acting.looking(self.database, actor, self.clock()) as by:
            by.need_somewhere(Right.ROLES)
            return [
                _listing(by, each)
                for each in mappings.persons(by.connection)
                if by.held.has(Right.ROLES, each.organisation_id)
            ]


def _operator(by: Acting, operator_id: str) -> Identity:
    """Another operator, who was not removed; raises IdentityNotFound, InvalidInput, NotAllowed."""
    found = named(by, Role.OPERATOR, operator_id)
    if found.state is IdentityState.REMOVED:
        raise InvalidInput(f"{found.display_name} was removed: invite somebody")
    by.need(Right.ROLES, found.organisation_id)
    check_other(found.id, by.actor)
    return found


def tell(by: Acting, kind: Kind, said: OperatorPerson, operator: Identity) -> None:
    """Write into the journal what was said of an operator."""
    facts = {
        "identity": said.identity_id,
        "user": said.user_id,
        "organisation": said.organisation_id,
    }
    if said.issuer is not None and said.subject is not None:
        facts |= {"issuer": said.issuer, "subject": said.subject}
    journal.append(by.connection, entries.about_identity(kind, operator, by.now, by.actor, facts))


def _listing(by: Acting, said: OperatorPerson) -> OperatorListing:
    operator = people.find_identity(by.connection, said.identity_id)
    if operator is None:
        raise IdentityNotFound("there is no such operator: cloudcard ra operator list")
    place = organisations.name(by.connection, said.organisation_id)
    return OperatorListing(said, operator, people.user(by.connection, said.user_id), place)

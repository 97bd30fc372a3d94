"""People belong to several organisations: to their own, whose operators look after them and whose
policies count, and to others, whose operators see them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from cloud_keystore.audit import acting, entries, journal
from cloud_keystore.audit.acting import Acting
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.errors import InvalidInput, LastMembership
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.organisations import Membership
from cloud_keystore.model.people import User
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.storage import organisations, people
from cloud_keystore.storage.contacts import memberships
from cloud_keystore.storage.engine import Database

MOST_ORGANISATIONS = 20  # of one person


@dataclass(frozen=True, slots=True)
class MembershipListing:
    """An organisation to which a person belongs."""

    organisation_id: str
    organisation_name: str
    own: bool  # whether its operators look after the person
    since: datetime


@dataclass(frozen=True, slots=True)
class Memberships:
    """Lets people join organisations and leave them."""

    database: Database
    clock: Clock
    random: Random

    def join(
        self, user_id: str, organisation_id: str, *, actor: Actor
    ) -> Sequence[MembershipListing]:
        """Let a person belong to one more organisation, by whoever looks after people in both.
        Repeated, it changes nothing. Raises UserNotFound, UserClosed, OrganisationNotFound,
        NotAllowed, InvalidInput.
        """
        now = self.clock()
        if not organisation_id:
            raise InvalidInput("organisation_id is missing: name the organisation")
        with acting.changing(self.database, actor, now) as by:
            connection, user = by.connection, by.user(user_id, Right.PEOPLE)
            people.present(connection, user.id)
            place = by.place(Right.PEOPLE, organisation_id)
            joined = memberships.of(connection, user.id)
            if place in {user.organisation_id, *(each.organisation_id for each in joined)}:
                return listings(by, user)
            if len(joined) + 1 >= MOST_ORGANISATIONS:
                raise InvalidInput(
                    f"organisation_id is one too many: a person belongs to {MOST_ORGANISATIONS}"
                )
            memberships.add(connection, Membership(new_id(now, self.random), user.id, place, now))
            _tell(connection, Kind.MEMBERSHIP_ADDED, user, now, actor, {"organisation": place})
            return listings(by, user)

    def leave(
        self, user_id: str, organisation_id: str, *, actor: Actor
    ) -> Sequence[MembershipListing]:
        """Let a person no longer belong to an organisation, by whoever looks after people there, or
        in the person's own one. Who leaves that gets another one, which was joined first. Raises
        UserNotFound, UserClosed, OrganisationNotFound, NotAllowed, InvalidInput, LastMembership.
        """
        now = self.clock()
        with acting.changing(self.database, actor, now) as by:
            connection, user = by.connection, by.user(user_id, Right.VIEW)
            people.present(connection, user.id)
            if not by.held.sees(organisation_id):
                raise organisations.missing(organisation_id)
            own = user.organisation_id
            others = [
                each for each in memberships.of(connection, user.id) if each.organisation_id != own
            ]
            said: dict[str, Detail] = {"organisation": organisation_id}
            if organisation_id == own:
                by.need(Right.PEOPLE, own)
                if not others:
                    raise LastMembership(
                        f"{user.display_name} belongs to no other organisation: join another one "
                        "first, or close the person (cloudcard ra user close)"
                    )
                following = others[0].organisation_id
                memberships.drop(connection, user.id, following)
                user = replace(user, organisation_id=following)
                people.change_user(connection, user)
                said["own_organisation"] = following
            elif organisation_id not in {each.organisation_id for each in others}:
                raise InvalidInput(
                    f"{user.display_name} does not belong there: cloudcard ra user show"
                )
            elif not by.held.has(Right.PEOPLE, own):
                by.need(Right.PEOPLE, organisation_id)
            memberships.drop(connection, user.id, organisation_id)
            _tell(connection, Kind.MEMBERSHIP_ENDED, user, now, actor, said)
            return listings(by, user)


def listings(by: Acting, user: User) -> tuple[MembershipListing, ...]:
    """The organisations of a person that an actor sees, the person's own first."""
    own = Membership("", user.id, user.organisation_id, user.create_time)
    joined = memberships.of(by.connection, user.id)
    others = [each for each in joined if each.organisation_id != user.organisation_id]
    return tuple(
        MembershipListing(
            each.organisation_id,
            organisations.name(by.connection, each.organisation_id),
            each is own,
            each.create_time,
        )
        for each in (own, *others)
        if by.held.sees(each.organisation_id)
    )


def _tell(
    connection: Connection,
    kind: Kind,
    user: User,
    now: datetime,
    actor: Actor,
    said: dict[str, Detail],
) -> None:
    journal.append(connection, entries.about_user(kind, user, now, actor, said))

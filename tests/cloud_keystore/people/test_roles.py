"""Roles: they hold where and while they were granted, and nobody gets more than was granted."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import insert, update

from cloud_keystore.audit.acting import Acting
from cloud_keystore.model.errors import (
    IdentityNotFound,
    IdentityRejected,
    InvalidInput,
    LastOperator,
    NotAllowed,
    OrganisationNotFound,
    RoleNotFound,
    UserExists,
    UserNotFound,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.organisations import ROOT
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.model.rights.holding import Held
from cloud_keystore.model.rights.roles import RIGHTS, BuiltIn, Right
from cloud_keystore.people.roles import AssignmentListing, Wish, grantable
from cloud_keystore.storage import organisations, people, tables
from cloud_keystore.storage.rights.assignments import assignment
from support.keystore_world import OPERATOR, World


@pytest.fixture
def manager(world: World) -> Identity:
    """An RA manager of the whole."""
    return world.operator().identity


@pytest.fixture
def ours(world: World, manager: Identity) -> str:
    return world.organisations.add("Ours", manager).id


@pytest.fixture
def theirs(world: World, manager: Identity) -> str:
    return world.organisations.add("Theirs", manager).id


def agent(world: World, place: str, role: str = BuiltIn.RA_AGENT) -> Identity:
    """An operator with a role in an organisation."""
    return world.enrol(world.people.add_operator("Ida", role, place, actor=OPERATOR).text).identity


def granted(world: World, whom: Identity) -> list[AssignmentListing]:
    return [each for each in world.roles.list_all(actor=OPERATOR) if each.identity.id == whom.id]


def add(world: World, who: Identity, place: str = "", name: str = "Ada") -> str:
    user, _ = world.people.add_user(name, "", organisation_id=place, actor=who.actor)
    assert user.organisation_id == (place or user.organisation_id)
    return user.id


def test_a_role_holds_in_its_organisation_and_below(
    world: World, manager: Identity, ours: str, theirs: str
) -> None:
    ward = world.organisations.add("Ward 7", manager, ours).id
    ida = agent(world, ours)
    add(world, ida, ward)
    user = add(world, ida, name="Bo")  # of the one organisation for which she acts
    with pytest.raises(OrganisationNotFound, match=theirs):
        add(world, ida, theirs)
    with pytest.raises(OrganisationNotFound):
        add(world, ida, ROOT)
    names = {each.user.display_name for each in world.people.list_users(actor=ida.actor)}
    assert names == {"Ada", "Bo"}
    with pytest.raises(UserNotFound):
        world.showing.show(user, agent(world, theirs))
    seen = world.organisations.list_all(actor=ida.actor)
    assert [(each.name, each.parent_id) for each in seen] == [("Ours", ""), ("Ward 7", ours)]


def test_an_agent_of_two_organisations_issues_for_the_other_one(
    world: World, ours: str, theirs: str
) -> None:
    """CARD-08: with the right in both, and refused and told without it."""
    ida = agent(world, ours)
    user = add(world, ida)
    with pytest.raises(OrganisationNotFound):
        world.issuing.issue(os.urandom(16), user, "p256", theirs, actor=ida.actor)
    world.roles.grant(Wish(ida.id, BuiltIn.SPONSOR, theirs), actor=OPERATOR)
    with pytest.raises(NotAllowed, match="'issue' in Theirs"):
        world.issuing.issue(os.urandom(16), user, "p256", theirs, actor=ida.actor)
    (told,) = world.journal(Kind.RIGHT_REFUSED)
    assert told.actor == ida.actor
    assert told.details == {"right": "issue", "organisation": theirs}
    world.roles.grant(Wish(ida.id, BuiltIn.RA_AGENT, theirs), actor=OPERATOR)
    made = world.issuing.issue(os.urandom(16), user, "p256", theirs, actor=ida.actor)
    assert made.card.organisation_id == theirs
    assert world.issuing.issue(os.urandom(16), user, "p256", actor=ida.actor).card.user_id == user


def test_who_acts_for_several_names_one(world: World, ours: str, theirs: str) -> None:
    ida = agent(world, ours)
    world.roles.grant(Wish(ida.id, BuiltIn.RA_AGENT, theirs), actor=OPERATOR)
    with pytest.raises(InvalidInput, match="organisation_id"):
        world.people.add_user("Ada", "", actor=ida.actor)
    add(world, ida, theirs)


def test_a_role_begins_and_ends_by_its_dates(world: World, ours: str) -> None:
    ida = agent(world, ours, BuiltIn.SUPPORT)
    now = world.clock()
    wish = Wish(ida.id, BuiltIn.RA_AGENT, ours, now + timedelta(days=1), now + timedelta(days=2))
    world.roles.grant(wish, actor=OPERATOR)
    states = []
    for _ in range(3):
        try:
            add(world, ida, name=f"Ada {world.clock().day}")
            states.append("allowed")
        except NotAllowed:
            states.append("refused")
        world.clock.forward(days=1)
    assert states == ["refused", "allowed", "refused"]
    states = {each.assignment.role: each.assignment.state_at(now) for each in granted(world, ida)}
    assert states == {"support": "in force", "ra-agent": "will begin"}


def test_nobody_grants_or_withdraws_a_role_of_their_own(world: World, manager: Identity) -> None:
    own = granted(world, manager)[0].assignment.id
    with pytest.raises(NotAllowed, match="their own"):
        world.roles.grant(Wish(manager.id, BuiltIn.RA_AGENT), actor=manager.actor)
    with pytest.raises(NotAllowed, match="their own"):
        world.roles.withdraw(own, actor=manager.actor)
    assert len(granted(world, manager)) == 1


def test_nobody_grants_where_they_are_no_manager(world: World, ours: str, theirs: str) -> None:
    mine = agent(world, ours, BuiltIn.RA_MANAGER)
    ida, otto = agent(world, ours), agent(world, theirs)
    for place in (theirs, ROOT):
        with pytest.raises(OrganisationNotFound):
            world.roles.grant(Wish(ida.id, BuiltIn.RA_AGENT, place), actor=mine.actor)
        with pytest.raises(OrganisationNotFound):
            world.people.add_operator("Eve", "", place, actor=mine.actor)
    with pytest.raises(IdentityNotFound):
        world.roles.grant(Wish(otto.id, BuiltIn.RA_AGENT), actor=mine.actor)
    with pytest.raises(RoleNotFound):
        world.roles.withdraw(granted(world, otto)[0].assignment.id, actor=mine.actor)
    # Who has a role elsewhere too is not removed by those who could not have granted it.
    world.roles.grant(Wish(ida.id, BuiltIn.SPONSOR, theirs), actor=OPERATOR)
    with pytest.raises(NotAllowed) as refused:
        world.identities.remove(Role.OPERATOR, ida.id, "unwanted", mine)
    assert "Theirs" not in str(refused.value)
    assert {each.assignment.organisation_id for each in granted(world, ida)} == {ours, theirs}


def test_nobody_grants_a_right_that_they_do_not_have(world: World, ours: str) -> None:
    held = RIGHTS[BuiltIn.RA_AGENT] | {Right.ROLES}
    with world.database.read() as connection:
        by = Acting(connection, OPERATOR, Held({ours: held}, {}), world.clock())
        assert grantable(by, BuiltIn.SPONSOR, Role.OPERATOR, ours).id == BuiltIn.SPONSOR
        for role in (BuiltIn.RA_AGENT_ADVANCED, BuiltIn.RA_MANAGER):
            with pytest.raises(NotAllowed):
                grantable(by, role, Role.OPERATOR, ours)


def until(world: World, who: Identity, role: str, place: str, days: int = 1) -> datetime:
    """Grant a role for some days; returns when it ends."""
    end = world.clock() + timedelta(days=days)
    world.roles.grant(Wish(who.id, role, place, None, end), actor=OPERATOR)
    return end


def test_nobody_grants_a_right_for_longer_than_they_have_it(world: World, ours: str) -> None:
    """Who has a role for a day and makes a role of their own of it has nothing more the day after,
    neither by those whom they invited nor by an API client.
    """
    ida, otto = agent(world, ours, BuiltIn.SUPPORT), agent(world, ours, BuiltIn.SUPPORT)
    end = until(world, ida, BuiltIn.RA_MANAGER, ours)
    world.custom_roles.define("mine", ["view", "roles", "people"], ours, actor=ida.actor)
    for later in (None, end + timedelta(seconds=1)):
        with pytest.raises(NotAllowed, match=r"until 2026-11-24T09:00:00Z.*--until") as refused:
            world.roles.grant(Wish(otto.id, "mine", ours, None, later), actor=ida.actor)
        assert refused.value.organisation_id == ours
    world.roles.grant(Wish(otto.id, "mine", ours, None, end), actor=ida.actor)
    token = world.people.add_operator("Eve", "mine", ours, actor=ida.actor)
    assert token.role_until == end
    eve = world.enrol(token.text).identity
    world.people.add_auditor("Aude", ours, actor=ida.actor)
    client = world.clients.add("HR", ["mine"], ours, actor=ida.actor).listing.client
    assert client.expire_time == end
    with pytest.raises(NotAllowed, match="--until"):
        world.clients.add("HR", ["mine"], ours, end + timedelta(seconds=1), actor=ida.actor)
    later = end + timedelta(days=1)
    by_ida = [
        each.assignment
        for each in world.roles.list_all(actor=OPERATOR)
        if each.assignment.granted_by == str(ida.actor)
    ]
    assert [each.until_time for each in by_ida] == [end] * 4
    world.clock.now = end
    for who in (eve, otto):
        with pytest.raises((NotAllowed, OrganisationNotFound)):
            world.roles.grant(Wish(ida.id, "mine", ours, None, later), actor=who.actor)


def test_a_right_lasts_as_long_as_the_role_that_gives_it_for_longest(
    world: World, manager: Identity, ours: str
) -> None:
    ward = world.organisations.add("Ward 7", manager, ours).id
    ida, otto = (agent(world, ward, BuiltIn.SUPPORT) for _ in range(2))
    until(world, ida, BuiltIn.RA_MANAGER, ward)
    end = until(world, ida, BuiltIn.RA_MANAGER, ours, days=2)
    with pytest.raises(NotAllowed, match="2026-11-25T09:00:00Z"):
        world.roles.grant(Wish(otto.id, BuiltIn.SPONSOR, ward), actor=ida.actor)
    world.roles.grant(Wish(otto.id, BuiltIn.SPONSOR, ward, None, end), actor=ida.actor)
    # Of a role that gives nothing but what she has without end, there is none.
    world.roles.grant(Wish(otto.id, BuiltIn.SUPPORT, ward), actor=ida.actor)
    world.roles.grant(Wish(ida.id, BuiltIn.RA_MANAGER, ward), actor=OPERATOR)
    assert world.people.add_operator("Eve", "", ward, actor=ida.actor).role_until is None


def test_a_new_operator_has_what_was_granted_alone(world: World, ours: str) -> None:
    ida = agent(world, ours, BuiltIn.ID_CHECKER)
    for refused in (
        lambda: world.people.list_users(actor=ida.actor),
        lambda: world.people.add_operator("Eve", actor=ida.actor),
    ):
        world.roles.withdraw(granted(world, ida)[0].assignment.id, actor=OPERATOR)
        with pytest.raises(NotAllowed):
            refused()
    assert ida.assigned


def test_granting_twice_grants_once_and_is_told(world: World, ours: str) -> None:
    ida = agent(world, ours)
    wish = Wish(ida.id, BuiltIn.SPONSOR, ours)
    first, second = (world.roles.grant(wish, actor=OPERATOR) for _ in range(2))
    assert first == second
    (_, told) = [
        each for each in world.journal(Kind.ROLE_GRANTED) if each.details["identity"] == ida.id
    ]
    assert told.details["role"] == "sponsor"
    assert told.details["organisation"] == ours
    ended = world.roles.withdraw(first.assignment.id, actor=OPERATOR)
    assert world.roles.withdraw(first.assignment.id, actor=OPERATOR) == ended
    (gone,) = world.journal(Kind.ROLE_WITHDRAWN)
    assert gone.details["until"] == str(world.clock())


def test_one_manager_of_the_whole_remains(world: World, manager: Identity, ours: str) -> None:
    last = granted_of_all(world, manager)
    other = world.enrol(world.people.add_operator("Otto", actor=manager.actor).text).identity
    world.roles.withdraw(granted_of_all(world, other, manager), actor=manager.actor)
    until = world.clock() + timedelta(days=9)
    dated = Wish(other.id, BuiltIn.RA_MANAGER, until_time=until)
    world.roles.grant(dated, actor=manager.actor)
    agent(world, ours, BuiltIn.RA_MANAGER)
    # Whose role ends some day does not count, nor does who manages an organisation.
    with pytest.raises(LastOperator):
        world.roles.withdraw(last, actor=other.actor)
    with pytest.raises(LastOperator):
        world.identities.remove(Role.OPERATOR, manager.id, "left", other)
    assert world.people.has_operators()


def test_an_operator_of_before_there_were_roles_has_all_until_they_are_withdrawn(
    world: World, manager: Identity
) -> None:
    former = replace(manager, id="former", certificate_sha256=None, assigned=False)
    with world.database.write() as connection:
        people.add_identities(connection, former)
    add(world, former)
    world.identities.remove(Role.OPERATOR, manager.id, "left", former)
    with pytest.raises(LastOperator):
        world.roles.withdraw(former.id, actor=OPERATOR)
    world.operator()
    ended = world.roles.withdraw(former.id, actor=OPERATOR).assignment
    assert (ended.role, ended.organisation_id) == ("ra-manager", ROOT)
    with pytest.raises(NotAllowed):
        world.people.list_users(actor=former.actor)
    assert granted(world, former) == []


def granted_of_all(world: World, whom: Identity, by: Identity | None = None) -> str:
    actor = (by or whom).actor
    (found,) = [each for each in world.roles.list_all(actor=actor) if each.identity.id == whom.id]
    return found.assignment.id


@pytest.mark.parametrize("role", BuiltIn)
def test_a_built_in_role_is_as_the_table_says(role: BuiltIn) -> None:
    """USER-24: the table of built-in roles cannot be changed."""
    with pytest.raises(TypeError):
        RIGHTS[role] = frozenset(Right)  # type: ignore[index]
    assert RIGHTS[role]
    assert (Right.ROLES in RIGHTS[role]) is (role is BuiltIn.RA_MANAGER)


def test_roles_that_somebody_cannot_have(world: World, ours: str) -> None:
    ida = agent(world, ours)
    for role in ("boss", BuiltIn.AUDITOR, BuiltIn.PORTAL):
        with pytest.raises(InvalidInput, match=role):
            world.roles.grant(Wish(ida.id, role, ours), actor=OPERATOR)
    past = world.clock()
    with pytest.raises(InvalidInput, match="until_time"):
        world.roles.grant(Wish(ida.id, BuiltIn.SPONSOR, ours, None, past), actor=OPERATOR)


def test_a_forged_row_gives_no_right(world: World, ours: str, theirs: str) -> None:
    """Neither a row that no keystore wrote, nor one that was changed, nor a tree that was moved."""
    ida = agent(world, ours)
    now = world.clock()
    with world.database.write() as connection:
        connection.execute(
            insert(assignment).values(
                id="forged", identity_id=ida.id, role="ra-manager", organisation_id=ROOT,
                from_time=now, granted_by="", create_time=now, mac=bytes(40),
            )
        )  # fmt: skip
        connection.execute(
            insert(organisations.branch).values(
                organisation_id=theirs, parent_id=ours, mac=bytes(40)
            )
        )
    add(world, ida, ours)
    for place in (theirs, ROOT):
        with pytest.raises(OrganisationNotFound):
            add(world, ida, place)
    with world.database.write() as connection:
        moved = update(assignment).where(assignment.c.identity_id == ida.id)
        connection.execute(moved.values(organisation_id=ROOT))
    with pytest.raises(OrganisationNotFound):
        add(world, ida, ours)


def test_an_operator_of_before_is_not_made_by_the_database(world: World, ours: str) -> None:
    """Whoever clears that an operator has roles makes a record that nobody believes."""
    ida = agent(world, ours)
    with world.database.write() as connection:
        row = update(tables.identity).where(tables.identity.c.id == ida.id)
        connection.execute(row.values(assigned=False))
    with pytest.raises(Exception, match="somebody has changed the database"):
        add(world, ida, ROOT)


def test_who_was_removed_while_calling_does_nothing_more(world: World, manager: Identity) -> None:
    """The acting identity is looked at again, in the transaction of the change."""
    world.identities.remove(Role.OPERATOR, manager.id, "left", world.operator().identity)
    for call in (
        lambda: add(world, manager),
        lambda: world.people.list_users(actor=manager.actor),
        lambda: world.organisations.add("New", manager),
    ):
        with pytest.raises(IdentityRejected):
            call()
    assert world.people.list_users(actor=OPERATOR) == []


def test_nothing_is_said_of_people_elsewhere(world: World, ours: str, theirs: str) -> None:
    """Neither by name nor by number; only that an address is somebody's."""
    ida, otto = agent(world, ours), agent(world, theirs)
    world.people.add_user("Ada Byron", "ada@example.org", actor=otto.actor)
    with pytest.raises(UserExists) as refused:
        world.people.add_user("Ada Byron", "ada@example.org", actor=ida.actor)
    assert "somebody elsewhere" in str(refused.value)
    assert "Byron" not in str(refused.value)
    add(world, otto, name="Bo")
    add(world, ida, name="Bo")  # namesakes elsewhere do not matter


def test_a_person_goes_to_another_organisation(world: World, ours: str, theirs: str) -> None:
    ida, otto = agent(world, ours), agent(world, theirs)
    user = add(world, ida)
    with pytest.raises(OrganisationNotFound):
        world.people.change_user(user, None, None, organisation_id=theirs, actor=ida.actor)
    world.people.change_user(user, None, None, organisation_id=theirs, actor=OPERATOR)
    assert world.showing.show(user, otto).user.organisation_id == theirs
    (told,) = world.journal(Kind.USER_CHANGED)
    assert told.details == {"old_organisation": ours, "organisation": theirs}


def test_who_had_what_is_known_later(world: World) -> None:
    """CARD-11: what was granted, withdrawn or removed later changes nothing of it, nor does what is
    granted from a day in the past.
    """
    ida = world.enrol(world.people.add_operator("Ida", "ra-agent", actor=OPERATOR).text).identity
    otto = world.enrol(world.people.add_operator("Otto", "sponsor", actor=OPERATOR).text).identity

    def held() -> set[tuple[str, str]]:
        found = world.roles.list_all(at, actor=OPERATOR)
        names = {(each.identity.display_name, each.role_name) for each in found}
        return {(name, role) for name, role in names if name in ("Ida", "Otto", "Olga")}

    before = world.clock() - timedelta(seconds=1)
    world.clock.forward(days=1)
    at = world.clock()
    first = {("Ida", "ra-agent"), ("Otto", "sponsor")}
    assert held() == first
    world.clock.forward(days=1)
    late = Wish(ida.id, "support", from_time=at - timedelta(hours=1))
    world.roles.grant(late, actor=OPERATOR)
    (agent,) = (
        each.assignment.id
        for each in world.roles.list_all(actor=OPERATOR)
        if each.role_name == "ra-agent"
    )
    world.roles.withdraw(agent, actor=OPERATOR)
    operator = world.operator().identity
    world.identities.remove(Role.OPERATOR, otto.id, "left", operator)
    assert held() == first
    world.clock.forward(seconds=1)
    at = world.clock()
    assert held() == {("Ida", "support"), ("Olga", "ra-manager")}
    at = before
    assert held() == set()

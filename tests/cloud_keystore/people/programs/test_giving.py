"""Roles by groups of directories: given to members who are operators and taken from those who
leave, never more than whoever has mapped the group could grant, and nothing that was done by hand
is undone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from sqlalchemy import update

from cloud_keystore.model.actors import Actor
from cloud_keystore.model.directories.entries import Said
from cloud_keystore.model.directories.groups import MOST_MAPPINGS, SaidOfGroup
from cloud_keystore.model.errors import (
    IdentityNotFound,
    InvalidInput,
    KeystoreError,
    LastOperator,
    MappingNotFound,
    NotAllowed,
    OrganisationNotFound,
    RecordDamaged,
    RequestClosed,
    RoleGranted,
    SecondNeeded,
    UserNotFound,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.organisations import ROOT
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.model.rights.requests import HighRisk
from cloud_keystore.model.rights.roles import BuiltIn
from cloud_keystore.people.programs import mappings
from cloud_keystore.people.programs.mappings import MappingListing, WantedMapping
from cloud_keystore.people.roles import Wish
from cloud_keystore.storage.directories.groups import group_member
from support.keystore_world import OIDC, OPERATOR, SECOND, World

AGENT, AGENTS = BuiltIn.RA_AGENT, "RA agents"


@dataclass
class Ward:
    """A directory with one group and one person, who is an operator of an organisation."""

    world: World
    place: str
    directory: Actor
    olga: Identity
    person: str
    group: str

    def map_group(
        self, role: str = AGENT, name: str = AGENTS, actor: Actor = OPERATOR, **terms: object
    ) -> MappingListing:
        given = {"named_by": "displayName", "organisation_id": self.place, **terms}
        wanted = WantedMapping(self.directory.id, name=name, role=role, **given)  # type: ignore[arg-type]
        return self.world.mappings.map_group(wanted, actor=actor)

    def identify(self, actor: Actor = OPERATOR) -> None:
        self.world.operators.identify(self.olga.id, self.person, self.place, actor=actor)

    def say(self, *members: str, name: str = AGENTS) -> None:
        said = SaidOfGroup(display_name=name, members=frozenset(members))
        self.world.groups.change(self.group, said, actor=self.directory)

    def roles(self) -> list[str]:
        """Roles that Olga has now, besides the one by which she was invited."""
        now = self.world.clock()
        return sorted(
            each.role_name
            for each in self.world.roles.list_all(actor=OPERATOR)
            if each.identity.id == self.olga.id
            and each.assignment.is_in_force(now)
            and each.role_name != BuiltIn.SUPPORT
        )


def operator(world: World, role: str, place: str, name: str) -> Identity:
    return world.enrol(world.people.add_operator(name, role, place, actor=OPERATOR).text).identity


@pytest.fixture
def ward(world: World) -> Ward:
    place = world.organisations.add("Ward 7", world.operator().identity).id
    directory = world.clients.add("HR", ["ra-agent-advanced"], place, actor=OPERATOR).listing.client
    olga = operator(world, BuiltIn.SUPPORT, place, "Olga Hopper")
    said = Said(user_name="olga", name="Olga Hopper", organisation="Ward 7")
    person = world.provisioning.create(said, actor=directory.actor).id
    group = world.groups.create(SaidOfGroup(AGENTS, "g-1"), actor=directory.actor).id
    return Ward(world, place, directory.actor, olga, person, group)


def join_last(ward: Ward) -> None:
    ward.map_group()
    ward.identify()
    ward.say(ward.person)


def map_last(ward: Ward) -> None:
    ward.say(ward.person)
    ward.identify()
    ward.map_group()


def identify_last(ward: Ward) -> None:
    ward.map_group(name="g-1", named_by="externalId")
    ward.say(ward.person)
    ward.identify()


@pytest.mark.parametrize("begin", [join_last, map_last, identify_last])
def test_a_member_gets_the_role_whatever_comes_last(
    ward: Ward, begin: Callable[[Ward], None]
) -> None:
    """USER-16: and the journal says why, and who did it."""
    begin(ward)
    assert ward.roles() == [AGENT]
    told = ward.world.journal(Kind.ROLE_GRANTED)[-1]
    assert told.actor == (ward.directory if begin is join_last else OPERATOR)
    assert told.details["identity"] == ward.olga.id
    assert told.details["directory"] == ward.directory.id
    (listing,) = ward.world.mappings.list_all(actor=OPERATOR)
    assert (listing.client_name, listing.role_name, listing.operators) == ("HR", AGENT, 1)
    ward.world.people.add_user("Ada", "", organisation_id=ward.place, actor=ward.olga.actor)


def leave(ward: Ward) -> None:
    ward.say()


def rename(ward: Ward) -> None:
    ward.say(ward.person, name="Others")


def delete(ward: Ward) -> None:
    ward.world.groups.delete(ward.group, actor=ward.directory)


def end_person(ward: Ward) -> None:
    ward.world.provisioning.change(ward.person, Said(active=False), actor=ward.directory)


def delete_person(ward: Ward) -> None:
    ward.world.provisioning.delete(ward.person, actor=ward.directory)


def close_by_hand(ward: Ward) -> None:
    ward.world.leaving.close(ward.person, "left", ward.world.operator().identity)


def unmap(ward: Ward) -> None:
    (listing,) = ward.world.mappings.list_all(actor=OPERATOR)
    ward.world.mappings.unmap(listing.mapping.id, actor=OPERATOR)


def forget(ward: Ward) -> None:
    ward.world.operators.forget(ward.olga.id, actor=OPERATOR)


def remove_directory(ward: Ward) -> None:
    manager = ward.world.operator().identity
    ward.world.identities.remove(Role.CLIENT, ward.directory.id, "replaced", manager)


ENDS = (
    leave,
    rename,
    delete,
    end_person,
    delete_person,
    close_by_hand,
    unmap,
    forget,
    remove_directory,
)


@pytest.mark.parametrize("end", ENDS)
def test_the_role_is_taken_with_what_has_given_it(ward: Ward, end: Callable[[Ward], None]) -> None:
    """USER-16."""
    join_last(ward)
    end(ward)
    assert ward.roles() == []
    told = ward.world.journal(Kind.ROLE_WITHDRAWN)[-1]
    assert told.details["identity"] == ward.olga.id


@pytest.mark.parametrize("end", ENDS)
def test_what_was_granted_by_hand_stays(ward: Ward, end: Callable[[Ward], None]) -> None:
    """USER-16: the same role in the same place, too."""
    ward.world.roles.grant(Wish(ward.olga.id, AGENT, ward.place), actor=OPERATOR)
    join_last(ward)
    assert ward.roles() == [AGENT, AGENT]
    end(ward)
    assert ward.roles() == [AGENT]


def test_what_was_withdrawn_by_hand_is_not_given_again(ward: Ward) -> None:
    """USER-16: the directory cannot undo it by taking somebody out and putting them back."""
    join_last(ward)
    given = next(
        each.assignment
        for each in ward.world.roles.list_all(actor=OPERATOR)
        if each.identity.id == ward.olga.id and each.role_name == AGENT
    )
    ward.world.roles.withdraw(given.id, actor=OPERATOR)
    ward.say(ward.person)
    ward.say()
    ward.say(ward.person)
    ward.map_group(name="other", role=BuiltIn.SPONSOR)
    assert ward.roles() == []
    # Only an operator can, by a mapping anew.
    unmap_all(ward)
    ward.map_group()
    assert ward.roles() == [AGENT]


def unmap_all(ward: Ward) -> None:
    for listing in ward.world.mappings.list_all(actor=OPERATOR):
        ward.world.mappings.unmap(listing.mapping.id, actor=OPERATOR)


def test_a_group_that_nobody_has_mapped_gives_nothing(ward: Ward) -> None:
    ward.map_group(name="rA agents")
    ward.map_group(name=AGENTS, named_by="externalId")
    ward.identify()
    ward.say(ward.person)
    assert ward.roles() == []
    # Another directory cannot call a group of its own so.
    other = ward.world.clients.add("Other", ["ra-agent-advanced"], "", actor=OPERATOR)
    ward.map_group()
    ward.say()
    said = SaidOfGroup(AGENTS, members=frozenset({ward.person}))
    ward.world.groups.create(said, actor=other.listing.client.actor)
    assert ward.roles() == []


def test_an_organisations_manager_says_it_for_that_organisation_alone(ward: Ward) -> None:
    """The attack: somebody says that an operator of theirs is a person who has roles elsewhere."""
    world = ward.world
    manager = operator(world, BuiltIn.RA_MANAGER, ward.place, "Mary")
    ward.identify(manager.actor)
    ward.map_group(role=BuiltIn.RA_MANAGER, organisation_id=ROOT)
    below = world.organisations.add("Bay 1", world.operator().identity, ward.place).id
    ward.map_group(role=BuiltIn.SPONSOR, organisation_id=below)
    ward.say(ward.person)
    assert ward.roles() == [BuiltIn.SPONSOR]


def test_who_has_not_all_rights_says_of_nobody_who_it_is(ward: Ward) -> None:
    clerk = ward.world.custom_roles.define("granter", ["view", "roles"], actor=OPERATOR)
    eve = operator(ward.world, clerk.name, ward.place, "Eve")
    with pytest.raises(NotAllowed):
        ward.identify(eve.actor)
    with pytest.raises(NotAllowed, match="their own roles"):
        ward.identify(_promoted(ward))


def _promoted(ward: Ward) -> Actor:
    """Olga, who has all rights."""
    wish = Wish(ward.olga.id, BuiltIn.RA_MANAGER, ward.place)
    ward.world.roles.grant(wish, actor=OPERATOR)
    return ward.olga.actor


def test_nobody_lets_a_group_give_more_than_they_could_grant(ward: Ward) -> None:
    """USER-24."""
    world = ward.world
    clerk = world.custom_roles.define("granter", ["view", "roles", "issue"], actor=OPERATOR)
    eve = operator(world, clerk.name, ward.place, "Eve")
    with pytest.raises(NotAllowed):
        ward.map_group(actor=eve.actor)
    with pytest.raises(OrganisationNotFound):
        ward.map_group(actor=eve.actor, organisation_id=ROOT)
    with pytest.raises(InvalidInput, match="no role"):
        ward.map_group(role=BuiltIn.AUDITOR)
    soon = world.clock() + timedelta(days=7)
    mary = operator(world, BuiltIn.SUPPORT, ROOT, "Mary")
    world.roles.grant(Wish(mary.id, BuiltIn.RA_MANAGER, ROOT, None, soon), actor=OPERATOR)
    with pytest.raises(NotAllowed, match="--until"):
        ward.map_group(actor=mary.actor)
    ward.map_group(actor=mary.actor, until_time=soon)
    ward.identify()
    ward.say(ward.person)
    assert ward.roles() == [AGENT]
    world.clock.forward(days=8)
    assert ward.roles() == []
    ward.say()
    ward.say(ward.person)
    assert ward.roles() == []


def test_nobody_gets_a_role_by_a_mapping_of_their_own(ward: Ward) -> None:
    """The attack: an RA manager keeps by a group what somebody else takes away."""
    ward.identify()
    ward.say(ward.person)
    ward.map_group(role=BuiltIn.RA_MANAGER, actor=_promoted(ward))
    assert ward.roles() == [BuiltIn.RA_MANAGER]  # the one by hand


def test_with_four_eyes_the_mapping_is_what_another_approves(ward: Ward) -> None:
    """USER-24: and then each grant that follows is."""
    world = ward.world
    world.four_eyes.require([HighRisk.GRANT_ROLE.value], ROOT, actor=OPERATOR)
    ward.say(ward.person)
    for ask in (ward.map_group, ward.identify):
        with pytest.raises(SecondNeeded):
            ask()
        (asked,) = world.requests.list_all(decided=False, actor=SECOND)
        assert ward.roles() == []
        world.requests.approve(asked.request.id, actor=SECOND)
    assert ward.roles() == [AGENT]
    assert world.requests.list_all(decided=False, actor=SECOND) == []


def test_whom_a_provider_knows_is_approved_for_that_provider(ward: Ward) -> None:
    """USER-24: a subject is somebody else at the provider that has come meanwhile."""
    world = ward.world
    world.four_eyes.require([HighRisk.GRANT_ROLE.value], ROOT, actor=OPERATOR)
    with pytest.raises(SecondNeeded):
        world.operators.identify(ward.olga.id, ward.person, ward.place, "olga", actor=OPERATOR)
    (asked,) = world.requests.list_all(decided=False, actor=SECOND)
    assert asked.request.wanted.about.endswith(f"subject olga of {OIDC.issuer}")
    other = replace(world.operators, issuer="https://other.example.org")
    with pytest.raises(RequestClosed, match="not what was asked for"):
        replace(world.requests, operators=other).approve(asked.request.id, actor=SECOND)
    assert world.operators.list_all(actor=OPERATOR) == []
    world.requests.approve(asked.request.id, actor=SECOND)
    (listing,) = world.operators.list_all(actor=OPERATOR)
    assert (listing.said.issuer, listing.said.subject) == (OIDC.issuer, "olga")


def test_a_role_that_a_group_gives_is_not_deleted_and_gets_no_right_for_longer(
    ward: Ward,
) -> None:
    world = ward.world
    role = world.custom_roles.define("clerk", ["view"], ward.place, actor=OPERATOR)
    ward.map_group(role="clerk")
    with pytest.raises(RoleGranted, match=AGENTS):
        world.custom_roles.delete(role.id, actor=OPERATOR)
    soon = world.clock() + timedelta(days=7)
    mary = operator(world, BuiltIn.SUPPORT, ROOT, "Mary")
    world.roles.grant(Wish(mary.id, BuiltIn.RA_MANAGER, ROOT, None, soon), actor=OPERATOR)
    with pytest.raises(NotAllowed, match="for longer"):
        world.custom_roles.change(role.id, None, ["view", "issue"], actor=mary.actor)


def test_a_directory_never_takes_the_last_manager(ward: Ward) -> None:
    world = ward.world
    ward.map_group(role=BuiltIn.RA_MANAGER, organisation_id=ROOT)
    world.operators.identify(ward.olga.id, ward.person, ROOT, actor=OPERATOR)
    ward.say(ward.person)
    for each in world.roles.list_all(actor=ward.olga.actor):
        held = each.assignment
        if held.keeps_the_root and held.identity_id != ward.olga.id:
            world.roles.withdraw(held.id, actor=ward.olga.actor)
    with pytest.raises(LastOperator):
        world.groups.delete(ward.group, actor=ward.directory)
    assert world.groups.find(ward.group, actor=ward.directory).members == (ward.person,)


def test_a_member_whom_the_keystore_has_not_written_gives_no_role(ward: Ward) -> None:
    """The attack: somebody writes a row of the database."""
    join_last(ward)
    with ward.world.database.write() as connection:
        connection.execute(update(group_member).values(member_id="somebody"))
    with pytest.raises(RecordDamaged):
        ward.world.groups.find(ward.group, actor=ward.directory)


@pytest.mark.parametrize(
    ("terms", "error"),
    [
        ({"named_by": "id"}, InvalidInput),
        ({"name": " "}, InvalidInput),
        ({"name": "x" * 257}, InvalidInput),
        ({"role": "none"}, InvalidInput),
        ({"organisation_id": "none"}, OrganisationNotFound),
    ],
)
def test_what_is_wrong_is_said(
    ward: Ward, terms: dict[str, object], error: type[KeystoreError]
) -> None:
    with pytest.raises(error):
        ward.map_group(**terms)  # type: ignore[arg-type]
    assert ward.world.mappings.list_all(actor=OPERATOR) == []


def test_what_is_not_there_is_said(ward: Ward) -> None:
    world = ward.world
    with pytest.raises(IdentityNotFound):
        ward.world.mappings.map_group(
            WantedMapping(ward.olga.id, "displayName", AGENTS, AGENT), actor=OPERATOR
        )
    with pytest.raises(MappingNotFound):
        world.mappings.unmap("none", actor=OPERATOR)
    with pytest.raises(UserNotFound):
        world.operators.identify(ward.olga.id, "none", actor=OPERATOR)
    with pytest.raises(IdentityNotFound):
        world.operators.identify(ward.person, ward.person, actor=OPERATOR)
    with pytest.raises(IdentityNotFound, match="nobody has said"):
        world.operators.forget(ward.olga.id, actor=OPERATOR)


def test_mappings_are_bounded_and_repeated_without_effect(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ward.map_group().mapping == ward.map_group().mapping
    assert MOST_MAPPINGS > 1
    monkeypatch.setattr(mappings, "MOST_MAPPINGS", 1)
    with pytest.raises(InvalidInput, match="one too many"):
        ward.map_group(name="other")
    ward.identify()
    ward.identify()
    other = ward.world.people.add_user("Eve", "", actor=OPERATOR)[0].id
    with pytest.raises(InvalidInput, match="a person already"):
        ward.world.operators.identify(ward.olga.id, other, ward.place, actor=OPERATOR)
    (listing,) = ward.world.operators.list_all(actor=OPERATOR)
    assert (listing.operator.id, listing.user.id) == (ward.olga.id, ward.person)
    assert len(ward.world.journal(Kind.OPERATOR_IDENTIFIED, Kind.GROUP_MAPPED)) == 2


def test_groups_give_their_roles_where_their_organisation_goes(ward: Ward, world: World) -> None:
    """USER-25: mappings, and who an operator is, come into the other organisation, and nobody is
    without a role in between; a second time moves nothing.
    """
    join_last(ward)
    admin = world.operator().identity
    to = world.organisations.add("St Elsewhere", admin).id

    def moved(*, foresee: bool = False) -> int:
        migrate = world.migrating.foresee if foresee else world.migrating.migrate
        found = migrate(ward.place, to, with_policies=False, operator=admin)
        assert found.kept == ()
        return found.moved["groups"]

    assert moved(foresee=True) == moved() == 2
    assert moved(foresee=True) == moved() == 0
    assert ward.roles() == [AGENT]
    (listing,) = world.mappings.list_all(actor=OPERATOR)
    assert (listing.organisation_name, listing.operators) == ("St Elsewhere", 1)
    (said,) = world.operators.list_all(actor=OPERATOR)
    assert said.organisation_name == "St Elsewhere"
    now = world.clock()
    assert all(
        each.assignment.organisation_id == to
        for each in world.roles.list_all(actor=OPERATOR)
        if each.identity.id == ward.olga.id and each.assignment.is_in_force(now)
    )
    # The directory keeps its own place: it says nothing of people elsewhere until it may.
    ward.say()
    assert ward.roles() == [AGENT]
    world.roles.grant(Wish(ward.directory.id, BuiltIn.RA_AGENT_ADVANCED, to), actor=OPERATOR)
    ward.say(ward.person)
    ward.say()
    assert ward.roles() == []


def test_groups_stay_where_another_operator_decides(ward: Ward, world: World) -> None:
    """USER-25: with a line of the report for each."""
    join_last(ward)
    admin = world.operator().identity
    to = world.organisations.add("St Elsewhere", admin).id
    world.four_eyes.require([HighRisk.GRANT_ROLE], to, actor=OPERATOR)
    found = world.migrating.migrate(ward.place, to, with_policies=False, operator=admin)
    assert found.moved["groups"] == 0
    assert [each.partition(":")[0] for each in found.kept][:2] == [
        "group RA agents with the role ra-agent",
        "person of the operator Olga Hopper",
    ]
    assert all("another operator has to approve" in each for each in found.kept)
    assert ward.roles() == [AGENT]

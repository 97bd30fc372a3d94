"""All that belongs to an organisation comes into another one."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from cloud_keystore.model.custom.profiles import CustomProfile, Terms
from cloud_keystore.model.errors import InvalidInput, NotAllowed, OrganisationNotFound
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.organisations import ROOT
from cloud_keystore.model.people import Identity, Role, User
from cloud_keystore.model.policies import Policy
from cloud_keystore.model.rights.requests import HighRisk
from cloud_keystore.model.rights.roles import BuiltIn
from cloud_keystore.people import listing, migrating
from cloud_keystore.people.migrating import Migrated
from cloud_keystore.storage.issuing import custom_profiles
from support.keystore_world import OPERATOR, World

ALL = {"people": 3, "cards": 1, "workstations": 1, "staff": 1, "roles": 1, "organisations": 1}
MOVED = (
    *(Kind.USER_CHANGED, Kind.CARD_MOVED, Kind.IDENTITY_CHANGED),
    *(Kind.ROLE_GRANTED, Kind.ORGANISATION_CHANGED, Kind.POLICY_SET),
)


@dataclass
class Trusts:
    """An old trust with something of each sort, and the new one."""

    world: World

    def __post_init__(self) -> None:
        world = self.world
        self.operator = world.operator().identity
        self.old, self.new = (
            world.organisations.add(name, self.operator).id for name in ("Old", "New")
        )
        self.ward = world.organisations.add("Ward", self.operator, self.old).id
        self.people = [self.person(name) for name in ("Ada", "Bo", "Cy")]
        self.serial = world.card(self.people[0], "developer")
        world.leaving.close(self.people[2].id, "left", self.operator)
        self.pc = world.people.add_workstation("PC", "", self.old, actor=OPERATOR)[0]
        token = world.people.add_operator("Ida", "ra-agent", self.old, actor=OPERATOR)
        self.agent = world.enrol(token.text).identity
        self.policy = Policy(largest_batch=7)
        world.organisations.set_policy(self.old, "v2", self.policy, self.operator)

    def person(self, name: str) -> User:
        return self.world.people.add_user(
            name, "", organisation_id=self.old, namesake=True, actor=OPERATOR
        )[0]

    def foresee(self, *, with_policies: bool = False) -> Migrated:
        return self.world.migrating.foresee(
            self.old, self.new, with_policies=with_policies, operator=self.operator
        )

    def migrate(self, *, with_policies: bool = False, by: Identity | None = None) -> Migrated:
        return self.world.migrating.migrate(
            self.old, self.new, with_policies=with_policies, operator=by or self.operator
        )

    def profiles(self, organisation_id: str) -> list[CustomProfile]:
        with self.world.database.read() as connection:
            return custom_profiles.of(connection, organisation_id)

    def told(self) -> int:
        return len(self.world.journal(*MOVED))


@pytest.fixture
def trusts(world: World) -> Trusts:
    return Trusts(world)


def moved(found: Migrated) -> dict[str, int]:
    return {sort: number for sort, number in found.moved.items() if number}


def test_everything_comes_into_the_other_organisation(trusts: Trusts, world: World) -> None:
    """USER-25: a dry run says what would move, each thing has its entry, and a second time moves
    nothing.
    """
    before = trusts.told()
    assert moved(trusts.foresee()) == ALL
    assert trusts.told() == before
    assert moved(trusts.migrate()) == ALL
    assert trusts.told() == before + sum(ALL.values())
    for again in (trusts.foresee(), trusts.migrate()):
        assert moved(again) == {}
    assert trusts.told() == before + sum(ALL.values())

    wanted = listing.Wanted(organisation_id=trusts.new)
    found = world.people.list_users(wanted=wanted, actor=OPERATOR)
    assert {each.user.id for each in found} == {each.id for each in trusts.people}
    assert world.find(trusts.serial).card.organisation_id == trusts.new
    (pc,) = world.identities.list_of(Role.WORKSTATION, actor=trusts.agent.actor)
    assert (pc.id, pc.organisation_id) == (trusts.pc.id, trusts.new)
    names = {each.name for each in world.organisations.list_all(actor=trusts.agent.actor)}
    assert names == {"New", "Ward"}
    (card,) = world.journal(Kind.CARD_MOVED)
    assert card.user_id == trusts.people[0].id
    assert card.details == {"old_organisation": trusts.old, "organisation": trusts.new}


def test_who_is_interrupted_goes_on(trusts: Trusts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrating, "PORTION", 2)
    total: dict[str, int] = {}
    for _ in range(20):
        done = moved(trusts.migrate())
        if not done:
            break
        assert sum(done.values()) <= 2
        for sort, number in done.items():
            total[sort] = total.get(sort, 0) + number
    assert total == ALL
    trusts.person("Late")
    assert moved(trusts.migrate()) == {"people": 1}


def test_policies_are_copied_if_they_are_wanted_and_never_overwritten(
    trusts: Trusts, world: World
) -> None:
    def of_new() -> dict[str, int]:
        found = world.organisations.list_policies(earlier=False, actor=OPERATOR)
        return {
            each.profile: each.policy.largest_batch
            for each in found
            if each.organisation_id == trusts.new
        }

    trusts.migrate()
    assert of_new() == {}
    assert trusts.foresee(with_policies=True).moved["policies"] == 1
    assert moved(trusts.migrate(with_policies=True)) == {"policies": 1}
    assert of_new() == {"v2": 7}
    assert moved(trusts.migrate(with_policies=True)) == {}
    world.organisations.set_policy(trusts.new, "v2", Policy(largest_batch=9), trusts.operator)
    kept = trusts.migrate(with_policies=True)
    assert (moved(kept), of_new()) == ({}, {"v2": 9})
    assert "has one of its own" in kept.kept[0]


def test_what_needs_a_second_operator_is_not_done_by_moving_it(
    trusts: Trusts, world: World
) -> None:
    """Whoever was refused a policy or a role in an organisation could have it copied there."""
    world.organisations.change(trusts.ward, parent_id=ROOT, actor=OPERATOR)
    world.four_eyes.require([HighRisk.POLICY, HighRisk.GRANT_ROLE], trusts.new, actor=OPERATOR)
    before = [each.assignment for each in world.roles.list_all(actor=OPERATOR)]
    for found in (trusts.foresee(with_policies=True), trusts.migrate(with_policies=True)):
        assert {"policies", "roles"} & moved(found).keys() == set()
        assert len([each for each in found.kept if "another operator has to approve" in each]) == 2
    assert [each.assignment for each in world.roles.list_all(actor=OPERATOR)] == before
    listed = world.organisations.list_policies(earlier=False, actor=OPERATOR)
    assert trusts.new not in {each.organisation_id for each in listed}


def test_nobody_moves_what_they_may_not(trusts: Trusts, world: World) -> None:
    """All rights are needed, in both organisations; and nobody moves a role of their own."""
    token = world.people.add_operator("Mona", BuiltIn.RA_MANAGER, trusts.old, actor=OPERATOR)
    mona = world.enrol(token.text).identity
    with pytest.raises(OrganisationNotFound):
        trusts.migrate(by=mona)
    with pytest.raises(NotAllowed):
        trusts.migrate(by=trusts.agent)
    before = world.roles.list_all(actor=OPERATOR)
    (granted,) = (each for each in before if each.identity.id == mona.id)
    from_new = migrating.Migrating(world.database, world.clock, world.people.random)
    world.organisations.change(trusts.new, parent_id=trusts.old, actor=OPERATOR)
    with pytest.raises(InvalidInput, match="below it"):
        trusts.migrate()
    world.organisations.change(trusts.new, parent_id=ROOT, actor=OPERATOR)
    for wrong in ("", ROOT):
        with pytest.raises(InvalidInput, match="above all others"):
            from_new.migrate(wrong, trusts.new, with_policies=False, operator=trusts.operator)
    with pytest.raises(OrganisationNotFound):
        from_new.migrate("nowhere", trusts.new, with_policies=False, operator=trusts.operator)
    own = world.organisations.add("Above", trusts.operator)
    for each in (trusts.old, trusts.new):
        world.organisations.change(each, parent_id=own.id, actor=OPERATOR)
    token = world.people.add_operator("Max", BuiltIn.RA_MANAGER, own.id, actor=OPERATOR)
    max_ = world.enrol(token.text).identity
    done = trusts.migrate(by=max_)
    assert done.moved["roles"] == 2
    assert granted.assignment.organisation_id == trusts.old
    assert done.kept == ()


def test_profiles_move_with_those_who_use_them(trusts: Trusts) -> None:
    """CARD-05: cards keep the profile of which they were made; one whose name the other
    organisation has stays, and is told.
    """
    world, terms = trusts.world, Terms(series="Series 8")
    made = world.custom_profiles.define("series-8", "v2", terms, trusts.old, actor=OPERATOR)
    for place in (trusts.old, trusts.new):
        world.custom_profiles.define("same", "v1", Terms(), place, actor=OPERATOR)
    user, _ = world.people.add_user("Eve", "", organisation_id=trusts.old, actor=OPERATOR)
    world.people.change_user(user.id, None, None, profile="series-8", actor=OPERATOR)
    card = world.issuing.issue(b"8" * 16, user.id, "", actor=OPERATOR).card
    for found in (trusts.foresee(), trusts.migrate()):
        assert found.moved["profiles"] == 1
        (kept,) = (each for each in found.kept if each.startswith("profile "))
        assert kept.startswith("profile same: ")
    assert [each.name for each in trusts.profiles(trusts.old)] == ["same"]
    assert [each.name for each in trusts.profiles(trusts.new)] == ["same", "series-8"]
    assert world.find(card.serial).custom_profile == "series-8"
    assert world.issuing.issue(b"9" * 16, user.id, "", actor=OPERATOR).series == "Series 8"
    told = world.journal(Kind.PROFILE_CHANGED)[-1].details
    moved = (made.profile.id, trusts.old, trusts.new)
    assert (told["profile_id"], told["old_organisation"], told["organisation"]) == moved

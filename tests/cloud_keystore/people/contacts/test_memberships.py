"""People belong to several organisations."""

from __future__ import annotations

import pytest

from cloud_keystore.model.errors import (
    CardNotFound,
    InvalidInput,
    LastMembership,
    NotAllowed,
    OrganisationNotFound,
    UserClosed,
    UserNotFound,
)
from cloud_keystore.model.finding import Sort
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.organisations import ROOT
from cloud_keystore.model.people import Identity, User
from cloud_keystore.model.rights.roles import BuiltIn
from cloud_keystore.people.contacts import memberships
from cloud_keystore.people.finding import Finding
from support.keystore_world import OPERATOR, World


@pytest.fixture
def manager(world: World) -> Identity:
    return world.operator().identity


@pytest.fixture
def ours(world: World, manager: Identity) -> str:
    return world.organisations.add("Ours", manager).id


@pytest.fixture
def theirs(world: World, manager: Identity) -> str:
    return world.organisations.add("Theirs", manager).id


def operator(world: World, place: str, role: str = BuiltIn.RA_MANAGER) -> Identity:
    return world.enrol(world.people.add_operator("Ida", role, place, actor=OPERATOR).text).identity


def person(world: World, place: str) -> User:
    return world.people.add_user("Ada", "ada@example.org", organisation_id=place, actor=OPERATOR)[0]


def listed(world: World, who: Identity) -> list[str]:
    found = world.people.list_users(actor=who.actor)
    return [each.user.display_name for each in found]


def test_operators_of_each_organisation_see_and_find_a_person(
    world: World, ours: str, theirs: str
) -> None:
    """USER-13: a person of several organisations is found from each, and from no other."""
    user = person(world, ours)
    card = world.card(user)
    there, elsewhere = operator(world, theirs), operator(world, ROOT, BuiltIn.RA_MANAGER)
    assert listed(world, there) == []
    joined = world.memberships.join(user.id, theirs, actor=OPERATOR)
    assert [(each.organisation_name, each.own) for each in joined] == [
        ("Ours", True),
        ("Theirs", False),
    ]
    assert world.memberships.join(user.id, theirs, actor=OPERATOR) == joined
    for who in (there, elsewhere):
        assert listed(world, who) == ["Ada"]
        assert [each.user.id for each in world.people.search("ada", 5, actor=who.actor)] == [
            user.id
        ]
        found = Finding(world.database, world.clock).find(Sort.USER, "ada", actor=who.actor)
        assert [each.id for each in found] == [user.id]
        assert world.cards.find(card, actor=who.actor).user.id == user.id
        assert [each.card.serial for each in world.cards.list_all(actor=who.actor)] == [card]
        assert [each.device.user_id for each in world.devices.list_of(user.id, actor=who.actor)]
    shown = world.showing.show(user.id, there)
    assert [each.organisation_name for each in shown.memberships] == ["Theirs"]
    world.memberships.leave(user.id, theirs, actor=there.actor)
    assert listed(world, there) == []
    with pytest.raises(UserNotFound):
        world.showing.show(user.id, there)
    with pytest.raises(CardNotFound):
        world.cards.find(card, actor=there.actor)


def test_only_the_own_organisation_looks_after_a_person(
    world: World, ours: str, theirs: str
) -> None:
    user = person(world, ours)
    card = world.card(user)
    there = operator(world, theirs)
    world.memberships.join(user.id, theirs, actor=OPERATOR)
    for refused in (
        lambda: world.people.change_user(user.id, "Eve", None, actor=there.actor),
        lambda: world.people.invite_device(user.id, actor=there.actor),
        lambda: world.issuing.issue(b"1" * 16, user.id, "p256", actor=there.actor),
        lambda: world.cards.revoke(card, "left", actor=there.actor),
        lambda: world.unlocking.ask(card, actor=there.actor),
        lambda: world.leaving.close(user.id, "left", there),
        lambda: world.memberships.join(user.id, theirs, actor=there.actor),
    ):
        with pytest.raises(NotAllowed):
            refused()


def test_who_leaves_their_own_organisation_has_the_next_one(
    world: World, ours: str, theirs: str
) -> None:
    user = person(world, ours)
    world.memberships.join(user.id, theirs, actor=OPERATOR)
    with pytest.raises(NotAllowed):
        world.memberships.leave(user.id, ours, actor=operator(world, ours, BuiltIn.SUPPORT).actor)
    (left,) = world.memberships.leave(user.id, ours, actor=OPERATOR)
    assert (left.organisation_name, left.own) == ("Theirs", True)
    assert world.showing.show(user.id, operator(world, theirs)).user.organisation_id == theirs
    with pytest.raises(LastMembership, match="cloudcard ra user close"):
        world.memberships.leave(user.id, theirs, actor=OPERATOR)
    added, ended = world.journal(Kind.MEMBERSHIP_ADDED, Kind.MEMBERSHIP_ENDED)
    assert (added.user_id, added.details) == (user.id, {"organisation": theirs})
    assert (ended.user_id, ended.details) == (
        user.id,
        {"organisation": ours, "own_organisation": theirs},
    )


def test_nobody_joins_or_leaves_what_is_not_there(
    world: World, ours: str, theirs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, own = person(world, ours), operator(world, ours)
    with pytest.raises(OrganisationNotFound):
        world.memberships.join(user.id, theirs, actor=own.actor)
    with pytest.raises(OrganisationNotFound):
        world.memberships.leave(user.id, theirs, actor=own.actor)
    with pytest.raises(InvalidInput, match="organisation_id is missing"):
        world.memberships.join(user.id, "", actor=OPERATOR)
    with pytest.raises(InvalidInput, match="does not belong there"):
        world.memberships.leave(user.id, theirs, actor=OPERATOR)
    with pytest.raises(UserNotFound):
        world.memberships.join("nobody", ours, actor=OPERATOR)
    with pytest.raises(UserNotFound):
        world.memberships.join(user.id, theirs, actor=operator(world, theirs).actor)
    monkeypatch.setattr(memberships, "MOST_ORGANISATIONS", 1)
    with pytest.raises(InvalidInput, match="one too many"):
        world.memberships.join(user.id, theirs, actor=OPERATOR)
    world.leaving.close(user.id, "left", world.operator().identity)
    with pytest.raises(UserClosed):
        world.memberships.join(user.id, theirs, actor=OPERATOR)

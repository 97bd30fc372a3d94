"""What directories say and operators have set otherwise, and what operators decide."""

from __future__ import annotations

import pytest

from cloud_keystore.model.actors import Actor
from cloud_keystore.model.directories.entries import Difference, Said
from cloud_keystore.model.errors import InvalidInput, NoDifference, NotAllowed, UserNotFound
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import User
from cloud_keystore.storage import people
from support.keystore_world import OPERATOR, World


def directory_of(world: World, name: str = "HR") -> Actor:
    return world.clients.add(name, ["ra-agent"], actor=OPERATOR).listing.client.actor


def user_of(world: World, user_id: str) -> User:
    with world.database.read() as connection:
        return people.user(connection, user_id)


@pytest.fixture
def directory(world: World) -> Actor:
    return directory_of(world)


@pytest.fixture
def user_id(world: World, directory: Actor) -> str:
    """Somebody of whom all was changed by hand, and the directory says something else again."""
    world.organisations.add("Ward 7", world.operator().identity)
    ward = world.organisations.add("Ward 8", world.operator().identity).id
    said = Said(user_name="ada", name="Ada", email="ada@a.example", organisation="Ward 7")
    made = world.provisioning.create(said, actor=directory)
    world.people.change_user(
        made.id, "Ada Byron", "byron@a.example", organisation_id=ward, actor=OPERATOR
    )
    return made.id


def shown(found: list[Difference]) -> list[tuple[str, str, str]]:
    return [(each.field.value, each.said, each.holds) for each in found]


ALL = [
    ("name", "Ada", "Ada Byron"),
    ("email", "ada@a.example", "byron@a.example"),
    ("organisation", "Ward 7", "Ward 8"),
]


def test_they_are_listed_until_somebody_decides(world: World, user_id: str) -> None:
    """USER-16."""
    assert shown(world.differences.list_all(actor=OPERATOR)) == ALL
    taken = world.differences.decide(user_id, "name", take=True, actor=OPERATOR)
    kept = world.differences.decide(user_id, "email", take=False, actor=OPERATOR)
    world.differences.decide(user_id, "organisation", "HR", take=True, actor=OPERATOR)
    assert (taken.client_name, taken.said, kept.holds) == ("HR", "Ada", "byron@a.example")
    user = user_of(world, user_id)
    assert (user.display_name, user.email) == ("Ada", "byron@a.example")
    assert world.differences.list_all(actor=OPERATOR) == []
    told = world.journal(Kind.DIRECTORY_DECIDED)
    assert {each.actor for each in told} == {OPERATOR}
    assert [(each.details["field"], each.details["kept"]) for each in told] == [
        ("name", ""),
        ("email", "byron@a.example"),
        ("organisation", ""),
    ]
    (*_, changed) = world.journal(Kind.USER_CHANGED)
    assert (changed.actor, changed.details["source"]) == (OPERATOR, "directory")


def test_what_was_taken_follows_and_what_was_kept_is_asked_about_anew(
    world: World, directory: Actor, user_id: str
) -> None:
    world.differences.decide(user_id, "name", take=True, actor=OPERATOR)
    world.differences.decide(user_id, "email", take=False, actor=OPERATOR)
    said = Said(name="Ada King", email="ada@a.example")
    world.provisioning.change(user_id, said, actor=directory)
    assert user_of(world, user_id).display_name == "Ada King"
    assert shown(world.differences.list_all(actor=OPERATOR)) == ALL[2:]
    world.provisioning.change(user_id, Said(email="king@a.example"), actor=directory)
    assert user_of(world, user_id).email == "byron@a.example"
    assert ("email", "king@a.example", "byron@a.example") in shown(
        world.differences.list_all(actor=OPERATOR)
    )


def test_an_operator_who_sets_what_is_said_ends_it(world: World, user_id: str) -> None:
    world.people.change_user(user_id, "Ada", "ada@a.example", actor=OPERATOR)
    assert shown(world.differences.list_all(actor=OPERATOR)) == ALL[2:]
    with pytest.raises(NoDifference):
        world.differences.decide(user_id, "name", take=True, actor=OPERATOR)


def test_a_person_who_has_left_is_not_asked_about(world: World, user_id: str) -> None:
    world.leaving.close(user_id, "left", world.operator().identity)
    assert world.differences.list_all(actor=OPERATOR) == []


def test_of_several_directories_one_is_named(world: World, user_id: str) -> None:
    other = directory_of(world, "Badges")
    world.provisioning.change(user_id, Said(name="A. Byron"), actor=other)
    with pytest.raises(InvalidInput, match="Badges, HR"):
        world.differences.decide(user_id, "name", take=True, actor=OPERATOR)
    world.differences.decide(user_id, "name", "Badges", take=True, actor=OPERATOR)
    assert user_of(world, user_id).display_name == "A. Byron"
    with pytest.raises(InvalidInput, match="give one of name, email, organisation, phone"):
        world.differences.decide(user_id, "title", take=True, actor=OPERATOR)


def test_who_does_not_see_the_person_sees_and_decides_nothing(world: World, user_id: str) -> None:
    theirs = world.organisations.add("Theirs", world.operator().identity).id
    stranger = world.clients.add("X", ["ra-manager"], theirs, actor=OPERATOR).listing.client.actor
    support = world.clients.add("Y", ["support"], actor=OPERATOR).listing.client.actor
    assert world.differences.list_all(actor=stranger) == []
    assert len(world.differences.list_all(actor=support)) == 3
    for actor, kind in ((stranger, UserNotFound), (support, NotAllowed)):
        with pytest.raises(kind):
            world.differences.decide(user_id, "name", take=True, actor=actor)
    assert user_of(world, user_id).display_name == "Ada Byron"


def test_nobody_is_moved_where_the_operator_has_no_right(world: World, user_id: str) -> None:
    (ward,) = (
        each.id for each in world.organisations.list_all(actor=OPERATOR) if each.name == "Ward 8"
    )
    agent = world.clients.add("Z", ["ra-agent"], ward, actor=OPERATOR).listing.client.actor
    (*_, place) = shown(world.differences.list_all(actor=agent))
    assert place[1] != "Ward 7"  # whose name the agent does not see
    with pytest.raises(Exception, match="there is no organisation"):
        world.differences.decide(user_id, "organisation", take=True, actor=agent)

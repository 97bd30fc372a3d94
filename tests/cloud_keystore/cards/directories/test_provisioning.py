"""Directories: people join, change and leave; what an operator has set stays; nobody sees or
changes people elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from cloud_keystore.model.actors import Actor
from cloud_keystore.model.alerts import AlertKind
from cloud_keystore.model.cards import CardState
from cloud_keystore.model.directories.entries import Said, Shown, Sought
from cloud_keystore.model.errors import (
    ChangedMeanwhile,
    InvalidInput,
    KeystoreError,
    NotAllowed,
    SecondNeeded,
    TooManyCalls,
    UserExists,
    UserNotFound,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import Identity, IdentityState, User, UserState
from cloud_keystore.storage import people
from support.keystore_world import OPERATOR, SECOND, World

ADA = Said(user_name="ada@corp.example", external_id="17", name="Ada Byron", email="ada@a.example")
BOTH = pytest.mark.parametrize("world", ["sqlite", "postgresql"], indirect=True)
LEAVES, RETURNS = Said(active=False), Said(active=True)


def directory_of(world: World, place: str = "", role: str = "ra-agent-advanced") -> Actor:
    return world.clients.add("HR", [role], place, actor=OPERATOR).listing.client.actor


@pytest.fixture
def directory(world: World) -> Actor:
    return directory_of(world)


@pytest.fixture
def ada_there(world: World, directory: Actor) -> Shown:
    return world.provisioning.create(ADA, actor=directory)


def user_of(world: World, user_id: str) -> User:
    with world.database.read() as connection:
        return people.user(connection, user_id)


def devices_of(world: World, user_id: str) -> list[Identity]:
    with world.database.read() as connection:
        return people.list_devices(connection, user_id)


def organisation(world: World, name: str) -> str:
    return world.organisations.add(name, world.operator().identity).id


def names(world: World, directory: Actor, sought: Sought | None = None) -> list[str]:
    found = world.provisioning.list_all(sought or Sought(), 0, 100, actor=directory)
    assert found.total == len(found.shown)
    return [each.user_name for each in found.shown]


def test_a_joiner_is_added_and_invited(world: World, directory: Actor, ada_there: Shown) -> None:
    """USER-16."""
    user = user_of(world, ada_there.id)
    assert (user.display_name, user.email) == ("Ada Byron", "ada@a.example")
    assert user.email_by == str(directory)
    (device,) = devices_of(world, user.id)
    assert device.state is IdentityState.INVITED
    (told,) = world.journal(Kind.DIRECTORY_ENTRY_ADDED)
    assert (told.actor, told.user_id) == (directory, user.id)
    assert told.details["user_name"] == "ada@corp.example"
    assert world.provisioning.find(user.id, actor=directory) == ada_there


def test_a_mover_gets_another_name_address_and_organisation(
    world: World, directory: Actor, ada_there: Shown
) -> None:
    """USER-16: the directory changes the name, and the journal says that it did."""
    ward = organisation(world, "Ward 7")
    moved = Said(name="Ada King", email="king@a.example", organisation="Ward 7")
    shown = world.provisioning.change(ada_there.id, moved, actor=directory)
    assert (shown.name, shown.email, shown.organisation) == ("Ada King", "king@a.example", "Ward 7")
    user = user_of(world, ada_there.id)
    assert (user.display_name, user.organisation_id) == ("Ada King", ward)
    (told,) = world.journal(Kind.USER_CHANGED)
    assert told.actor == directory
    assert told.details["source"] == "directory"
    assert (told.details["old_name"], told.details["name"]) == ("Ada Byron", "Ada King")
    assert shown.version != ada_there.version


def test_what_an_operator_set_stays_and_is_answered(
    world: World, directory: Actor, ada_there: Shown
) -> None:
    """USER-16: a manual change is not silently overwritten."""
    world.people.change_user(ada_there.id, "Ada, Countess", None, actor=OPERATOR)
    said = Said(name="Ada King", email="king@a.example", given_name="Ada", family_name="King")
    shown = world.provisioning.change(ada_there.id, said, actor=directory)
    assert (shown.name, shown.email) == ("Ada, Countess", "king@a.example")
    assert shown.given_name == ""
    assert user_of(world, ada_there.id).display_name == "Ada, Countess"
    (difference,) = world.differences.list_all(actor=OPERATOR)
    assert (difference.said, difference.holds) == ("Ada King", "Ada, Countess")


@BOTH
def test_whom_somebody_else_added_keeps_what_they_have(world: World, directory: Actor) -> None:
    bo, _ = world.people.add_user("Bo Diaz", "bo@a.example", actor=OPERATOR)
    assert names(world, directory, Sought(user_name="BO@a.example")) == ["bo@a.example"]
    said = Said(user_name="bo", name="Bo D.", email="bo@a.example", organisation="")
    shown = world.provisioning.change(bo.id, said, actor=directory)
    assert (shown.id, shown.user_name, shown.name) == (bo.id, "bo", "Bo Diaz")
    # The address is the same, so that it is the directory's from now on.
    later = world.provisioning.change(bo.id, Said(email="diaz@a.example"), actor=directory)
    assert later.email == "diaz@a.example"
    assert names(world, directory) == ["bo"]


@BOTH
def test_a_leaver_is_closed_with_everything(
    world: World, directory: Actor, ada_there: Shown
) -> None:
    serial = world.card(user_of(world, ada_there.id))
    world.woken.clear()
    shown = world.provisioning.change(ada_there.id, LEAVES, actor=directory)
    assert not shown.active
    user = user_of(world, ada_there.id)
    assert (user.state, user.reason) == (UserState.CLOSED, "the directory HR says so")
    assert world.find(serial).card.state is CardState.REVOKED
    assert {each.state for each in devices_of(world, user.id)} == {IdentityState.REMOVED}
    (told,) = world.journal(Kind.USER_CLOSED)
    assert (told.actor, told.details["reason"]) == (directory, "the directory HR says so")
    assert user.id in world.woken
    assert not world.provisioning.find(ada_there.id, actor=directory).active
    assert names(world, directory) == ["ada@corp.example"]


def test_who_comes_back_is_somebody_new_and_gets_nothing_back(
    world: World, directory: Actor, ada_there: Shown
) -> None:
    serial = world.card(user_of(world, ada_there.id))
    world.provisioning.change(ada_there.id, LEAVES, actor=directory)
    world.provisioning.change(ada_there.id, Said(name="Ada King"), actor=directory)
    shown = world.provisioning.change(ada_there.id, RETURNS, actor=directory)
    assert (shown.id, shown.active, shown.name) == (ada_there.id, True, "Ada King")
    assert user_of(world, ada_there.id).state is UserState.CLOSED
    assert world.find(serial).card.state is CardState.REVOKED
    (again,) = [each for each in world.people.list_users(actor=OPERATOR) if not each.card_serials]
    assert (again.user.display_name, again.user.state) == ("Ada King", UserState.ACTIVE)
    assert names(world, directory) == ["ada@corp.example"]
    with pytest.raises(UserNotFound):  # whom the directory knows by the identifier of before
        world.provisioning.find(again.user.id, actor=directory)


def test_whom_an_operator_has_closed_stays_closed(
    world: World, directory: Actor, ada_there: Shown
) -> None:
    """What the directory says as always does not bring anybody back."""
    world.leaving.close(ada_there.id, "misused", world.operator().identity)
    whole = replace(ADA, active=True)
    assert not world.provisioning.change(ada_there.id, whole, actor=directory).active
    assert user_of(world, ada_there.id).state is UserState.CLOSED


@BOTH
def test_who_is_deleted_leaves_and_is_not_there(
    world: World, directory: Actor, ada_there: Shown
) -> None:
    world.provisioning.delete(ada_there.id, actor=directory)
    assert user_of(world, ada_there.id).state is UserState.CLOSED
    (told,) = world.journal(Kind.DIRECTORY_ENTRY_REMOVED)
    assert (told.actor, told.user_id) == (directory, ada_there.id)
    assert names(world, directory) == []
    for ask in CALLS.values():
        with pytest.raises(UserNotFound):
            ask(world, ada_there.id, directory)
    again = world.provisioning.create(ADA, actor=directory)
    assert again.id != ada_there.id


@BOTH
def test_who_is_not_active_yet_is_noted_alone(world: World, directory: Actor) -> None:
    shown = world.provisioning.create(replace(ADA, active=False), actor=directory)
    assert not shown.active
    assert world.people.list_users(actor=OPERATOR) == []
    assert names(world, directory, Sought(email="ADA@a.example")) == ["ada@corp.example"]
    joined = world.provisioning.change(shown.id, RETURNS, actor=directory)
    assert (joined.id, joined.active, joined.name) == (shown.id, True, "Ada Byron")
    (listed,) = world.people.list_users(actor=OPERATOR)
    assert listed.user.email == "ada@a.example"


@pytest.mark.parametrize(
    ("said", "kind", "word"),
    [
        (Said(user_name="ADA@corp.example", name="Eve"), UserExists, "userName"),
        (Said(user_name="eve", external_id="17"), UserExists, "externalId"),
        (Said(user_name="eve", email="Ada@a.example"), UserExists, "e-mail address of Ada Byron"),
        (Said(user_name=""), InvalidInput, "userName"),
        (Said(), InvalidInput, "userName"),
        (Said(user_name="e" * 600), InvalidInput, "userName"),
        (Said(user_name="eve", external_id="x\x00"), InvalidInput, "externalId"),
        (Said(user_name="eve", name="E\x1b[2J"), InvalidInput, "displayName"),
        (Said(user_name="eve", email="no address"), InvalidInput, "email"),
        (Said(user_name="eve", organisation="Nowhere"), InvalidInput, "organization"),
    ],
)
def test_what_cannot_be_used_adds_nobody(
    world: World, directory: Actor, ada_there: Shown, said: Said, kind: type[Exception], word: str
) -> None:
    with pytest.raises(kind, match=word):
        world.provisioning.create(said, actor=directory)
    assert names(world, directory) == [ada_there.user_name]


def test_identifiers_are_each_directorys_own(
    world: World, directory: Actor, ada_there: Shown
) -> None:
    other = directory_of(world)
    (seen,) = world.provisioning.list_all(Sought(), 0, 10, actor=other).shown
    assert (seen.id, seen.external_id, seen.user_name) == (ada_there.id, "", "ada@a.example")
    mine = world.provisioning.change(seen.id, Said(user_name="x", external_id="17"), actor=other)
    assert mine.external_id == "17"
    assert world.provisioning.find(ada_there.id, actor=directory) == ada_there


def test_who_has_seen_another_version_changes_nothing(
    world: World, directory: Actor, ada_there: Shown
) -> None:
    world.people.change_user(ada_there.id, "Ada King", None, actor=OPERATOR)
    with pytest.raises(ChangedMeanwhile):
        world.provisioning.change(ada_there.id, LEAVES, ada_there.version, actor=directory)
    with pytest.raises(ChangedMeanwhile):
        world.provisioning.delete(ada_there.id, ada_there.version, actor=directory)
    assert user_of(world, ada_there.id).state is UserState.ACTIVE


Call = Callable[[World, str, Actor], object]
CALLS: dict[str, Call] = {
    "find": lambda world, user_id, by: world.provisioning.find(user_id, actor=by),
    "change": lambda world, user_id, by: world.provisioning.change(
        user_id, Said(name="Eve"), actor=by
    ),
    "leave": lambda world, user_id, by: world.provisioning.change(user_id, LEAVES, actor=by),
    "delete": lambda world, user_id, by: world.provisioning.delete(user_id, actor=by),
}


@pytest.mark.parametrize("call", CALLS)
def test_people_elsewhere_are_not_there(world: World, call: str) -> None:
    """The attack: a directory of one organisation names, reads or closes people of another."""
    ours, theirs = (organisation(world, name) for name in ("Ours", "Theirs"))
    directory, other = directory_of(world, ours), directory_of(world, theirs)
    made = world.provisioning.create(ADA, actor=other)
    with pytest.raises(UserNotFound) as refused:
        CALLS[call](world, made.id, directory)
    with pytest.raises(UserNotFound) as missing:
        CALLS[call](world, "0" * 36, directory)
    assert str(refused.value).replace(made.id, "") == str(missing.value).replace("0" * 36, "")
    for sought in (
        Sought(),
        Sought(user_name="ada@corp.example"),
        Sought(external_id="17"),
        Sought(email="ada@a.example"),
        Sought(id=made.id),
    ):
        assert names(world, directory, sought) == []
    assert user_of(world, made.id).state is UserState.ACTIVE
    # Nobody is moved there, nobody taken, and nothing is told of whose the address is.
    mine = world.provisioning.create(Said(user_name="eve", name="Eve"), actor=directory)
    with pytest.raises(InvalidInput, match="that you see"):
        world.provisioning.change(mine.id, Said(organisation="Theirs"), actor=directory)
    with pytest.raises(UserExists) as taken:
        world.provisioning.change(mine.id, Said(email="ada@a.example"), actor=directory)
    assert "Ada" not in str(taken.value)


@BOTH
def test_who_was_moved_out_of_sight_is_not_there(world: World) -> None:
    ours, theirs = (organisation(world, name) for name in ("Ours", "Theirs"))
    directory = directory_of(world, ours)
    made = world.provisioning.create(ADA, actor=directory)
    world.people.change_user(made.id, None, None, organisation_id=theirs, actor=OPERATOR)
    for ask in CALLS.values():
        with pytest.raises(UserNotFound):
            ask(world, made.id, directory)
    assert names(world, directory) == []


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("support", {"find"}),
        ("ra-agent", {"find", "change"}),
        ("ra-agent-advanced", {"find", "change", "leave", "delete"}),
    ],
)
def test_each_call_needs_its_right(world: World, role: str, allowed: set[str]) -> None:
    directory = directory_of(world, role=role)
    done = set()
    for name, ask in CALLS.items():
        user, _ = world.people.add_user(name, f"{name}@a.example", actor=OPERATOR)
        try:
            ask(world, user.id, directory)
            done.add(name)
        except NotAllowed:
            assert user_of(world, user.id) == user
    assert done == allowed
    if role == "support":
        with pytest.raises(NotAllowed):
            world.provisioning.create(ADA, actor=directory)


def test_many_leavers_wait_and_are_told_of(world: World, directory: Actor) -> None:
    """The attack: a directory, or whoever has its token, closes everybody."""
    provisioning = replace(world.provisioning, leavers=2)
    made = [
        provisioning.create(Said(user_name=name, name=name), actor=directory) for name in "abcd"
    ]
    provisioning.change(made[0].id, LEAVES, actor=directory)
    provisioning.delete(made[1].id, actor=directory)
    # Whoever comes back does not make room.
    provisioning.change(made[0].id, RETURNS, actor=directory)
    for _ in range(2):
        with pytest.raises(TooManyCalls, match="leavers"):
            provisioning.change(made[2].id, LEAVES, actor=directory)
        with pytest.raises(TooManyCalls, match="leavers"):
            provisioning.delete(made[3].id, actor=directory)
    assert {user_of(world, each.id).state for each in made[2:]} == {UserState.ACTIVE}
    (listed,) = world.alerts.list_all(include_acknowledged=True, actor=OPERATOR)
    assert listed.alert.kind is AlertKind.MANY_LEAVE
    assert "HR" in listed.alert.text
    world.clock.now += timedelta(hours=1, seconds=1)
    assert not provisioning.change(made[2].id, LEAVES, actor=directory).active


def test_an_organisation_can_want_another_operator_for_leavers(
    world: World, directory: Actor, ada_there: Shown
) -> None:
    world.four_eyes.require(["close-user"], actor=OPERATOR)
    with pytest.raises(SecondNeeded, match="ra request approve"):
        world.provisioning.change(ada_there.id, LEAVES, actor=directory)
    assert world.provisioning.find(ada_there.id, actor=directory) == ada_there
    (waits,) = world.requests.list_all(decided=False, actor=SECOND)
    world.requests.approve(waits.request.id, actor=SECOND)
    assert user_of(world, ada_there.id).state is UserState.CLOSED
    assert not world.provisioning.change(ada_there.id, LEAVES, actor=directory).active


@BOTH
def test_pages_go_on_where_the_last_one_ended(world: World, directory: Actor) -> None:
    made = [
        world.provisioning.create(Said(user_name=f"u{each}", name="U"), actor=directory).id
        for each in range(5)
    ]
    found = [
        world.provisioning.list_all(Sought(), first, 2, actor=directory) for first in (0, 2, 4, 6)
    ]
    assert [each.total for each in found] == [5] * 4
    assert [each.id for page in found for each in page.shown] == sorted(made)
    assert world.provisioning.list_all(Sought(), 0, 0, actor=directory).shown == ()


def test_an_entry_that_somebody_wrote_into_the_database_is_refused(
    world: World, directory: Actor, ada_there: Shown
) -> None:
    """The attack: whoever writes the database lets a directory's word be followed."""
    with world.database.write() as connection:
        connection.exec_driver_sql("UPDATE directory_entry SET got_name = 'Ada, Countess'")
    with pytest.raises(KeystoreError):
        world.provisioning.change(ada_there.id, Said(name="Eve"), actor=directory)
    assert user_of(world, ada_there.id).display_name == "Ada Byron"

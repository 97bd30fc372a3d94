"""From whom a phone comes: an unlock code counts on none that its maker can have."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from cloud_keystore.custody.credentials import provenance
from cloud_keystore.custody.credentials.provenance import Doubt
from cloud_keystore.model.actors import DATA_FOLDER, Actor
from cloud_keystore.model.errors import IllegalCardChange, RowNotAuthentic
from cloud_keystore.model.passcodes import Unlocked
from cloud_keystore.model.people import Identity, User
from cloud_keystore.storage import tables
from cloud_keystore.storage.authentic import rows
from support.keystore_world import OPERATOR, SECOND, Enrolled, World
from support.outbox import Told
from support.portal import link_in

NEW = b"246802"


def doubt(world: World, device: Identity, maker: Actor) -> Doubt | None:
    with world.database.read() as connection:
        return provenance.doubt(connection, device, maker.id, None)


def mailed(told: Told) -> str:
    """The token of the invitation that was mailed last."""
    (letter,) = [each for each in told.send() if each.subject == "Enrol your phone"]
    (token,) = [word for word in letter.text.split() if word.startswith("cc1.")]
    return token


def staff(world: World, name: str, by: Actor) -> Actor:
    return world.enrol(world.people.add_operator(name, actor=by).text).identity.actor


def test_an_invitation_that_is_redirected_gives_no_phone_that_counts(world: World) -> None:
    """The attack: an operator gives the holder an e-mail address of their own, and waits until
    another operator invites the holder to a new phone.
    """
    told = Told(world)
    user, token = world.people.add_user("Ada Byron", "ada@example.org", actor=SECOND)
    assert token is not None
    phone = world.enrol(token.text)
    serial = world.card(user)
    world.devices.remove(phone.identity.id, "lost", world.operator().identity)
    world.people.change_user(user.id, None, "mallory@example.org", actor=OPERATOR)
    assert world.addresses.follow(link_in(told.send())).is_verified
    world.people.invite_device(user.id, actor=SECOND)
    rogue = world.enrol(mailed(told)).identity
    with pytest.raises(IllegalCardChange, match="let another operator make the code"):
        world.unlock_codes.make(serial, actor=OPERATOR)
    code = world.unlock_codes.make(serial, actor=staff(world, "Third", DATA_FOLDER)).code.encode()
    assert isinstance(world.unlock_codes.use(serial, code, NEW, rogue), Unlocked)


def test_nor_does_one_that_is_redirected_while_it_is_open(world: World) -> None:
    """The attack: the address is exchanged between the invitation and its reminder, and back."""
    user, _ = world.people.add_user("Ada Byron", "ada@example.org", actor=SECOND)
    invited = world.people.invite_device(user.id, actor=SECOND)
    third = staff(world, "Third", DATA_FOLDER)
    world.people.change_user(user.id, None, "mallory@example.org", actor=OPERATOR)
    world.people.change_user(user.id, None, "ada@example.org", actor=third)
    rogue = world.enrol(invited.text).identity
    assert rogue.addressed_by.split("\n") == [str(SECOND), str(OPERATOR), str(third)]
    assert doubt(world, rogue, OPERATOR) is doubt(world, rogue, third) is Doubt.OWN
    assert doubt(world, rogue, staff(world, "Fourth", DATA_FOLDER)) is None


def test_a_change_of_another_thing_gives_no_address(world: World) -> None:
    user, token = world.people.add_user("Ada Byron", "ada@example.org", actor=SECOND)
    world.people.change_user(user.id, "Ada King", None, actor=OPERATOR)
    assert token is not None
    assert doubt(world, world.enrol(token.text).identity, OPERATOR) is None


def test_without_an_address_nobody_has_given_one(world: World) -> None:
    user, _ = world.people.add_user("Ada Byron", "", actor=OPERATOR)
    phone = world.enrol(world.people.invite_device(user.id, actor=SECOND).text)
    assert doubt(world, phone.identity, OPERATOR) is None


def test_whom_the_maker_has_invited_and_by_whom_are_no_others(
    world: World, ada: tuple[User, Enrolled]
) -> None:
    """The attack: an RA manager invites a second identity for themselves, and that one a third."""
    second = staff(world, "Mallory too", OPERATOR)
    third = staff(world, "Mallory as well", second)
    for inviter, maker in ((third, OPERATOR), (OPERATOR, third), (second, third)):
        phone = world.enrol(world.people.invite_device(ada[0].id, actor=inviter).text)
        assert doubt(world, phone.identity, maker) is Doubt.OWN
    assert doubt(world, phone.identity, SECOND) is None


def test_a_client_is_of_whoever_has_added_it(world: World, ada: tuple[User, Enrolled]) -> None:
    added = world.clients.add("Script", ["ra-manager"], actor=OPERATOR).listing.client
    phone = world.enrol(world.people.invite_device(ada[0].id, actor=added.actor).text)
    assert doubt(world, phone.identity, OPERATOR) is Doubt.OWN
    assert doubt(world, phone.identity, SECOND) is None


def test_whose_inviter_is_not_known_is_said_so(
    world: World, ada: tuple[User, Enrolled], serial: str
) -> None:
    """As all phones and PINs are that were there before this was kept."""
    with world.database.write() as connection:
        phone = ada[1].identity.id
        rows.change(
            connection, tables.identity, [tables.identity.c.id == phone], {"invited_by": ""}
        )
        card_id = world.find(serial).card.id
        of_card = [tables.passcode.c.card_id == card_id]
        rows.change(connection, tables.passcode, of_card, {"device_id": None})
    for each in (OPERATOR, SECOND):
        with pytest.raises(IllegalCardChange, match="before it was kept who has invited it"):
            world.unlock_codes.make(serial, actor=each)
    world.enrol(world.people.invite_device(ada[0].id, actor=SECOND).text)
    assert world.unlock_codes.make(serial, actor=OPERATOR).code


def test_a_forged_address_giver_is_not_believed(world: World) -> None:
    user, _ = world.people.add_user("Ada Byron", "ada@example.org", actor=OPERATOR)
    with world.database.write() as connection:
        connection.execute(update(tables.user).values(email_by=str(SECOND)))
    with pytest.raises(RowNotAuthentic):
        world.people.invite_device(user.id, actor=SECOND)

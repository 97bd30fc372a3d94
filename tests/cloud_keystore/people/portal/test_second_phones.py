"""A holder invites another phone from one that they have, with a code by e-mail (AUTH-08)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cloud_keystore.custody.credentials import provenance
from cloud_keystore.custody.credentials.provenance import Doubt
from cloud_keystore.model.actors import DATA_FOLDER
from cloud_keystore.model.alerts import AlertKind
from cloud_keystore.model.errors import (
    AddressUnreachable,
    IdentityRejected,
    InvalidInput,
    TokenRejected,
    TooManyCalls,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import IdentityState, User
from cloud_keystore.model.portal.codes import CODE_TRIES
from cloud_keystore.people.portal import second_phones
from cloud_keystore.people.portal.second_phones import MOST_PHONES
from cloud_keystore.run import restoring
from cloud_keystore.storage import people
from support.keystore_world import OPERATOR, SECOND, Enrolled, World
from support.outbox import Told
from support.portal import code_in, other_than

EMAIL = "ada@example.org"
CODE = "Your code to enrol another phone"


@pytest.fixture
def told(world: World) -> Told:
    return Told(world)


@pytest.fixture
def ada_here(told: Told) -> tuple[User, Enrolled]:
    """Ada, who has a phone and an address."""
    return told.enrolled(EMAIL)


def mailed(world: World, told: Told, phone: Enrolled) -> str:
    """The code that a holder gets."""
    assert world.second_phones.send(phone.identity).address == EMAIL
    [letter] = [each for each in told.send() if each.subject == CODE]
    assert letter.address == EMAIL
    return code_in(letter.text)


def invited(world: World, told: Told, phone: Enrolled) -> str:
    """The token for another phone."""
    token = world.second_phones.invite(mailed(world, told, phone), phone.identity).token
    assert token is not None
    return token.text


def test_phone_and_code_bring_another_phone(
    world: World, told: Told, ada_here: tuple[User, Enrolled]
) -> None:
    """AUTH-08: the holder is told, and the registration authority sees it."""
    user, phone = ada_here
    token = invited(world, told, phone)
    (asked,) = world.journal(Kind.DEVICE_CODE_SENT)
    assert (asked.actor, asked.user_id) == (phone.identity.actor, user.id)
    [*_, made] = world.journal(Kind.IDENTITY_INVITED)
    assert (made.actor, made.user_id) == (phone.identity.actor, user.id)
    other = world.enrol(token)
    assert other.identity.user_id == user.id
    assert told.subjects() == ["Your phone is enrolled"]
    [alert] = world.alerts.told_to(phone.identity)
    assert alert.alert.kind is AlertKind.NEW_DEVICE
    with pytest.raises(TokenRejected):
        world.enrol(token)


def test_who_has_stolen_the_mailbox_alone_gets_no_phone(
    world: World, told: Told, ada_here: tuple[User, Enrolled]
) -> None:
    """AUTH-08, the attack: somebody reads all of Ada's mail, and has a phone of their own here."""
    _, phone = ada_here
    _, mallory = told.enrolled("mallory@example.org")
    code = mailed(world, told, phone)
    with pytest.raises(AddressUnreachable, match="no code is awaited"):
        world.second_phones.invite(code, mallory.identity)
    forged = replace(mallory.identity, id="nobody", user_id=phone.identity.user_id)
    with pytest.raises(IdentityRejected):
        world.second_phones.invite(code, forged)
    assert world.second_phones.invite(code, phone.identity).token is not None
    letters = told.send()
    assert not any("cc1." in each.text + each.html for each in letters)
    world.clock.forward(days=8)
    assert not any("cc1." in each.text for each in told.send())  # nor in a reminder


def test_who_has_stolen_the_phone_alone_gets_no_other(
    world: World, told: Told, ada_here: tuple[User, Enrolled]
) -> None:
    """The attack: the code is guessed."""
    _, phone = ada_here
    wrong = other_than(mailed(world, told, phone))
    for left in reversed(range(CODE_TRIES)):
        found = world.second_phones.invite(wrong, phone.identity)
        assert (found.token, found.tries_left) == (None, left)
    with pytest.raises(AddressUnreachable):
        world.second_phones.invite(wrong, phone.identity)
    assert len(world.journal(Kind.DEVICE_CODE_WRONG)) == CODE_TRIES


def test_a_code_is_good_once_and_for_a_quarter_of_an_hour(
    world: World, told: Told, ada_here: tuple[User, Enrolled]
) -> None:
    _, phone = ada_here
    code = mailed(world, told, phone)
    assert world.second_phones.invite(code, phone.identity).token is not None
    with pytest.raises(AddressUnreachable):
        world.second_phones.invite(code, phone.identity)
    code = mailed(world, told, phone)
    world.clock.forward(minutes=15)
    with pytest.raises(AddressUnreachable):
        world.second_phones.invite(code, phone.identity)


def test_a_code_for_something_else_is_none(
    world: World, told: Told, ada_here: tuple[User, Enrolled]
) -> None:
    _, phone = ada_here
    world.addresses.send_own(phone.identity)
    code = code_in(told.send()[-1].text)
    with pytest.raises(AddressUnreachable):
        world.second_phones.invite(code, phone.identity)


def test_another_address_makes_the_code_void(
    world: World, told: Told, ada_here: tuple[User, Enrolled]
) -> None:
    user, phone = ada_here
    code = mailed(world, told, phone)
    world.people.change_user(user.id, None, "", actor=OPERATOR)
    with pytest.raises(AddressUnreachable, match="there is no e-mail address"):
        world.second_phones.invite(code, phone.identity)


def test_a_mailbox_gets_few_codes(
    world: World, told: Told, ada_here: tuple[User, Enrolled]
) -> None:
    for _ in range(3):
        mailed(world, told, ada_here[1])
    with pytest.raises(TooManyCalls):
        world.second_phones.send(ada_here[1].identity)


def test_its_token_is_good_for_an_hour(
    world: World, told: Told, ada_here: tuple[User, Enrolled]
) -> None:
    token = invited(world, told, ada_here[1])
    world.clock.forward(hours=second_phones.TOKEN_TIME.total_seconds() / 3600)
    with pytest.raises(TokenRejected):
        world.enrol(token)


def test_a_phone_that_was_removed_invites_none(
    world: World, told: Told, ada_here: tuple[User, Enrolled]
) -> None:
    _, phone = ada_here
    code = mailed(world, told, phone)
    world.devices.remove(phone.identity.id, "lost", world.operator().identity)
    with pytest.raises(IdentityRejected):
        world.second_phones.invite(code, phone.identity)
    with pytest.raises(IdentityRejected):
        world.second_phones.send(phone.identity)


def test_a_holder_has_so_many_phones(
    world: World, told: Told, ada_here: tuple[User, Enrolled]
) -> None:
    user, phone = ada_here
    for _ in range(MOST_PHONES - 1):
        world.people.invite_device(user.id, actor=OPERATOR)
    with pytest.raises(InvalidInput, match="remove one first"):
        world.second_phones.send(phone.identity)
    assert told.send() is not None


def test_without_a_mail_server_there_is_no_other(world: World, ada: tuple[User, Enrolled]) -> None:
    world.people.change_user(ada[0].id, None, EMAIL, actor=OPERATOR)
    with pytest.raises(AddressUnreachable, match="sends no e-mail"):
        world.second_phones.send(ada[1].identity)


def test_what_was_doubtful_of_a_phone_is_so_of_the_next(world: World, told: Told) -> None:
    """The attack: an operator keeps a phone that they have invited, invites another with it, and
    makes an unlock code, which counts on none of the maker's.
    """
    boss = world.enrol(world.people.add_operator("Bea", actor=DATA_FOLDER).text).identity.actor
    maker = world.enrol(world.people.add_operator("Max", actor=boss).text).identity.actor
    stranger = world.enrol(world.people.add_operator("Sue", actor=DATA_FOLDER).text).identity.actor
    user, _ = world.people.add_user("Ada Byron", EMAIL, actor=SECOND)
    for inviter in (maker, boss):
        phone = world.enrol(world.people.invite_device(user.id, actor=inviter).text)
        told.send()
        other = world.enrol(invited(world, told, phone)).identity
        with world.database.read() as connection:
            assert provenance.doubt(connection, other, maker.id, None) is Doubt.OWN
            assert provenance.doubt(connection, other, stranger.id, None) is None
        world.clock.forward(hours=1)


def test_a_restored_keystore_has_no_codes_and_tokens(
    world: World, told: Told, ada_here: tuple[User, Enrolled]
) -> None:
    _, phone = ada_here
    token, code = invited(world, told, phone), mailed(world, told, phone)
    restoring.end_the_past(world.database, world.clock(), {})
    with pytest.raises(AddressUnreachable):
        world.second_phones.invite(code, phone.identity)
    with pytest.raises(TokenRejected):
        world.enrol(token)
    with world.database.read() as connection:
        found = people.list_devices(connection, phone.identity.user_id or "")
    assert {each.state for each in found} == {IdentityState.ACTIVE, IdentityState.INVITED}

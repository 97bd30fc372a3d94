"""Another e-mail address is in force when somebody who reads what it gets has said so."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_keystore.model.errors import (
    AddressUnreachable,
    InvalidInput,
    NotAllowed,
    TooManyCalls,
    UserNotFound,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import User
from cloud_keystore.model.portal.codes import CODE_TRIES, LINK_BYTES, LINK_TIME, Link
from cloud_keystore.model.rights.roles import BuiltIn
from cloud_keystore.people.portal.addresses import REFUSED
from cloud_keystore.run import restoring
from cloud_keystore.storage import people
from support.keystore_world import OPERATOR, SECOND, Enrolled, World
from support.outbox import Told
from support.portal import VERIFY, code_in, link_in

OLD, NEW = "ada@example.org", "ada.king+card@example.org"
CHANGED, ASKED = "Your e-mail address was changed", "Another e-mail address was given for you"


@pytest.fixture
def told(world: World) -> Told:
    return Told(world)


@pytest.fixture
def ada_here(told: Told) -> tuple[User, Enrolled]:
    """Ada, who has a phone."""
    return told.enrolled(OLD)


def edit(world: World, user: User, email: str) -> User:
    return world.people.change_user(user.id, None, email, actor=OPERATOR)


def now_has(world: World, user: User) -> User:
    with world.database.read() as connection:
        return people.present(connection, user.id)


def wrong(link: str) -> str:
    """The same link with another proof."""
    known = Link.parse(link)
    assert known is not None
    return str(Link(known.code_id, bytes(LINK_BYTES)))


@pytest.mark.parametrize("new", [NEW, "o'brien@example.org", "a-b.c+d@bücher.example"])
def test_a_new_address_waits_until_its_link_was_followed(
    world: World, told: Told, ada_here: tuple[User, Enrolled], new: str
) -> None:
    """USER-17, BUG-02: verified, told and in the journal, whatever is in front of the @."""
    user, _ = ada_here
    serial = world.card(user)
    told.send()
    waiting = edit(world, user, new)
    assert (waiting.email, waiting.next_email) == (OLD, new)
    letters = told.send()
    assert {(each.address, each.subject) for each in letters} == {(OLD, ASKED), (new, VERIFY)}
    (asked,) = world.journal(Kind.USER_CHANGED)
    assert asked.details == {"old_next_email": "", "next_email": new}
    assert asked.actor == OPERATOR
    world.cards.suspend(serial, actor=OPERATOR)
    assert [each.address for each in told.send()] == [OLD]

    assert world.addresses.follow(link_in(letters)).is_verified
    found = now_has(world, user)
    assert (found.email, found.next_email, found.email_by) == (new, "", str(OPERATOR))
    assert found.email_verify_time == world.clock()
    assert {(each.address, each.subject) for each in told.send()} == {
        (OLD, CHANGED),
        (new, CHANGED),
    }
    [*_, changed] = world.journal(Kind.USER_CHANGED)
    assert changed.details == {
        "old_email": OLD,
        "email": new,
        "old_next_email": new,
        "next_email": "",
        "given_by": str(OPERATOR),
    }
    assert changed.user_id == user.id
    assert len(world.journal(Kind.ADDRESS_VERIFIED)) == 1
    world.cards.resume(serial, actor=OPERATOR)
    assert [each.address for each in told.send()] == [new]
    [listed] = world.people.search(new, 2, actor=OPERATOR)
    assert listed.user.id == user.id


def test_a_link_is_good_once_and_for_three_days(
    world: World, told: Told, ada_here: tuple[User, Enrolled]
) -> None:
    """The attack: somebody finds the letter later."""
    user, _ = ada_here
    edit(world, user, NEW)
    link = link_in(told.send())
    assert world.addresses.follow(link).is_verified
    edit(world, user, OLD)
    assert world.addresses.follow(link) == REFUSED
    late = link_in(told.send())
    world.clock.forward(seconds=LINK_TIME / timedelta(seconds=1))
    assert world.addresses.follow(late) == REFUSED
    assert now_has(world, user).email == NEW


def test_two_who_follow_one_link_at_once(
    world: World, told: Told, ada_here: tuple[User, Enrolled]
) -> None:
    edit(world, ada_here[0], NEW)
    link = link_in(told.send())
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(world.addresses.follow, [link, link]))
    assert sorted(each.is_verified for each in found) == [False, True]
    assert len(world.journal(Kind.ADDRESS_VERIFIED)) == 1


def test_the_newest_link_alone_counts(
    world: World, told: Told, ada_here: tuple[User, Enrolled]
) -> None:
    """PORT-05, BUG-18: sent once more, the one before is void."""
    user, _ = ada_here
    edit(world, user, NEW)
    former = link_in(told.send())
    world.clock.forward(hours=1)
    sent = world.addresses.send_link(user.id, actor=SECOND)
    assert sent.address == NEW
    assert now_has(world, user).next_email_until == sent.expire_time == world.clock() + LINK_TIME
    newest = link_in(told.send())
    assert world.addresses.follow(former) == REFUSED
    assert world.addresses.follow(newest).is_verified


def test_links_are_sent_again_a_few_times(
    world: World, told: Told, ada_here: tuple[User, Enrolled]
) -> None:
    """PORT-05; the attack: a mailbox is flooded."""
    user, _ = ada_here
    edit(world, user, NEW)
    for _ in range(2):
        world.addresses.send_link(user.id, actor=OPERATOR)
    with pytest.raises(TooManyCalls):
        world.addresses.send_link(user.id, actor=OPERATOR)
    letters = told.send()
    assert [each.subject for each in letters].count(VERIFY) == 1  # the others are void
    other, _ = told.enrolled("grace@example.org")
    with pytest.raises(TooManyCalls):
        edit(world, other, NEW)
    assert now_has(world, other).next_email == ""
    assert world.addresses.follow(link_in(letters)).is_verified


def test_two_changes_in_a_row(world: World, told: Told, ada_here: tuple[User, Enrolled]) -> None:
    """BUG-03: the second one holds, also when it is said of what the first one has left."""
    user, _ = ada_here
    edit(world, user, "adda@example.org")
    first = link_in(told.send())
    assert edit(world, user, NEW).next_email == NEW
    second = link_in(told.send())
    assert edit(world, user, NEW).next_email == NEW  # repeated, it sends nothing more
    assert told.send() == []
    assert world.addresses.follow(first) == REFUSED
    assert world.addresses.follow(second).is_verified
    assert now_has(world, user).email == NEW


def test_the_address_in_force_withdraws_the_one_that_waits(
    world: World, told: Told, ada_here: tuple[User, Enrolled]
) -> None:
    user, _ = ada_here
    edit(world, user, NEW)
    link = link_in(told.send())
    assert edit(world, user, OLD).next_email == ""
    assert world.addresses.follow(link) == REFUSED
    assert now_has(world, user).email == OLD
    with pytest.raises(AddressUnreachable, match="no e-mail address waits"):
        world.addresses.send_link(user.id, actor=OPERATOR)


def test_the_phone_verifies_a_new_address_too(
    world: World, told: Told, ada_here: tuple[User, Enrolled]
) -> None:
    user, phone = ada_here
    edit(world, user, NEW)
    link = link_in(told.send())
    assert world.addresses.send_own(phone.identity).address == NEW
    [letter] = told.send()
    assert letter.address == NEW
    found = world.addresses.confirm_own(code_in(letter.text), phone.identity)
    assert (found.is_verified, found.email) == (True, NEW)
    assert now_has(world, user).email == NEW
    assert world.addresses.follow(link) == REFUSED
    [*_, changed] = world.journal(Kind.USER_CHANGED)
    assert changed.actor == phone.identity.actor


def test_a_code_for_the_old_address_verifies_no_new_one(
    world: World, told: Told, ada_here: tuple[User, Enrolled]
) -> None:
    """The attack: whoever reads the old mailbox puts the new address in force."""
    user, phone = ada_here
    world.addresses.send_own(phone.identity)
    code = code_in(told.send()[-1].text)
    edit(world, user, NEW)
    with pytest.raises(AddressUnreachable):
        world.addresses.confirm_own(code, phone.identity)
    assert now_has(world, user).email == OLD


def test_links_are_not_guessed(world: World, told: Told, ada_here: tuple[User, Enrolled]) -> None:
    """The attack: somebody knows the code's identifier, and tries proofs."""
    user, _ = ada_here
    edit(world, user, NEW)
    link = link_in(told.send())
    for _ in range(CODE_TRIES):
        assert world.addresses.follow(wrong(link)) == REFUSED
    assert len(world.journal(Kind.ADDRESS_LINK_WRONG)) == CODE_TRIES
    assert world.addresses.follow(link) == REFUSED
    assert world.addresses.follow(wrong(link)) == REFUSED
    assert len(world.journal(Kind.ADDRESS_LINK_WRONG)) == CODE_TRIES
    assert now_has(world, user).email == OLD


def test_a_code_of_another_purpose_is_no_link(
    world: World, told: Told, ada_here: tuple[User, Enrolled]
) -> None:
    edit(world, ada_here[0], NEW)
    link = Link.parse(link_in(told.send()))
    assert link is not None
    sent = world.addresses.send_own(ada_here[1].identity)
    assert world.addresses.follow(str(Link(sent.id, link.proof))) == REFUSED


@pytest.mark.parametrize("text", ["", "cca1", "cca1..", "cc1.x", "cca1.x.y", "ä" * 9000])
def test_what_is_no_link_is_refused(world: World, text: str) -> None:
    assert world.addresses.follow(text) == REFUSED


@given(proof=st.binary(min_size=LINK_BYTES, max_size=LINK_BYTES), code=st.uuids())
def test_a_link_reads_back(proof: bytes, code: object) -> None:
    link = Link(str(code), proof)
    assert Link.parse(f" {link}\n") == link


@given(text=st.text() | st.from_regex(r"cca1\.[0-9a-f-]{36}\.[\w-]{22}", fullmatch=True))
def test_any_text_is_a_link_or_none(text: str) -> None:
    found = Link.parse(text)
    assert found is None or len(found.proof) == LINK_BYTES


def test_an_address_that_somebody_else_got_meanwhile(
    world: World, told: Told, ada_here: tuple[User, Enrolled]
) -> None:
    """The attack: one address is given to two people, and one of them learns of the other."""
    user, phone = ada_here
    edit(world, user, NEW)
    link = link_in(told.send())
    world.people.add_user("Ada King", NEW, actor=SECOND)
    assert world.addresses.follow(link) == REFUSED
    world.addresses.send_own(phone.identity)
    code = code_in(told.send()[-1].text)
    with pytest.raises(InvalidInput, match="cannot be yours any more"):
        world.addresses.confirm_own(code, phone.identity)
    assert now_has(world, user).email == OLD


def test_a_domain_that_addresses_cannot_have_any_more(
    world: World, told: Told, ada_here: tuple[User, Enrolled]
) -> None:
    edit(world, ada_here[0], "ada@elsewhere.example")
    world.domains.add("example.org", actor=OPERATOR)
    assert world.addresses.follow(link_in(told.send())) == REFUSED
    assert now_has(world, ada_here[0]).email == OLD


def test_who_has_left_verifies_nothing(
    world: World, told: Told, ada_here: tuple[User, Enrolled]
) -> None:
    edit(world, ada_here[0], NEW)
    link = link_in(told.send())
    world.leaving.close(ada_here[0].id, "left", world.operator().identity)
    assert world.addresses.follow(link) == REFUSED


def test_taking_the_address_away_first_does_not_help(
    world: World, told: Told, ada_here: tuple[User, Enrolled]
) -> None:
    """The attack: an operator empties the address, so that there is none to stay in force."""
    user, _ = ada_here
    assert edit(world, user, "").email == ""
    assert [(each.address, each.subject) for each in told.send()] == [(OLD, CHANGED)]
    assert edit(world, user, NEW).email == ""
    assert world.addresses.follow(link_in(told.send())).is_verified
    assert now_has(world, user).email == NEW


def test_who_has_nothing_yet_gets_another_address_at_once(world: World, told: Told) -> None:
    """An invitation that went to a mistyped address goes to the right one."""
    user, _ = told.person("adda@example.org")
    told.send()
    assert edit(world, user, OLD).email == OLD
    assert {each.subject for each in told.send()} == {CHANGED}


def test_without_a_mail_server_it_changes_at_once(world: World, ada: tuple[User, Enrolled]) -> None:
    edit(world, ada[0], OLD)
    assert edit(world, ada[0], NEW).email == NEW
    with pytest.raises(AddressUnreachable, match="no e-mail address waits"):
        world.addresses.send_link(ada[0].id, actor=OPERATOR)


def test_a_link_is_sent_by_whoever_looks_after_the_person(
    world: World, ada_here: tuple[User, Enrolled]
) -> None:
    user, _ = ada_here
    edit(world, user, NEW)
    token = world.people.add_operator("Sue", BuiltIn.SUPPORT, actor=world.actor)
    support = world.enrol(token.text).identity.actor
    with pytest.raises(NotAllowed):
        world.addresses.send_link(user.id, actor=support)
    with pytest.raises(UserNotFound):
        world.addresses.send_link("nobody", actor=OPERATOR)


def test_a_restored_keystore_has_no_links(
    world: World, told: Told, ada_here: tuple[User, Enrolled]
) -> None:
    edit(world, ada_here[0], NEW)
    link = link_in(told.send())
    restoring.end_the_past(world.database, world.clock(), {})
    assert world.addresses.follow(link) == REFUSED
    assert now_has(world, ada_here[0]).email == OLD


def test_no_link_is_written_down(world: World, told: Told, ada_here: tuple[User, Enrolled]) -> None:
    """The attack: whoever reads the journal or a log follows links."""
    edit(world, ada_here[0], NEW)
    link = Link.parse(link_in(told.send()))
    assert link is not None
    assert repr(link.proof) not in repr(link)
    assert str(link).rpartition(".")[2] not in str(world.journal())

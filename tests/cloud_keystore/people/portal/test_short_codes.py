"""Short codes stand for enrolment tokens, and are read out (DEV-03)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_keystore.custody.credentials import provenance
from cloud_keystore.custody.credentials.provenance import Doubt
from cloud_keystore.model.actors import DATA_FOLDER
from cloud_keystore.model.errors import InvalidInput, NotAllowed, TooManyCalls
from cloud_keystore.model.fields import short_codes
from cloud_keystore.model.fields.short_codes import (
    ALPHABET,
    CODE_TRIES,
    MOST_MADE,
    MOST_WRONG,
    TIME,
    Said,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.limits import Limits, with_limits
from cloud_keystore.model.people import User
from cloud_keystore.model.rights.roles import BuiltIn
from cloud_keystore.run import restoring
from support.keystore_world import OPERATOR, SECOND, World
from support.site import ask, site

CALL = "/authenticator/v1/short-codes"


@pytest.fixture
def invited(world: World) -> tuple[User, str]:
    """Somebody who is invited, and the token."""
    user, token = world.people.add_user("Ada Byron", "", actor=SECOND)
    assert token is not None
    return user, token.text


def wrong(code: str) -> str:
    """A code with the same place, and another last letter."""
    return code[:-1] + ("B" if code[-1] != "B" else "C")


def given_for(world: World, code: str) -> str:
    found = world.short_codes.exchange(code)
    return "" if found is None else found.text


def test_a_code_stands_for_the_token(world: World, invited: tuple[User, str]) -> None:
    """DEV-03: in any case, with hyphens or without, until the phone is enrolled."""
    user, token = invited
    made = world.short_codes.make(user.id, actor=OPERATOR)
    assert made.expire_time == world.clock() + TIME
    for typed in (made.text, made.text.lower().replace("-", " "), made.text.replace("-", "")):
        assert given_for(world, typed) == token
    (told,) = world.journal(Kind.SHORT_CODE_MADE)
    assert (told.actor, told.user_id) == (OPERATOR, user.id)
    assert world.enrol(given_for(world, made.text)).identity.user_id == user.id
    assert given_for(world, made.text) == ""


def test_a_code_has_five_tries_and_half_an_hour(world: World, invited: tuple[User, str]) -> None:
    """The attack: the code is guessed."""
    user, token = invited
    code = world.short_codes.make(user.id, actor=OPERATOR).text
    for _ in range(CODE_TRIES):
        assert given_for(world, wrong(code)) == ""
    assert given_for(world, code) == ""
    assert len(world.journal(Kind.SHORT_CODE_WRONG)) == CODE_TRIES
    code = world.short_codes.make(user.id, actor=OPERATOR).text
    assert given_for(world, code) == token
    world.clock.forward(minutes=30)
    assert given_for(world, code) == ""


def test_the_newest_code_alone_is_good(world: World, invited: tuple[User, str]) -> None:
    user, token = invited
    former, newest = (world.short_codes.make(user.id, actor=OPERATOR).text for _ in range(2))
    assert (given_for(world, former), given_for(world, newest)) == ("", token)


def test_few_are_made(world: World, invited: tuple[User, str]) -> None:
    for _ in range(MOST_MADE):
        world.short_codes.make(invited[0].id, actor=OPERATOR)
    with pytest.raises(TooManyCalls):
        world.short_codes.make(invited[0].id, actor=OPERATOR)


def test_too_many_wrong_ones_close_an_organisation(world: World) -> None:
    """The attack: many codes are tried, each a few times."""
    codes: list[str] = []
    for number in range(MOST_WRONG // CODE_TRIES + 1):
        user, _ = world.people.add_user(f"Ada {number}", "", actor=OPERATOR)
        codes.append(world.short_codes.make(user.id, actor=OPERATOR).text)
    *guessed, last = codes
    assert given_for(world, last) != ""
    for code in guessed:
        for _ in range(CODE_TRIES):
            given_for(world, wrong(code))
    assert given_for(world, last) == ""
    world.clock.forward(hours=1)
    user, _ = world.people.add_user("Grace Hopper", "", actor=OPERATOR)
    assert given_for(world, world.short_codes.make(user.id, actor=OPERATOR).text) != ""


def test_it_is_made_for_an_open_invitation_by_whoever_may_invite(
    world: World, invited: tuple[User, str]
) -> None:
    user, token = invited
    looker = world.people.add_operator("Sue", BuiltIn.SUPPORT, actor=world.actor)
    support = world.enrol(looker.text).identity.actor
    with pytest.raises(NotAllowed):
        world.short_codes.make(user.id, actor=support)
    world.enrol(token)
    with pytest.raises(InvalidInput, match="no open invitation"):
        world.short_codes.make(user.id, actor=OPERATOR)


def test_whoever_makes_one_could_have_the_phone(world: World, invited: tuple[User, str]) -> None:
    """The attack: an operator enrols, by a short code, a phone that another one has invited, and
    makes an unlock code.
    """
    maker = world.enrol(world.people.add_operator("Max", actor=DATA_FOLDER).text).identity.actor
    code = world.short_codes.make(invited[0].id, actor=maker).text
    phone = world.enrol(given_for(world, code)).identity
    with world.database.read() as connection:
        assert provenance.doubt(connection, phone, maker.id, None) is Doubt.OWN


def test_an_address_tries_few(world: World, invited: tuple[User, str]) -> None:
    """The attack: a stranger tries codes at the page."""
    user, token = invited
    code = world.short_codes.make(user.id, actor=OPERATOR).text
    pages = site(world, with_limits(Limits(), ["enrolment=1/3"]))

    def tried(text: str) -> tuple[int, object]:
        raw = json.dumps({"code": text}).encode()
        answer = ask(pages, "POST", CALL, {"content-type": "application/json"}, raw)
        return answer.status, json.loads(answer.body)["token"] if answer.status == 200 else None

    assert tried("BBBB-BBBB-BBBB") == tried(wrong(code)) == (200, "")
    assert tried(code) == (200, token)
    assert tried(code) == (429, None)


def test_a_restored_keystore_has_no_codes(world: World, invited: tuple[User, str]) -> None:
    code = world.short_codes.make(invited[0].id, actor=OPERATOR).text
    restoring.end_the_past(world.database, world.clock(), {})
    assert given_for(world, code) == ""


def test_no_code_is_written_down(world: World, invited: tuple[User, str]) -> None:
    code = world.short_codes.make(invited[0].id, actor=OPERATOR).text
    assert code.replace("-", "")[4:] not in str(world.journal()).replace("-", "")
    found = short_codes.parse(code)
    assert found is not None
    assert found.secret not in repr(found)


@given(st.text(ALPHABET, min_size=12, max_size=12))
def test_what_is_written_reads_back(whole: str) -> None:
    assert short_codes.parse(short_codes.written(whole[:4], whole[4:])) == Said(
        whole[:4], whole[4:]
    )


@given(st.text(max_size=80))
def test_any_text_is_a_code_or_none(text: str) -> None:
    found = short_codes.parse(text)
    assert found is None or {*found.place, *found.secret} <= {*ALPHABET}


@given(st.binary(min_size=16, max_size=32))
def test_drawn_bytes_are_letters(drawn: bytes) -> None:
    assert len(short_codes.letters(drawn, 8)) == 8

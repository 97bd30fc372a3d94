"""People: one entry for each, and one account."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from card_os.piv.names import ObjectTag
from cloud_keystore.model.errors import UserExists
from cloud_keystore.model.fields.texts import text_field
from cloud_keystore.model.finding import Findable, find, folded, unaccented
from cloud_keystore.model.journal import Kind
from cloud_keystore.people import people as people_module
from cloud_keystore.storage import people, tables
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.listing import users as listing
from cloud_keystore.storage.listing.users import ENROLLED, PENDING
from support.keystore_world import OPERATOR, SECOND, World

SID = "S-1-5-21-1004336348-1177238915-682003330-512"


def add(world: World, *facts: str, namesake: bool = False) -> str:
    return world.people.add_user(*facts, namesake=namesake, actor=OPERATOR)[0].id


@pytest.mark.parametrize(
    "again",
    [
        ("Ada Byron", "ada@example.org"),
        (" ada  byron ", "ADA@example.org"),
        ("ADA BYRON", "ada@EXAMPLE.ORG"),
    ],
)
def test_who_is_added_again_stays_one_person(world: World, again: tuple[str, str]) -> None:
    """A repeated command is idempotent; it brings no second token."""
    first, token = world.people.add_user("Ada Byron", "ada@example.org", actor=OPERATOR)
    assert token is not None
    assert world.people.add_user(*again, actor=OPERATOR) == (first, None)
    assert (
        len(world.people.list_users(actor=world.actor)) == len(world.journal(Kind.USER_ADDED)) == 1
    )


@pytest.mark.parametrize("email", ["o'brien+ward@example.org", "O'Brien+WARD@Example.ORG"])
@pytest.mark.parametrize("namesake", [True, False])
def test_an_address_belongs_to_one_person_who_has_not_left(
    world: World, email: str, namesake: bool
) -> None:
    """BUG-02: apostrophes and plus signs in addresses."""
    first = world.people.add_user("Seán O'Brien", "o'brien+ward@example.org", actor=OPERATOR)[0]
    with pytest.raises(UserExists, match=f"Seán O'Brien, UUID {first.uuid12}"):
        add(world, "Bob", email, namesake=namesake)
    with pytest.raises(UserExists, match="e-mail address of Seán"):
        add(world, "Seán O'Brien", email, "sean@corp.example")
    world.leaving.close(first.id, "left", world.operator().identity)
    again = world.people.add_user("Bob", email, actor=OPERATOR)[0]
    assert again.id != first.id
    with world.database.read() as connection:
        assert people.named(connection, email) == again


def test_a_name_without_an_address_is_asked_about(world: World) -> None:
    add(world, "Ada Byron", "")
    with pytest.raises(UserExists, match="--namesake"):
        add(world, "Ada Byron", "")
    add(world, "Ada Byron", "", namesake=True)
    add(world, "Ada Byron", "ada@example.org")
    add(world, "Ada Byron", "other@example.org")
    assert len(world.people.list_users(actor=world.actor)) == 4


def test_each_person_has_a_uuid_of_twelve_digits(world: World) -> None:
    """USER-23."""
    drawn = [world.people.add_user(name, "", actor=OPERATOR)[0].uuid12 for name in "abc"]
    assert all(re.fullmatch(r"[1-9][0-9]{11}", each or "") for each in drawn)
    assert len(set(drawn)) == 3
    assert [entry.details["uuid12"] for entry in world.journal(Kind.USER_ADDED)] == drawn


def test_a_uuid_that_somebody_has_is_not_given_again(world: World) -> None:
    """The source of randomness repeats itself once."""
    drawn = iter([1, 1, 2])
    alike = replace(
        world.people,
        random=lambda size: next(drawn).to_bytes(size) if size == 16 else os.urandom(size),
    )
    added = [alike.add_user(name, "", actor=OPERATOR)[0].uuid12 for name in ("Ada", "Bo")]
    assert added == ["100000000001", "100000000002"]


def test_people_from_before_there_were_uuids_get_theirs(world: World) -> None:
    users = [world.people.add_user(name, "", actor=OPERATOR)[0] for name in ("Ada", "Zoë")]
    with world.database.write() as connection:
        nothing: Values = {"uuid12": None, "search": ""}
        rows.change(connection, tables.user, [], nothing)
    assert world.people.search("zoe", 5, actor=world.actor) == []
    assert world.people.complete_users() == 2
    assert world.people.complete_users() == 0
    (told,) = world.journal(Kind.USERS_NUMBERED)
    assert told.details == {"users": 2}
    (zoe,) = world.people.search("zoe", 5, actor=world.actor)
    assert zoe.user.id == users[1].id
    assert re.fullmatch(r"[1-9][0-9]{11}", zoe.user.uuid12 or "")


def test_forged_people_do_not_keep_others_from_getting_theirs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages of nothing but forged records came again and again."""
    monkeypatch.setattr(people_module, "COMPLETED_AT_ONCE", 2)
    ids = [world.people.add_user(name, "", actor=OPERATOR)[0].id for name in "abcdef"]
    u = tables.user.c
    with world.database.write() as connection:
        nothing: Values = {"uuid12": None, "search": ""}
        rows.change(connection, tables.user, [], nothing)
        forged = update(tables.user).where(u.id.in_(ids[:3])).values(display_name="Eve")
        connection.execute(forged)
    assert world.people.complete_users() == 3
    with world.database.read() as connection:
        without = select(u.id).where(u.uuid12.is_(None))
        assert set(connection.execute(without).scalars()) == set(ids[:3])


def test_addresses_from_before_get_the_form_in_which_they_are_compared(world: World) -> None:
    """Whose UUID is there keeps it, and nothing is told."""
    user, _ = world.people.add_user("Élise", "É@example.org", "É@corp.example", actor=OPERATOR)
    with world.database.write() as connection:
        nothing: Values = {"email_key": None, "upn_key": None}
        rows.change(connection, tables.user, [], nothing)
        assert people.named(connection, "é@example.org") is None
    assert world.people.complete_users() == 0
    assert world.journal(Kind.USERS_NUMBERED) == []
    for text in ("é@EXAMPLE.org", "é@CORP.example"):
        with world.database.read() as connection:
            assert people.named(connection, text) == user
    with pytest.raises(UserExists, match="address of Élise"):
        add(world, "Bo", "é@example.org")


@pytest.mark.parametrize(
    "text",
    [
        "byron",
        "BYRON",
        "zoe",  # accents do not matter
        "ZOE\u0308 B",
        "ë byr",
        "brien+ward",
        "O'BRIEN",
        "@corp.example",
        "({uuid12})",
        "{serial:.4}",
    ],
)
def test_any_part_of_what_a_person_is_called(world: World, text: str) -> None:
    """USER-12 and USER-13."""
    user, token = world.people.add_user(
        "Zoë Byron", "o'brien+ward@example.org", "zoe@corp.example", actor=OPERATOR
    )
    assert token is not None
    world.enrol(token.text)
    serial = world.card(user)
    world.people.add_user("Bo", "bo@example.org", actor=OPERATOR)
    (found,) = world.people.search(
        text.format(uuid12=user.uuid12, serial=serial), 5, actor=world.actor
    )
    assert found.user == user
    assert (found.device_count, found.card_serials, found.enrolled) == (1, (serial,), True)


@pytest.mark.parametrize("text", ["%", "_", "\\", "bx"])
def test_signs_of_patterns_are_themselves(world: World, text: str) -> None:
    add(world, "Bo", "bo@example.org")
    assert world.people.search(text, 5, actor=world.actor) == []


def test_a_search_says_whether_there_are_more(world: World) -> None:
    for name in ("Ada A", "Ada B", "Ada C"):
        world.clock.forward(seconds=1)
        add(world, name, "")
    assert [
        each.user.display_name for each in world.people.search("ada", 2, actor=world.actor)
    ] == [
        "Ada A",
        "Ada B",
        "Ada C",
    ]
    assert len(world.people.search("ada", 1, actor=world.actor)) == 2


NAMES = st.text(st.characters(exclude_categories=["C", "Z", "M"]), min_size=3, max_size=40)


@given(
    name=NAMES | st.sampled_from(["Zoe\u0308", "\uac00\uac01\uac02", "\u1eadn\u0307g", "ǅungla"])
)
def test_a_name_finds_itself_however_it_was_typed(name: str) -> None:
    """In NFC and NFD, in upper and lower case."""
    shown = text_field("name", name, 256)
    thing = Findable("1", ("1",), (shown,), shown)
    for form in ("NFC", "NFD"):
        for typed in (normalize(form, name), normalize(form, name).upper(), name.casefold()):
            if folded(typed) == folded(shown):  # some letters have no upper case of their own
                assert find(typed, [thing]) == [thing]
            assert unaccented(normalize("NFD", shown)) == unaccented(normalize("NFC", shown))


def test_a_name_and_an_address_are_changed_twice_in_a_row(world: World) -> None:
    """USER-15, USER-17 and BUG-03: the journal has the old and the new values."""
    user, _ = world.people.add_user("Ada Byron", "ada@example.org", actor=OPERATOR)
    world.people.change_user(user.id, "Ada King", None, actor=OPERATOR)
    changed = world.people.change_user(user.id, "Ada Lovelace", "a.l@example.org", actor=SECOND)
    assert (changed.display_name, changed.email) == ("Ada Lovelace", "a.l@example.org")
    first, second = world.journal(Kind.USER_CHANGED)
    assert (first.actor, first.user_id) == (OPERATOR, user.id)
    assert first.details == {"old_name": "Ada Byron", "name": "Ada King"}
    assert second.details == {
        "old_name": "Ada King",
        "name": "Ada Lovelace",
        "old_email": "ada@example.org",
        "email": "a.l@example.org",
    }
    (found,) = world.people.search("lovelace", 5, actor=world.actor)
    assert found.user == changed
    assert world.people.search("byron", 5, actor=world.actor) == []
    # What is there already is no change.
    world.people.change_user(user.id, "Ada Lovelace", None, actor=OPERATOR)
    assert len(world.journal(Kind.USER_CHANGED)) == 2


def test_people_who_have_shared_an_address_can_have_another_name(world: World) -> None:
    """From before an address belonged to one person."""
    one, other = (add(world, name, f"{name}@example.org") for name in ("ada", "bo"))
    with world.database.write() as connection:
        shared: Values = {"email": "ada@example.org"}
        rows.change(connection, tables.user, [tables.user.c.id == other], shared)
    for user in (one, other):
        named = world.people.change_user(user, "Kim", None, actor=OPERATOR)
        assert (named.display_name, named.email) == ("Kim", "ada@example.org")
    with pytest.raises(UserExists, match="address of Kim"):
        world.people.change_user(add(world, "Cy", ""), None, "ada@example.org", actor=OPERATOR)


def test_a_uuid_is_found_as_it_was_read_out(world: World) -> None:
    user, _ = world.people.add_user("Ada", "", actor=OPERATOR)
    uuid12 = user.uuid12 or ""
    (found,) = world.people.search(f"{uuid12[:4]} {uuid12[4:8]} {uuid12[8:]}", 5, actor=world.actor)
    assert found.user == user


@pytest.mark.parametrize("text", ["\u0301", "\u0301\u0301"])
def test_nothing_but_accents_finds_nobody(world: World, text: str) -> None:
    """It found everybody."""
    add(world, "Ada", "")
    assert world.people.search(text, 5, actor=world.actor) == []


def test_another_persons_address_is_not_taken(world: World) -> None:
    add(world, "Bo", "bo@example.org")
    ada = add(world, "Ada", "ada@example.org")
    with pytest.raises(UserExists, match="address of Bo"):
        world.people.change_user(ada, None, "BO@example.org", actor=OPERATOR)
    assert world.journal(Kind.USER_CHANGED) == []


@pytest.mark.parametrize("upn", ["ada@corp.example", "ADA@Corp.Example"])
def test_an_account_belongs_to_one_person(world: World, upn: str) -> None:
    add(world, "Ada", "ada@example.org", "ada@corp.example", SID)
    with pytest.raises(UserExists, match="is that of Ada, UUID"):
        add(world, "Bob", "bob@example.org", upn, namesake=True)
    add(world, "Bob", "bob@example.org", "bob@corp.example")


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("Łucja Żółć", b"Lucja Zolc"),
        ("Jürgen Weiß", b"Jurgen Weiss"),
        ("Ægir Øster Þór", b"Aegir Oster Thor"),
        ("Ольга", b"Ol'ga"),
        ("Ιωάννης", b"Ioannis"),
    ],
)
def test_the_printed_name_can_be_read(world: World, name: str, printed: bytes) -> None:
    serial = world.card(world.user(name)[0])
    assert printed in world.contents(serial)[ObjectTag.PRINTED_INFORMATION]


def test_people_are_counted_by_their_states(world: World) -> None:
    """The pages' tabs: PostgreSQL refused the statement, as a state has values in it."""
    ada, _ = world.user("Ada Byron")
    world.card(ada)
    world.people.add_user("Grace Hopper", "grace@example.org", actor=OPERATOR)
    with world.database.read() as connection:
        found = listing.counts(connection, world.clock(), None)
        named = listing.counts(connection, world.clock(), None, "grace")
    assert (found, named) == ({ENROLLED: 1, PENDING: 1}, {PENDING: 1})

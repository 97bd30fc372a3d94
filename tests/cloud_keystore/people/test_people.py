"""People: one entry for each, and one account."""

from __future__ import annotations

import pytest

from card_os.piv.names import ObjectTag
from cloud_keystore.model.errors import UserExists
from support.keystore_world import OPERATOR, World

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
def test_the_same_person_is_not_added_again(world: World, again: tuple[str, str]) -> None:
    first = add(world, "Ada Byron", "ada@example.org")
    with pytest.raises(UserExists, match=first) as refused:
        add(world, *again)
    assert "Ada Byron (ada@example.org)" in str(refused.value)
    assert add(world, *again, namesake=True) != first
    assert add(world, "Ada Byron", "other@example.org") != first


def test_a_name_without_an_address_is_asked_about_too(world: World) -> None:
    add(world, "Ada Byron", "")
    with pytest.raises(UserExists, match="--namesake"):
        add(world, "Ada Byron", "")
    add(world, "Ada Byron", "ada@example.org")
    assert len(world.people.list_users()) == 2


@pytest.mark.parametrize("upn", ["ada@corp.example", "ADA@Corp.Example"])
def test_an_account_belongs_to_one_person(world: World, upn: str) -> None:
    first = add(world, "Ada", "ada@example.org", "ada@corp.example", SID)
    with pytest.raises(UserExists, match=first):
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

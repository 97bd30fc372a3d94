"""Lists of people and cards, in each order and page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest
from sqlalchemy import Engine, event

from cloud_keystore.cards import life
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.cards import CardState
from cloud_keystore.model.errors import InvalidInput, OrganisationNotFound
from cloud_keystore.model.fields.pages import CARD_COLUMNS, USER_COLUMNS, Page
from cloud_keystore.model.people import User
from cloud_keystore.people import listing
from cloud_keystore.storage.listing import cards, users
from support.keystore_world import OPERATOR, World

NAMES = ("Émile", "eve", "Dora", "Zoë", "Ädam", "Bo", "Bo")


@pytest.fixture
def people(world: World) -> list[User]:
    """People of two organisations, one below the other; some have a phone and a card, one left."""
    operator = world.operator().identity
    ward = world.organisations.add("Ward", operator)
    bay = world.organisations.add("Bay", operator, ward.id)
    places = ("default", ward.id, bay.id)
    found = []
    for number, name in enumerate(NAMES):
        world.clock.forward(seconds=1)
        email = f"{(number * 5) % 7}@x.example" if number % 3 else ""
        user, token = world.people.add_user(
            *(name, email, f"{number}@corp.example" if number % 2 else ""),
            namesake=True,
            organisation_id=places[number % 3],
            actor=OPERATOR,
        )
        if number % 2 and token is not None:
            world.enrol(token.text)
            world.card(user, ("p256", "developer")[number // 2 % 2])
        found.append(user)
    world.leaving.close(found[0].id, "left", operator)
    return found


def listed(world: World, sort: str, page: Page | None = None) -> list[listing.UserListing]:
    return world.people.list_users(page, listing.Wanted(sort=sort), actor=OPERATOR)


def paged(get: Callable[[Page], Sequence[str]]) -> Iterator[str]:
    """What is on all pages of two."""
    after = ""
    while found := get(Page(2, after)):
        assert len(found) <= 2
        yield from found
        after = found[-1]


SHOWN: dict[str, Callable[[listing.UserListing], object]] = {
    "state": lambda each: (
        "closed" if each.user.state == "closed" else "enrolled" if each.enrolled else "pending"
    ),
    "devices": lambda each: each.device_count,
    "cards": lambda each: min(each.card_serials, default=""),
    "created": lambda each: each.user.create_time,
    "email": lambda each: each.user.email.casefold(),
}


@pytest.mark.parametrize("sort", [*USER_COLUMNS, *(f"-{each}" for each in USER_COLUMNS)])
def test_people_are_sorted_by_each_column_both_ways(
    world: World, people: list[User], sort: str
) -> None:
    """USER-14: those that are the same in it are in the order of identifiers, and pages are parts
    of the whole.
    """
    column, descends = sort.removeprefix("-"), sort.startswith("-")
    for each in people[3], people[5], people[5]:
        world.enrol(world.people.invite_device(each.id, actor=OPERATOR).text)
        world.card(each)
    whole = listed(world, sort)
    assert len(whole) == len(people)
    if column in SHOWN:
        keys = [(SHOWN[column](each), each.user.id) for each in whole]
        assert keys == sorted(keys, reverse=descends)
    ids = [each.user.id for each in whole]
    assert ids == [each.user.id for each in listed(world, column)][:: -1 if descends else 1]
    assert ids == list(paged(lambda page: [each.user.id for each in listed(world, sort, page)]))


@pytest.mark.usefixtures("people")
def test_names_are_sorted_whatever_their_case_and_accents(world: World) -> None:
    names = [each.user.display_name for each in listed(world, "name")]
    assert names == ["Ädam", "Bo", "Bo", "Dora", "Émile", "eve", "Zoë"]


def test_people_are_chosen(world: World, people: list[User]) -> None:
    def chosen(**wanted: object) -> list[str]:
        found = world.people.list_users(
            wanted=listing.Wanted(**wanted),  # type: ignore[arg-type]
            actor=OPERATOR,
        )
        return [each.user.id for each in found]

    ids = [each.id for each in people]
    assert chosen(states=("closed",)) == ids[:1]
    assert chosen(states=("enrolled",)) == ids[1::2]
    assert chosen(states=("pending", "enrolled")) == ids[1:]
    ward, bay = people[1].organisation_id, people[2].organisation_id
    assert chosen(organisation_id=bay) == [ids[2], ids[5]]
    assert chosen(organisation_id=ward) == [ids[1], ids[2], ids[4], ids[5]]
    assert chosen(text="bo") == ids[5:]
    assert chosen(text="bo", states=("enrolled",)) == [ids[5]]
    assert chosen(profile="p256") == []
    with pytest.raises(OrganisationNotFound):
        chosen(organisation_id="nowhere")
    for wrong in ({"states": ("odd",)}, {"sort": "password"}, {"sort": "--name"}):
        with pytest.raises(InvalidInput, match="give one of"):
            chosen(**wrong)
    with pytest.raises(InvalidInput, match="first page"):
        listed(world, "name", Page(2, "nobody"))


def test_nobody_pages_through_people_elsewhere(world: World, people: list[User]) -> None:
    """What is not seen is not there, as the place where a page begins and as an organisation."""
    ward = people[1].organisation_id
    token = world.people.add_operator("Ida", "ra-agent", ward, actor=OPERATOR)
    ida = world.enrol(token.text).identity.actor
    seen = list(
        paged(
            lambda page: [
                each.user.id
                for each in world.people.list_users(page, listing.Wanted(sort="-name"), actor=ida)
            ]
        )
    )
    assert sorted(seen) == [people[number].id for number in (1, 2, 4, 5)]
    with pytest.raises(InvalidInput, match="first page"):
        world.people.list_users(Page(2, people[0].id), actor=ida)
    with pytest.raises(OrganisationNotFound):
        world.people.list_users(wanted=listing.Wanted(organisation_id="default"), actor=ida)
    mine = paged(lambda page: [each.card.serial for each in world.cards.list_all(page, actor=ida)])
    theirs = world.cards.list_all(actor=OPERATOR)
    assert sorted(mine) == sorted(
        each.card.serial for each in theirs if each.user.id in (people[1].id, people[5].id)
    )


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("sort", [*CARD_COLUMNS, *(f"-{each}" for each in CARD_COLUMNS)])
def test_cards_are_sorted_by_each_column_both_ways(world: World, sort: str) -> None:
    """USER-14."""

    def listed_cards(page: Page | None = None) -> list[str]:
        found = world.cards.list_all(page, life.Wanted(sort=sort), actor=OPERATOR)
        return [each.card.serial for each in found]

    whole = listed_cards()
    assert len(whole) == 3
    assert whole == list(paged(listed_cards))
    once = world.cards.list_all(None, life.Wanted(sort=sort.removeprefix("-")), actor=OPERATOR)
    assert whole == [each.card.serial for each in once][:: -1 if sort.startswith("-") else 1]


def test_cards_are_chosen(world: World, people: list[User]) -> None:
    """CARD-04: by how serial numbers begin, among others."""

    def chosen(**wanted: object) -> list[str]:
        found = world.cards.list_all(
            wanted=life.Wanted(**wanted),  # type: ignore[arg-type]
            actor=OPERATOR,
        )
        return [each.user.id for each in found]

    assert chosen() == [people[number].id for number in (1, 3, 5)]
    assert chosen(profile="developer") == [people[3].id]
    assert chosen(organisation_id=people[1].organisation_id) == [people[1].id, people[5].id]
    assert chosen(states=(CardState.SUSPENDED,)) == []
    v2 = world.card(people[1], "v2")
    assert v2.startswith("150")
    assert chosen(prefix="150") == [people[1].id]
    assert chosen(prefix="%") == []


def test_cards_are_counted(world: World, people: list[User]) -> None:
    """CARD-04, CARD-11: by organisation, type and state, of what the actor sees."""

    def counted(actor: Actor = OPERATOR, **wanted: object) -> list[tuple[str, str, str, int]]:
        found = world.cards.count(life.Wanted(**wanted), actor=actor)  # type: ignore[arg-type]
        return [(each.organisation_id, each.profile, each.state, each.cards) for each in found]

    ward, bay = people[1].organisation_id, people[5].organisation_id
    world.card(people[1], "v2")
    world.card(people[1])
    world.cards.suspend(world.card(people[1]), actor=OPERATOR)
    everything = [
        ("default", "developer", "active", 1),
        (ward, "p256", "active", 2),
        (ward, "p256", "suspended", 1),
        (ward, "v2", "active", 1),
        (bay, "p256", "active", 1),
    ]
    assert sorted(counted()) == sorted(everything)
    assert counted(prefix="150") == [(ward, "v2", "active", 1)]
    assert counted(states=(CardState.SUSPENDED,)) == [(ward, "p256", "suspended", 1)]
    assert counted(organisation_id=bay) == [(bay, "p256", "active", 1)]
    token = world.people.add_operator("Ida", "ra-agent", bay, actor=OPERATOR)
    ida = world.enrol(token.text).identity.actor
    assert counted(ida) == [(bay, "p256", "active", 1)]


def test_a_list_of_cards_takes_few_statements(world: World, people: list[User]) -> None:
    """However many they are, none is asked for by itself."""
    counted: list[str] = []

    def note(*said: object) -> None:
        counted.append(str(said[2]))

    def statements() -> int:
        counted.clear()
        event.listen(Engine, "before_cursor_execute", note)
        try:
            world.cards.list_all(Page(500), actor=OPERATOR)
        finally:
            event.remove(Engine, "before_cursor_execute", note)
        return len(counted)

    before = statements()
    for _ in range(5):
        world.card(people[1])
    assert statements() == before


def test_each_column_has_an_order() -> None:
    assert set(users.KEYS) == set(USER_COLUMNS)
    assert set(cards.KEYS) == set(CARD_COLUMNS)

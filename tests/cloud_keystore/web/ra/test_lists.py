"""Lists: what is looked for, order and page are in the address, and a file has the same."""

from __future__ import annotations

import re

import pytest

from cloud_keystore.model.people import Identity
from support.keystore_world import OPERATOR, World
from support.outbox import Told
from support.site import site
from support.visitor import Visitor

ADDRESS = re.compile(r">(a\d+@example\.org)<")
FIRST = re.compile(r'role="rowheader">(?:<a[^>]*>)?([^<]*)<')


@pytest.fixture
def olga(world: World) -> Identity:
    return world.operator().identity


@pytest.fixture
def visitor(world: World, olga: Identity) -> Visitor:
    for number in range(120):
        world.organisations.add(f"Ward {number:03}", olga)
    return Visitor.of(world, site(world), olga)


def test_pages_lead_on_and_back(visitor: Visitor) -> None:
    seen, path = list[str](), "/ra/organisations?q=ward"
    while path:
        shown = visitor.page(path)
        assert "120 lines" in shown
        seen += FIRST.findall(shown)
        more = re.search(r'href="([^"]+)" rel="next"', shown)
        before, path = path, more[1].replace("&amp;", "&") if more else ""
    assert seen == [f"Ward {number:03}" for number in range(120)]
    back = re.search(r'href="([^"]+)" rel="prev"', visitor.page(before))
    assert back is not None
    assert FIRST.findall(visitor.page(back[1].replace("&amp;", "&"))) == seen[50:100]
    assert FIRST.findall(visitor.page("/ra/organisations?q=ward&page=999999")) == seen[100:]


def test_a_list_is_searched_and_sorted(visitor: Visitor) -> None:
    assert FIRST.findall(visitor.page("/ra/organisations?q=WARD+11&sort=-name"))[:2] == [
        "Ward 119",
        "Ward 118",
    ]
    nothing = visitor.page("/ra/organisations?q=%3Cb%3Enobody")
    assert "&lt;b&gt;nobody" in nothing
    assert "<b>nobody" not in nothing
    for wrong in ("sort=colour", "page=x", "page=-1", "q=" + "a" * 300):
        assert visitor.get(f"/ra/organisations?{wrong}").status == 422


def test_a_file_has_what_the_list_shows(world: World, olga: Identity, visitor: Visitor) -> None:
    world.organisations.add("=SUM(1)", olga)
    told = visitor.get("/ra/organisations.csv?q=ward+00&sort=-name")
    assert told.fields["content-disposition"] == 'attachment; filename="organisations.csv"'
    lines = told.body.decode("utf-8-sig").splitlines()
    assert lines[0] == "Organisation,Below,Help contact,Added"
    assert lines[1] == "Ward 009,Default,,2026-11-23T09:00:00Z"
    assert len(lines) == 11
    assert "'=SUM(1)" in visitor.get("/ra/organisations.csv").body.decode()


def test_nobody_else_can_make_a_list_say_that_something_was_done(visitor: Visitor) -> None:
    path = visitor.post("/ra/domains/add", name="example.org").fields["location"]
    assert "It is added." in visitor.page(path)
    for forged in ("added", "added.", "added." + "A" * 43, "removed." + path.rpartition(".")[2]):
        shown = visitor.page(f"/ra/domains?done={forged}")
        assert "It is added." not in shown
        assert "It is removed." not in shown


@pytest.mark.parametrize("sort", ["name", "-state", "-created"])
def test_pages_of_people_lead_on_and_back(world: World, olga: Identity, sort: str) -> None:
    """The first page is led to again, whatever the order, and people of one name are not lost."""
    for number in range(120):
        world.people.add_user(f"Ada {number % 3}", f"a{number}@example.org", actor=OPERATOR)
    visitor = Visitor.of(world, site(world), olga)
    pages, path = list[str](), f"/ra/people?sort={sort}"
    while path:
        pages.append(visitor.page(path))
        path = led(pages[-1], "next")
    seen = [ADDRESS.findall(each) for each in pages]
    assert [len(each) for each in seen] == [50, 50, 20]
    assert len({each for some in seen for each in some}) == 120
    back = [pages[-1]]
    while path := led(back[-1], "prev"):
        back.append(visitor.page(path))
    assert [ADDRESS.findall(each) for each in reversed(back)] == seen


def led(page: str, where: str) -> str:
    """To which page a page leads."""
    found = re.search(f'href="([^"]+)" rel="{where}"', page)
    return found[1].replace("&amp;", "&") if found else ""


def test_an_address_that_waits_is_shown(world: World, olga: Identity) -> None:
    """USER-17: beside the one that holds."""
    ada, _ = Told(world).enrolled("ada@example.org")
    world.people.change_user(ada.id, None, "new@example.org", actor=OPERATOR)
    shown = Visitor.of(world, site(world), olga).page(f"/ra/people/{ada.id}")
    assert "ada@example.org" in shown
    assert "new@example.org, when the link that was sent there is followed" in shown

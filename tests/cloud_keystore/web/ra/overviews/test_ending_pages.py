"""What ends soon is searched, sorted by each column, limited and saved: BUG-31."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from html import unescape
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.types import ASGIApp

from cloud_keystore.cards.expiring import Expiring
from cloud_keystore.cards.reports import Reports
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.people import User
from cloud_keystore.model.rights.roles import BuiltIn
from cloud_keystore.web.ra import files
from cloud_keystore.web.ra.overviews import ending
from support.keystore_world import OPERATOR, World
from support.visitor import Visitor

PATH = "/ra/expiring?days=3650"
PART = re.compile(r'<option value="(\d{4}-[^"]+)">What ends after these')


@pytest.fixture
def bea(world: World) -> User:
    """Somebody with a card, beside somebody else, and a workstation."""
    for name in ("Ada Byron", "Bea Blum"):
        user = world.user(name)[0]
        world.card(user, "v2")
        world.clock.forward(seconds=1)  # what is made later ends later
    world.workstation("=WARD7")
    return user


def rows(visitor: Visitor, path: str) -> list[list[str]]:
    """The rows of the file of a list, without its head."""
    told = visitor.get(path.replace("expiring?", "expiring.csv?"))
    assert told.status == 200, told.body
    return list(csv.reader(io.StringIO(told.body.decode("utf-8-sig"))))[1:]


def shown(page: str) -> list[str]:
    """What the lines of a page end with, in their order."""
    return re.findall(r'data-label="Ends">([^<]+)<', page)


@pytest.mark.usefixtures("bea")
@pytest.mark.parametrize("place", range(4))
def test_each_column_is_sorted_both_ways(visitor: Visitor, place: int) -> None:
    column = ("what", "name", "holder", "ends")[place]
    up, down = (rows(visitor, f"{PATH}&sort={way}{column}") for way in ("", "-"))
    keys = [each[place].casefold().removeprefix("'") for each in up]
    assert len(set(keys)) > 1
    assert all(one <= other for one, other in pairwise(keys))
    turned = [each[place].casefold().removeprefix("'") for each in down]
    assert turned == sorted(keys, reverse=True)
    assert f'?days=3650&amp;sort=-{column}"' in visitor.page(f"{PATH}&sort={column}")


def test_a_text_is_found_in_names_numbers_and_holders(
    world: World, visitor: Visitor, bea: User
) -> None:
    (card,) = world.showing.show(bea.id, world.operator().identity).cards
    serial = card.card.serial
    grouped = " ".join(serial[place : place + 4] for place in range(0, len(serial), 4))
    for text in (serial, grouped, "bEA"):
        found = rows(visitor, f"{PATH}&q={text}&what=card")
        assert [each[1:3] for each in found] == [[serial, "Bea Blum"]]
    page = visitor.page(f"{PATH}&q={serial}")
    assert f'href="/ra/people?q={serial}"' in page
    assert f"{serial}, key 9C" in page
    assert "Ada Byron" not in page
    assert "Nothing in this list has" in visitor.page(f"{PATH}&q=nobody")


def test_a_text_is_found_beyond_what_a_page_looks_up(
    visitor: Visitor, bea: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "PORTION", 1)
    assert bea.display_name in visitor.page(f"{PATH}&what=device&q=bea")
    assert bea.display_name not in visitor.page(f"{PATH}&what=device")


@pytest.mark.usefixtures("bea")
def test_it_is_limited_to_one_sort(visitor: Visitor) -> None:
    assert {each[0] for each in rows(visitor, f"{PATH}&what=device")} == {"Device"}
    assert len({each[0] for each in rows(visitor, PATH)}) > 3
    assert "No auditor ends within 3650 days." in visitor.page(f"{PATH}&what=auditor")


@pytest.mark.usefixtures("bea")
def test_a_file_has_all_and_no_formula(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has what pages show in portions, each of which begins where the one before has ended."""
    whole = rows(visitor, PATH)
    assert [each[1] for each in whole if each[0] == "Workstation"] == ["'=WARD7"]
    monkeypatch.setattr(ending, "PORTION", 2)
    monkeypatch.setattr(ending, "LARGEST_PAGE", 2)
    assert rows(visitor, PATH) == whole
    seen, after = [], ""
    while True:
        page = visitor.page(f"{PATH}&after={after}".replace("+", "%2B"))
        seen += shown(page)
        found = PART.search(page)
        if found is None:
            break
        assert len(shown(page)) == 2
        after = found[1].replace("&#43;", "+").replace(" ", "%20")
    assert len(seen) == len(whole)


@pytest.mark.usefixtures("bea")
def test_a_file_is_sent_while_it_is_read(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of the ends; nothing holds it as a whole. In another order it is bounded."""
    whole = rows(visitor, PATH)
    read: list[str] = []
    expiring = Reports.expiring

    def note(reports: Reports, *given: Any, actor: Actor) -> list[Expiring]:
        read.append("read")
        return expiring(reports, *given, actor=actor)

    def parts(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> Iterator[bytes]:
        yield ",".join(heads).encode()
        for each in lines:
            read.append("sent")
            yield ",".join(each).encode()

    monkeypatch.setattr(Reports, "expiring", note)
    monkeypatch.setattr(ending, "LARGEST_PAGE", 2)
    monkeypatch.setattr(ending, "MOST_SORTED", 3)
    names = [each[1] for each in rows(visitor, f"{PATH}&sort=-name")]
    assert names == sorted((each[1] for each in whole[:3]), key=str.casefold, reverse=True)
    assert len(read) == 2
    read.clear()
    monkeypatch.setattr(files, "_parts", parts)
    assert visitor.get(PATH.replace("?", ".csv?")).status == 200
    assert read[:5] == ["read", "sent", "sent", "read", "sent"]
    assert read.count("sent") == len(whole) > 5
    assert "has the first 10,000 to end" in visitor.page(PATH)


@pytest.mark.usefixtures("bea")
def test_with_fewer_days_the_list_begins_anew(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The form sends the part too, and its answer was 422."""
    monkeypatch.setattr(ending, "PORTION", 2)
    found = PART.search(visitor.page(PATH))
    assert found is not None
    after = urlencode({"after": unescape(found[1])})
    assert "What ends after those" in visitor.page(f"{PATH}&{after}")
    told = visitor.page(f"/ra/expiring?days=1&{after}")
    assert "Nothing ends within 1 days." in told
    assert "What ends after those" not in told
    assert "after=" not in told


def test_a_text_is_found_however_it_is_written(world: World, visitor: Visitor) -> None:
    """What the keystore had found was looked for again by other characters, and not shown."""
    world.card(world.user("Zo\u00eb Blum")[0])
    for text in ("zo\u00eb blum", "zoe\u0308 blum", "zo\u00eb  blum", "\u00a0zo\u00eb\u00a0blum "):
        query = urlencode({"q": text})
        for page in (visitor.page(f"{PATH}&{query}"), visitor.page(f"{PATH}&{query}&sort=-name")):
            assert len(shown(page)) == 2
        assert len(rows(visitor, f"{PATH}&{query}")) == 2


@pytest.mark.parametrize(
    "said",
    [
        *("days=x", "days=", "days=99999", "days=3651", "days=-1", "days=%D9%A3"),
        *("what=nobody", "sort=secret", "page=x", f"q={'x' * 257}", "q=%07"),
    ],
)
def test_an_address_that_makes_no_sense_says_so(visitor: Visitor, said: str) -> None:
    for path in ("/ra/expiring", "/ra/expiring.csv"):
        assert visitor.get(f"{path}?{said}").status == 422
    assert visitor.get("/ra/expiring?after=nonsense").status == 422


@pytest.mark.usefixtures("bea")
def test_others_see_nothing_of_it(world: World, application: ASGIApp) -> None:
    """The text that is looked for finds nothing that somebody does not see."""
    theirs = world.organisations.add("Theirs", world.operator().identity).id
    token = world.people.add_operator("Ida", BuiltIn.RA_MANAGER, theirs, actor=OPERATOR)
    ida = Visitor.of(world, application, world.enrol(token.text).identity)
    assert {each[0] for each in rows(ida, PATH)} <= {"Operator"}
    assert rows(ida, f"{PATH}&q=Bea") == []
    assert Visitor(application).get(f"{PATH}".replace("?", ".csv?")).status == 303

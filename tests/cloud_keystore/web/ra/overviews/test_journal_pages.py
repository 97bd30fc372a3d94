"""The journal at the pages: of days, about somebody or something, and of one sort."""

from __future__ import annotations

import html
import re

import pytest
from starlette.types import ASGIApp

from cloud_keystore.audit import reading
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import Identity, User
from cloud_keystore.model.rights.roles import BuiltIn
from cloud_keystore.web.ra.overviews import journal
from cloud_keystore.web.ra.overviews.journal import WHAT
from support.keystore_world import OPERATOR, Enrolled, World
from support.visitor import Visitor

SCRIPT = "<script>alert(1)</script>"


def address(page: str, text: str) -> str:
    """Where a link of a page leads."""
    [found] = re.findall(rf'href="([^"]+)"[^>]*>{re.escape(text)}<', page)
    return html.unescape(found)


def test_the_journal_of_a_day_is_in_words(
    world: World, application: ASGIApp, visitor: Visitor, serial: str, olga: Identity
) -> None:
    """BUG-31: a day without entries says so. Who may not read the whole is not shown the way."""
    shown = visitor.page("/ra/journal")
    assert "Olga logged in to the pages." in shown
    assert f"card {serial}" in shown
    assert "Nothing happened on this day." in visitor.page("/ra/journal?day=2020-02-29")
    for wrong in ("x", "2026-02-30", "0001-01-01", "9999-12-31"):
        assert visitor.get(f"/ra/journal?day={wrong}").status == 422
    place = world.organisations.add("Theirs", olga).id
    token = world.people.add_operator("Ida", BuiltIn.RA_MANAGER, place, actor=OPERATOR)
    ida = Visitor.of(world, application, world.enrol(token.text).identity)
    assert "/ra/journal" in visitor.page("/ra/people")
    assert "/ra/journal" not in ida.page("/ra/people")
    assert ida.get("/ra/journal").status == 403


def test_what_is_about_somebody_or_something(
    world: World, visitor: Visitor, ada: tuple[User, Enrolled], serial: str
) -> None:
    """By name, e-mail, serial number or workstation; and of one sort alone."""
    bo, _ = world.user("Bo Lind")
    world.workstation("Ward 7 PC")
    for text in (ada[0].display_name, serial):
        shown = visitor.page(f"/ra/journal?about={text.replace(' ', '+')}")
        assert f"card {serial}" in shown
        assert bo.display_name not in shown
        assert "Olga logged in" not in shown
    assert "Ward 7 PC" in visitor.page("/ra/journal?about=ward+7")
    shown = visitor.page("/ra/journal?what=log-ins")
    assert "Olga logged in to the pages." in shown
    assert serial not in shown
    told = visitor.get("/ra/journal?about=nobody+at+all")
    assert told.status == 422
    assert "operation or workstation is found" in told.body.decode()


def test_several_of_one_name_are_told_apart(world: World, visitor: Visitor, olga: Identity) -> None:
    jo, other = (
        world.people.add_user("Jo Marsh", each, actor=OPERATOR)[0] for each in ("", "jo@x.org")
    )
    world.leaving.close(other.id, "left", olga)
    page = visitor.page("/ra/journal?about=jo+marsh&what=people")
    assert "Which one?" in page
    assert "jo@x.org" in page
    for each, closed in ((jo, False), (other, True)):
        [leads] = [html.unescape(a) for a in re.findall(r'href="([^"]+)"', page) if each.id in a]
        shown = visitor.page(leads)
        assert "About Jo Marsh." in shown
        assert ("closed" in shown) is closed
    assert visitor.get("/ra/journal.csv?about=jo+marsh").status == 422


def test_long_days_come_by_portions_and_as_a_file(
    world: World, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "PAGE", 3)
    monkeypatch.setattr(journal, "MOST_ENTRIES", 4)
    for each in range(5):
        world.user(f"Person {each}")
    page, seen = visitor.page("/ra/journal?what=people"), list[str]()
    while True:
        seen += re.findall(r"Person \d", page)
        if "Older, of the same day" not in page:
            break
        page = visitor.page(address(page, "Older, of the same day"))
    first = visitor.page("/ra/journal?what=people")
    assert len(re.findall(r"Person \d", first)) <= 3 < len(seen)
    told = visitor.get(address(first, "Save as a CSV file"))
    assert told.fields["content-type"].startswith("text/csv")
    assert set(seen) == {f"Person {each}" for each in range(5)}
    assert re.findall(r"Person \d", told.body.decode()) == seen
    for wrong in ("x", "2026-01-01 5", "2026-01-01T00:00:00+00:00 -1", "2026-01-01T00:00:00+00:00"):
        assert visitor.get(f"/ra/journal?before={wrong.replace('+', '%2B')}").status == 422


@pytest.mark.parametrize("query", ["until=2020-01-01", "what=x", f"about={SCRIPT}", "about=%00"])
def test_what_cannot_be_read_is_said(visitor: Visitor, query: str) -> None:
    told = visitor.get(f"/ra/journal?{query}")
    assert told.status == 422
    assert SCRIPT not in told.body.decode()


def test_each_kind_is_of_one_sort() -> None:
    """Each new beginning is put into one of them."""
    begins = sorted(each for sort in WHAT.values() for each in sort.begins)
    assert begins == sorted({each.value.partition(".")[0] for each in Kind})
    assert all(len(each.kinds) <= reading.MOST_KINDS for each in WHAT.values())

"""Files of people at the pages: read within bounds, shown before anybody is added, and refused rows
given back.
"""

from __future__ import annotations

import gzip
import io
import zipfile

import pytest
from starlette.types import ASGIApp

from cloud_keystore.http.bodies import LARGEST_BODY
from cloud_keystore.model.fields.pages import Page
from cloud_keystore.model.sheets import reading
from cloud_keystore.people.listing import Wanted
from support.keystore_world import World
from support.rest import Answer
from support.site import ask
from support.visitor import UPLOAD, Visitor, uploaded

IMPORT = "/ra/import"
PEOPLE = 200


def sheet(count: int = PEOPLE, *more: str) -> str:
    rows = [f"Person {number:03},p{number}@example.org" for number in range(count)]
    return "\r\n".join(["Full name,E-mail address", *rows, *more])


def names(world: World) -> list[str]:
    found = world.people.list_users(Page(1000, ""), Wanted(), actor=world.actor)
    return [each.user.display_name for each in found]


@pytest.fixture(autouse=True)
def domains(world: World) -> None:
    world.domains.add("example.org", actor=world.actor)


def test_two_hundred_people_come_from_a_file(world: World, visitor: Visitor) -> None:
    """USER-20: all rows are checked before anybody is added, each fault has row, column, reason and
    fix, and the refused rows come back as a file that can be corrected and imported.
    """
    before = names(world)
    raw = sheet(PEOPLE, "Ed,nowhere", "'=cmd,also nowhere").encode("utf-16")
    told = visitor.upload(IMPORT, raw)
    shown = told.body.decode()
    assert told.status == 200, shown
    assert f"{PEOPLE} would be added, 0 are there already, 2 are refused" in shown
    assert "email: " in shown
    assert f'role="rowheader">{PEOPLE + 2}</th>' in shown
    assert names(world) == before
    text = reading.decoded(raw)
    refused = visitor.upload(IMPORT, b"", rows=text, step="rejected")
    assert refused.fields["content-disposition"] == 'attachment; filename="refused.csv"'
    again = reading.read(refused.body)
    assert [again.candidate(row).name for row in again.rows] == ["Ed", "=cmd"]
    assert again.ignored == []
    assert "'=cmd" in refused.body.decode("utf-8-sig")
    assert names(world) == before
    added = visitor.upload(IMPORT, b"", rows=text, step="add")
    assert added.status == 303, added.body.decode()
    assert "200 added." in visitor.page(added.fields["location"])
    assert len(names(world)) == len(before) + PEOPLE
    # Whoever sends it once more adds nobody.
    twice = visitor.upload(IMPORT, b"", rows=text, step="add")
    assert "added=0&there=200" in twice.fields["location"]


def test_a_portion_in_which_somebody_else_was_faster_is_shown_again(
    world: World, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody of it is added; those of the portions before are there."""
    text = sheet(150)
    calls = 0
    checked = type(world.importing).import_users

    def meanwhile(self: object, some: object, **how: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 4:  # after both checks, and the first portion
            world.domains.add("example.com", actor=world.actor)
            world.domains.remove("example.org", actor=world.actor)
        return checked(self, some, **how)  # type: ignore[arg-type]

    visitor.form_token()
    monkeypatch.setattr(type(world.importing), "import_users", meanwhile)
    told = visitor.upload(IMPORT, b"", rows=text, step="add")
    assert told.status == 200
    assert "0 would be added, 0 are there already, 150 are refused" in told.body.decode()
    assert len(names(world)) == 100


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "the file is empty"),
        (b"name,email\n", "no rows"),
        (b"nothing\nof use", "no header is the name"),
        (b"name,email\n\0", "NUL"),
        (b"name,email\n\xff\xfe,x", "not UTF-8"),
        (sheet(501).encode(), "at most 500"),
        (b"name,email\n" + b"," * 200, "at most 100 are read"),
    ],
    ids=["empty", "rows", "headers", "nul", "latin", "many", "wide"],
)
def test_a_file_that_is_no_list_of_people_is_told(visitor: Visitor, raw: bytes, said: str) -> None:
    told = visitor.upload(IMPORT, raw)
    assert (told.status, said.lower() in told.body.decode().lower()) == (422, True)


def bomb() -> bytes:
    """A megabyte of nothing in a few bytes, as spreadsheets are packed."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/sheet.xml", bytes(1 << 20))
    return packed.getvalue()


def test_bombs_are_not_unpacked(visitor: Visitor) -> None:
    """Neither a packed file nor a packed request, nor one that is too large to be read."""
    assert visitor.upload(IMPORT, bomb()).status == 422
    visitor.sent = {"content-encoding": "gzip"}
    packed = gzip.compress(uploaded(sheet().encode(), {}))
    told = ask(visitor.application, "POST", IMPORT, sent(visitor), packed)
    assert told.status == 400
    visitor.sent = {}
    assert visitor.upload(IMPORT, bytes(LARGEST_BODY)).status == 413


def sent(visitor: Visitor) -> dict[str, str]:
    return {**UPLOAD, "cookie": f"__Host-cloudcard-visit={visitor.secret}", **visitor.sent}


def body(visitor: Visitor, raw: bytes = b"x") -> bytes:
    return uploaded(raw, {"form_token": visitor.form_token()})


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=another",
        f"{UPLOAD['content-type']}; charset=punycode",
        "multipart/mixed; boundary=----aBoundary4711",
        "text/csv",
    ],
)
def test_what_is_no_form_is_refused(visitor: Visitor, kind: str) -> None:
    visitor.sent = {"content-type": kind}
    told = ask(visitor.application, "POST", IMPORT, sent(visitor), body(visitor))
    # Without fields there is no token of the page.
    assert told.status in (400, 403)


def many(visitor: Visitor, count: int) -> Answer:
    raw = uploaded(b"x", {"form_token": visitor.form_token()}, count)
    return ask(visitor.application, "POST", IMPORT, sent(visitor), raw)


def test_a_form_has_one_file_and_few_fields(visitor: Visitor) -> None:
    assert many(visitor, 1).status == 422
    assert many(visitor, 2).status == 400
    told = visitor.upload(IMPORT, b"x", **{f"field{number}": "" for number in range(40)})
    assert told.status == 400


def test_files_are_read_at_one_page_and_with_its_token(
    visitor: Visitor, application: ASGIApp
) -> None:
    assert visitor.upload("/ra/add", b"x").status == 400
    assert visitor.upload("/ra/log-in", b"x").status == 400
    assert visitor.upload(IMPORT, sheet().encode(), form_token="another").status == 403
    stranger = Visitor(application)
    told = stranger.upload(IMPORT, sheet().encode(), form_token="none")
    assert (told.status, told.fields["location"]) == (303, "/ra/log-in")

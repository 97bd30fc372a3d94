"""Evidence packs at the pages, as auditors check them: BUG-31."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from starlette.types import ASGIApp

from cloud_keystore.audit.packs import packing
from cloud_keystore.audit.packs.packing import PORTION, Packing, Portion
from cloud_keystore.model.errors import EntryNotFound, InvalidInput, NotAllowed
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import Identity, User
from cloud_keystore.model.rights.roles import BuiltIn
from cloud_keystore.storage.journal import Query
from cloudcard_tools.audit import pack
from cloudcard_tools.audit.checking import Checked
from cloudcard_tools.audit.pack_checking import check_pack
from support.keystore_world import OPERATOR, Enrolled, World
from support.visitor import Visitor

FILE = "/ra/journal/evidence.zip"


@pytest.fixture
def used(world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str) -> str:
    """The operation of a signature with Ada's card, beside somebody else's card."""
    operation = world.ask(serial, pc)
    world.decide(operation, ada[1])
    world.perform(operation, pc)
    world.card(world.user("Bea Blum")[0])
    world.take_in()
    return operation.id


def taken(visitor: Visitor, folder: Path, about: str) -> Path:
    """The pack of an address, as a file."""
    told = visitor.get(f"{FILE}?day=2026-11-23&about={about.replace(' ', '+')}")
    assert (told.status, told.fields["content-type"]) == (200, "application/zip"), told.body
    assert told.fields["cache-control"] == "no-store"
    path = folder / "evidence.zip"
    path.write_bytes(told.body)
    return path


def checked(world: World, path: Path) -> Checked:
    with pack.opened(path) as found:
        return check_pack(found, world.reading.log.public_key)


def test_a_pack_is_checked_without_the_keystore(
    world: World, visitor: Visitor, used: str, serial: str, tmp_path: Path
) -> None:
    """By person, card and operation; with what the entries rest on, and nothing of others."""
    for about in ("Ada Byron", serial, used):
        path = taken(visitor, tmp_path, about)
        result = checked(world, path)
        assert result.findings == []
        assert result.entries > 5
        with zipfile.ZipFile(path) as archive:
            table = archive.read("entries.csv").decode()
            names = archive.read("names.csv").decode()
        assert Kind.OPERATION_APPROVED.value in table
        assert Kind.IDENTITY_ENROLLED.value in table
        assert "Ada Byron" in names
        assert "Bea Blum" not in names + table
    page = visitor.page("/ra/journal/evidence?day=2026-11-23&about=ada")
    assert "cloudcard audit verify evidence.zip" in page
    assert "about Ada Byron" in page


def test_a_pack_that_was_changed_or_cut_is_noticed(
    world: World, visitor: Visitor, used: str, tmp_path: Path
) -> None:
    path = taken(visitor, tmp_path, used)
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])
    with pytest.raises(Exception, match="was cut"):
        checked(world, path)


def test_it_comes_in_portions(
    world: World,
    visitor: Visitor,
    used: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing holds it as a whole, and what has more entries than a pack is refused before."""
    whole = taken(visitor, tmp_path, used).read_bytes()
    monkeypatch.setattr("cloud_keystore.web.ra.overviews.evidence.PORTION", 2)
    world.take_in()
    asked, portion = list[int](), Packing.portion

    def counted(own: Packing, reader: Identity, size: int, places: Sequence[int]) -> Portion:
        asked.append(len(places))
        return portion(own, reader, size, places)

    monkeypatch.setattr(Packing, "portion", counted)
    path = taken(visitor, tmp_path, used)
    assert checked(world, path).findings == []
    assert len(asked) > 2
    assert max(asked) == 2
    with zipfile.ZipFile(path) as archive, archive.open("entries.csv") as rows:
        assert len(rows.readlines()) > 5
    assert len(whole) > 1000
    monkeypatch.setattr(packing, "MOST_PACKED", 10)
    refused = visitor.get(f"{FILE}?day=2026-11-23")
    assert (refused.status, b"at most 10 entries" in refused.body) == (422, True)


def test_the_journal_says_who_has_taken_what(
    world: World, visitor: Visitor, used: str, olga: Identity, tmp_path: Path
) -> None:
    taken(visitor, tmp_path, used)
    (read,) = (
        each for each in world.journal(Kind.JOURNAL_READ) if each.details.get("call") == "pack"
    )
    assert (read.actor, read.details["operation_id"]) == (olga.actor, used)


@pytest.mark.usefixtures("used")
def test_what_is_not_there_says_so(world: World, visitor: Visitor) -> None:
    for said in ("day=x", "day=2026-11-23&about=nobody+at+all", "day=2020-01-01", "what=x"):
        assert visitor.get(f"{FILE}?{said}").status == 422
    world.user("Ada Other")
    assert visitor.get(f"{FILE}?day=2026-11-23&about=ada").status == 422
    assert "Which one?" in visitor.page("/ra/journal/evidence?day=2026-11-23&about=ada")


def test_whoever_reads_a_part_takes_nothing(
    world: World, application: ASGIApp, used: str, olga: Identity
) -> None:
    """The pages' process is refused too, if it asks in somebody's name."""
    place = world.organisations.add("Theirs", olga).id
    token = world.people.add_operator("Ida", BuiltIn.RA_MANAGER, place, actor=OPERATOR)
    own = world.enrol(token.text).identity
    ida = Visitor.of(world, application, own)
    assert ida.get("/ra/journal/evidence").status == 403
    assert ida.get(f"{FILE}?day=2026-11-23").status == 403
    assert Visitor(application).get(FILE).status == 303
    found = world.packing.collect(olga, Query(operation_id=used), "")
    with pytest.raises(NotAllowed):
        world.packing.collect(own, Query(operation_id=used), "")
    with pytest.raises(NotAllowed):
        world.packing.portion(own, found.size, found.places[:1])
    for places in ((), (3, 2), (1, 1), range(PORTION + 1)):
        with pytest.raises(InvalidInput):
            world.packing.portion(olga, found.size, tuple(places))
    for places in ((found.size,), (-1,)):
        with pytest.raises(EntryNotFound):
            world.packing.portion(olga, found.size, places)

"""People from files, and into them, at a real keystore on SQLite and on PostgreSQL."""

from __future__ import annotations

import csv
import json
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cloud_keystore.model.sheets import reading
from cloudcard.registry.v1 import importing_pb2
from cloudcard.registry.v1.importing_pb2_grpc import ImportServiceStub
from cloudcard_tools.enrolment import spending
from cloudcard_tools.ra.command import ra
from cloudcard_tools.ra.sheets import importing
from cloudcard_tools.shared.processes import Nursery
from support.keystore_process import KeystoreProcess
from support.polling import until
from support.postgres import Server

HEADERS = "Name;E-mail;Phone;Ward"


@dataclass(frozen=True, slots=True)
class Desk:
    """An operator at a command line."""

    keystore: KeystoreProcess
    folder: Path

    def run(self, *words: str | Path) -> Result:
        operator = str(self.keystore.folder / "operator")
        return CliRunner().invoke(ra, [*map(str, words), "--identity", operator])

    def told(self, *words: str | Path, status: int = 0) -> dict[str, object]:
        done = self.run(*words, "--json")
        assert done.exit_code == status, done.output
        found: dict[str, object] = json.loads(done.stdout)
        return found

    def listed(self, *words: str) -> list[dict[str, object]]:
        done = self.run(*words, "--json")
        assert done.exit_code == 0, done.output
        found: list[dict[str, object]] = json.loads(done.stdout)
        return found

    def file(self, *rows: str) -> Path:
        path = self.folder / "people.csv"
        path.write_text("\n".join((HEADERS, *rows)), encoding="utf-8-sig")
        return path


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def keystore(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KeystoreProcess]:
    folder = tmp_path_factory.mktemp("import")
    options: tuple[str, ...] = ()
    if request.param == "postgresql":
        server: Server = request.getfixturevalue("postgresql")
        options = ("--database", server.new_database())
    with Nursery(folder / "logs") as nursery:
        yield KeystoreProcess(folder, nursery, options)


@pytest.fixture
def desk(keystore: KeystoreProcess, tmp_path: Path) -> Desk:
    return Desk(keystore, tmp_path)


def counts(told: dict[str, object]) -> tuple[object, ...]:
    return tuple(told[each] for each in ("rows", "added", "there", "refused"))


def test_two_hundred_people_of_whom_two_are_corrected(desk: Desk) -> None:
    """USER-20: nothing is written before all are checked; the refused rows are corrected and
    imported; the same file again adds nobody.
    """
    rows = [f"=Nurse {n};nurse.{n}+w@example.org;(07700) 900{n:03};{n}" for n in range(200)]
    rows[7], rows[9] = "Bo;bo.example.org;;7", "Cy;cy@example.org;none;7"
    file, rejected, again = desk.file(*rows), desk.folder / "no.csv", desk.folder / "no2.csv"
    before = len(desk.listed("user", "list"))
    told = desk.told("import", file, status=1)
    assert counts(told) == (200, 0, 0, 2)
    assert "Would be added  198" in desk.run("import", file).stdout
    assert told["would_be_added"] == 198
    assert told["ignored"] == ["Ward"]
    faults = told["faults"]
    assert isinstance(faults, list)
    assert [(each["row"], each["column"], each["value"]) for each in faults] == [
        (9, "email", "bo.example.org"),
        (11, "phone", "none"),
    ]
    assert all(each["reason"] and each["fix"] for each in faults)
    assert len(desk.listed("user", "list")) == before

    tokens = desk.folder / "tokens.csv"
    told = desk.told("import", file, "--rejected", rejected, "--tokens", tokens, status=1)
    assert counts(told) == (200, 198, 0, 2)
    assert [stat.S_IMODE(each.stat().st_mode) for each in (rejected, tokens)] == [0o600] * 2
    text = rejected.read_text("utf-8-sig")
    assert reading.REFUSED_BECAUSE in text
    rejected.write_text(text.replace("bo.example", "bo@example").replace('"none"', '""'), "utf-8")
    assert counts(desk.told("import", rejected, "--rejected", again)) == (2, 2, 0, 0)
    assert not again.exists()
    assert counts(desk.told("import", rejected)) == (2, 0, 2, 0)
    assert len(desk.listed("user", "list")) == before + 200
    with tokens.open(encoding="utf-8-sig", newline="") as opened:
        given = list(csv.DictReader(opened, delimiter=";"))
    assert len(given) == 198
    assert given[0]["name"] == "'=Nurse 0"
    spending.enrol(given[0]["token"], desk.folder / "phone", "authenticator", "phone")


def test_what_is_exported_is_imported(desk: Desk) -> None:
    """USER-22: the export is private, honours the query, holds no formula, overwrites nothing."""
    desk.told("import", desk.file("=1+1;one+one@example.org;07700900999;1", "-Bo;-bo@x.example;;"))
    out = desk.folder / "users.csv"
    assert desk.run("export", "users", "--search", "one+one", "-o", out).exit_code == 0
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert desk.run("export", "users", "-o", out).exit_code == 1
    text = out.read_text("utf-8-sig")
    assert len(text.splitlines()) == 2
    assert '"\'=1+1","one+one@example.org"' in text
    assert '"\'+447700900999"' in text
    assert counts(desk.told("import", out)) == (1, 0, 1, 0)
    everybody = desk.folder / "all.csv"
    told = desk.told("export", "users", "-o", everybody, "--delimiter", "semicolon")
    assert told["rows"] == len(desk.listed("user", "list"))
    assert counts(desk.told("import", everybody)) == (told["rows"], 0, told["rows"], 0)


def test_pending_people_and_cards_are_exported(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """CARD-04, CARD-11 and USER-22: the card type is that of the card that will be issued."""
    monkeypatch.setattr("cloudcard_tools.ra.sheets.exporting.PAGE", 2)
    who = ("o'hara+1@example.org", "o'hara+2@example.org", "o'hara+3@example.org")
    desk.told("import", desk.file(*(f"O'Hara;{each};;" for each in who)))
    assert desk.run("user", "edit", who[0], "--profile", "v1").exit_code == 0
    for each in who[:2]:
        assert desk.run("card", "issue", each).exit_code == 0
    for name in ("pending", "cards"):
        options = () if name == "pending" else ("--serial-prefix", "150", "--state", "pending")
        done = desk.run("export", name, *options, "-o", desk.folder / f"{name}.csv")
        assert done.exit_code == 0, done.output
    with (desk.folder / "pending.csv").open(encoding="utf-8-sig", newline="") as file:
        found = {each["email"]: each for each in csv.DictReader(file)}
    assert [found[each]["card type"] for each in who] == ["v1", "v2", "v2"]
    assert all(found[each]["token expires"] and found[each]["waits for"] for each in who)
    assert len(found) == len(desk.listed("pending"))
    with (desk.folder / "cards.csv").open(encoding="utf-8-sig", newline="") as file:
        cards = list(csv.DictReader(file))
    assert [each["holder"] for each in cards] == ["O'Hara"]
    assert cards[0]["serial"].startswith("150")


def test_an_import_that_was_killed_goes_on(desk: Desk) -> None:
    """Each person is there exactly once, and the command is the same."""
    path = desk.file(*(f"K {n};killed.{n}@example.org;;" for n in range(1000)))
    command = (
        *(sys.executable, "-m", "cloudcard_tools", "ra", "import", str(path)),
        *("--identity", str(desk.keystore.folder / "operator")),
    )
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def some_are_there() -> bool:
        return bool(desk.listed("user", "find", "killed.0@"))

    until(some_are_there)
    child.send_signal(signal.SIGKILL)
    child.wait(60)
    told = desk.told("import", path)
    rows, added, there, refused = counts(told)
    assert (rows, refused) == (1000, 0)
    assert isinstance(added, int)
    assert isinstance(there, int)
    assert added + there == 1000
    assert there >= 100
    emails = [each["email"] for each in desk.listed("user", "list")]
    assert sum(str(each).startswith("killed.") for each in emails) == 1000


@dataclass(frozen=True, slots=True)
class Racing:
    """A service of which somebody else takes an address between a check and what follows."""

    stub: ImportServiceStub

    def ImportUsers(
        self, request: importing_pb2.ImportUsersRequest, timeout: float
    ) -> importing_pb2.ImportUsersResponse:
        if not request.dry_run:
            other = importing_pb2.Candidate(name="Other", email="mo@example.org")
            self.stub.ImportUsers(importing_pb2.ImportUsersRequest(candidates=[other]))
        return self.stub.ImportUsers(request, timeout=timeout)


def test_a_row_that_is_refused_meanwhile_ends_the_import(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = desk.file("Mo;mo@example.org;;")
    monkeypatch.setattr(
        importing, "ImportServiceStub", lambda channel: Racing(ImportServiceStub(channel))
    )
    done = desk.run("import", path)
    assert done.exit_code == 1
    assert "row 2 was good and is not any more: Other, UUID " in " ".join(done.output.split())


def test_the_sample_is_imported(desk: Desk) -> None:
    """USER-21 and BUG-28."""
    sample = CliRunner().invoke(ra, ["import", "--sample"])
    path = desk.folder / "sample.csv"
    path.write_text(sample.stdout, "utf-8")
    assert counts(desk.told("import", path)) == (3, 3, 0, 0)
    assert counts(desk.told("import", path, "--dry-run")) == (3, 0, 3, 0)


@pytest.mark.parametrize(
    ("rows", "options", "told"),
    [
        ((), (), "headers and no rows"),
        (("Ada;ada@example.org;;",), ("--map", "email"), "--map needs a column and a header"),
        (("Ada;ada@example.org;;",), ("--map", "email=Post"), 'no header is "Post"'),
    ],
)
def test_a_file_that_is_no_use_is_told(
    desk: Desk, rows: tuple[str, ...], options: tuple[str, ...], told: str
) -> None:
    done = desk.run("import", desk.file(*rows), *options)
    assert done.exit_code in (1, 2)
    assert told in done.output


def test_a_file_is_told_the_option_that_reads_it(desk: Desk) -> None:
    """USER-20."""
    path = desk.folder / "old.csv"
    path.write_bytes("name,Post\r\nZo\u00eb,zoe@example.org\r\n".encode("cp1252"))
    first = " ".join(desk.run("import", path).output.split())
    assert "or say --encoding cp1252" in first
    second = " ".join(desk.run("import", path, "--encoding", "cp1252").output.split())
    assert "or say --map email=HEADER" in second
    told = desk.told("import", path, "--encoding", "cp1252", "--map", "email=Post")
    assert counts(told) == (1, 1, 0, 0)


def test_domains_by_command(desk: Desk) -> None:
    """USER-18."""
    assert desk.run("domain", "add", "Example.ORG").exit_code == 0
    try:
        assert [each["domain"] for each in desk.listed("domain", "list")] == ["example.org"]
        done = desk.run("import", desk.file("Di;di@example.com;;"))
        assert done.exit_code == 1
        assert "example.org can be used" in " ".join(done.output.split())
    finally:
        assert desk.run("domain", "remove", "example.org", "--yes").exit_code == 0
    assert "All domains are allowed." in desk.run("domain", "list").stdout

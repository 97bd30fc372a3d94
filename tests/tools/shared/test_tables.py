"""Tables: nothing of what a command prints is cut, in any terminal and in a pipe."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from cloud_keystore.model.fields.accounts import LONGEST_SAM
from cloudcard_tools.__main__ import cloudcard
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.ra.command import ra
from cloudcard_tools.shared import tables
from cloudcard_tools.shared.processes import Nursery
from cloudcard_tools.shared.tables import Column, print_table
from support import slapd
from support.command_lines import AUTHORITY, SAMPLES
from support.commands import calls, leaves
from support.keystore_process import KeystoreProcess
from support.long_values import EMAIL, HOOK, LATIN, WIDE, keystore_of_long_values
from support.mail_server import MailServer, options_to

PRINTERS = {"print_rows", "print_table"}
WIDTHS = (60, 80, 120, None)  # None: a pipe
LEFT_OUT = re.compile(r"^Left out: ([^.]*)\.", re.MULTILINE)
STYLE = re.compile(r"\x1b\[[0-9;]*m")

KNOWN, UPN, DOMAIN = "Known There", f"{'u' * 60}@corp.example", EMAIL.partition("@")[2]
FAULTS = Path(__file__).parents[2] / "samples" / "people" / "faults.csv"
# What a command that prints a table needs besides options for who calls.
ARGUMENTS: Mapping[str, Sequence[str]] = {
    "ra device list": (WIDE[:5],),
    "ra account list": (WIDE[:5],),
    "ra account find": (KNOWN,),
    "ra policy show": ("--effective",),
    "ra user find": (WIDE[:5],),
    "ra user show": (WIDE[:5],),
    "ra user join": (WIDE[:5], LATIN),
    "ra user leave": (WIDE[:5], LATIN),
    "ra webhook deliveries": (HOOK,),
    "ra workstation problems": ("SOUTH-BUILDING",),
    "ra import": (str(FAULTS),),
    "ra card requests import": (AUTHORITY,),
    "ra expiring": ("--days", "1000"),
    "eps verify": (
        str(SAMPLES / "prescription.xml"),
        "--signatures",
        str(SAMPLES),
        "--authority",
        AUTHORITY,
    ),
    "bench card": ("--count", "1", "--cards", "1"),
}
# They measure for longer, with pcscd or a keystore of their own; their tables hold figures only.
MEASURING = {"bench apdu", "bench sign"}
# They show tables only of a database from before there were codes (test_operations_guide.py), and
# while the portal asks (test_portal_questions.py).
ONCE = {"keys authenticate", "authenticator questions list"}
NOBODY_TAKES_MAIL = options_to(MailServer(port=9))

Printed = tuple[Sequence[Column], Sequence[Sequence[str | Text]]]


class Terminal(io.StringIO):
    """Standard output that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def shown(printed: Printed, width: int | None, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a terminal of a width shows, or a pipe gets."""
    out = io.StringIO() if width is None else Terminal()
    if width is not None:
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setenv("TERM", "xterm")
    with redirect_stdout(out):
        print_table(*printed)
    return STYLE.sub("", out.getvalue())


def check_whole(printed: Printed, width: int | None, text: str) -> None:
    """Fail unless everything is shown that is not named as left out: short words in one piece."""
    columns, rows = printed
    found = LEFT_OUT.search(text)
    left_out = " ".join(found[1].split()).split(", ") if found else []
    letters = "".join(text.split())
    for row in rows:
        for column, cell in zip(columns, row, strict=True):
            if column.heading in left_out:
                assert column.spare is not None
                continue
            for word in (cell.plain if isinstance(cell, Text) else cell).split():
                if word.isascii() and len(word) <= 36:
                    assert word in text
                else:
                    assert width is not None or word in text
                    assert all(letter in letters for letter in word)
    if width is not None:
        for line in text.splitlines():
            assert cell_len(line) <= width
    else:
        assert not left_out


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Printed]]:
    """What each command that prints a table prints, by its name."""
    folder = tmp_path_factory.mktemp("tables")
    (port,) = free_ports(1)
    (folder / "slapd").mkdir()
    server = slapd.running(folder / "slapd", slapd.Person("s" * LONGEST_SAM, UPN))
    with Nursery(folder / "logs") as nursery, server as directory:
        options = (*NOBODY_TAKES_MAIL, "--rest", f"127.0.0.1:{port}")
        identities = keystore_of_long_values(KeystoreProcess(folder, nursery, options), port)
        look_up(identities["ra"], directory)
        yield {
            f"{name}, table {number}": table
            for name, command in leaves(cloudcard)
            if calls(command, PRINTERS) and name not in MEASURING | ONCE
            for number, table in enumerate(printed(command, name, identities), 1)
        }


def look_up(operator: Path, directory: slapd.Slapd) -> None:
    """Somebody is in a directory, in which accounts of others are not."""
    place = ("--bind-dn", slapd.BIND_DN, "--base-dn", slapd.BASE, "--tls-ca", directory.authority)
    named = ("account", "directory", "set", directory.tls_url, "--domain", DOMAIN, *place)
    given = ("account", "directory", "password", "--password-stdin")
    for words in (("user", "add", KNOWN, "--upn", UPN), named, given):
        own = [*map(str, words), "--identity", str(operator)]
        done = CliRunner().invoke(ra, own, input=slapd.PASSWORD)
        assert done.exit_code == 0, done.output


def printed(command: click.Command, name: str, identities: Mapping[str, Path]) -> list[Printed]:
    """The tables that a command prints."""
    found: list[Printed] = []

    def note(columns: Sequence[Column], rows: Sequence[Sequence[str | Text]]) -> None:
        found.append((columns, rows))

    who = identities.get(name.split()[0])
    takes = {option for each in command.params for option in each.opts}
    option = next((each for each in ("--identity", "--data") if who and each in takes), None)
    arguments = [*ARGUMENTS.get(name, ()), *((option, str(who)) if option else ())]
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()):
        for module in list(sys.modules.values()):
            if module is not tables and getattr(module, "print_table", None) is tables.print_table:
                patch.setattr(module, "print_table", note, raising=False)
        command.main(arguments, standalone_mode=False)
    assert found, name
    return found


@pytest.mark.parametrize("width", WIDTHS)
def test_every_command_prints_everything_whole(
    width: int | None, told: Mapping[str, Printed], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(told) >= 13
    for name, table in told.items():
        text = shown(table, width, monkeypatch)
        assert table[1], name
        check_whole(table, width, text)


def test_all_tables_are_printed_by_one_function() -> None:
    folder = Path(tables.__file__).parents[1]
    others = [
        str(path.relative_to(folder))
        for path in folder.rglob("*.py")
        if "rich.table" in path.read_text() and path != Path(tables.__file__)
    ]
    assert others == []


CELLS = st.one_of(
    st.uuids().map(str),
    st.integers(10**15, 10**16 - 1).map(str),
    st.datetimes().map(lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%SZ")),
    st.text("王小abc [red]", max_size=60).map(str.strip),
    st.sampled_from(("active", "", "a\nb", "x" * 90)),
)


@given(
    rows=st.integers(1, 6).flatmap(
        lambda columns: st.lists(
            st.lists(CELLS, min_size=columns, max_size=columns), min_size=1, max_size=4
        )
    ),
    width=st.sampled_from(WIDTHS),
    spare=st.integers(0, 63),
)
def test_any_table_is_whole(rows: list[list[str]], width: int | None, spare: int) -> None:
    columns = [
        Column(f"Heading {at}", spare=at if spare >> at & 1 else None) for at in range(len(rows[0]))
    ]
    with pytest.MonkeyPatch.context() as patch:
        check_whole((columns, rows), width, shown((columns, rows), width, patch))


def test_a_row_of_a_pipe_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(([Column("Name"), Column("Cards")], [["Ada", "1\n2"]]), None, monkeypatch)
    assert text == "Name  Cards\nAda   1, 2\n"


def test_what_is_left_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = [Column("User", spare=0), Column("Name"), Column("Cards", right=True)]
    text = shown((columns, [["0" * 36, "Ada Byron", "12"]]), 40, monkeypatch)
    assert text.splitlines() == [
        "Name       Cards",
        "Ada Byron     12",
        "",
        "Left out: User. A wider terminal, a pipe",
        "or --json has them.",
    ]


def test_what_cannot_be_left_out_is_stacked(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = [Column("User"), Column("Name")]
    text = shown((columns, [["0" * 36, "Ada [b]"], ["1" * 36, ""]]), 40, monkeypatch)
    assert text == f"User  {'0' * 36}\nName  Ada [b]\n\nUser  {'1' * 36}\nName\n"

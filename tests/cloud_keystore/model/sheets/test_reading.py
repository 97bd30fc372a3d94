"""Files of people as programs write them, and bad ones of every kind."""

from __future__ import annotations

import codecs
import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_keystore.model.sheets import reading
from cloud_keystore.model.sheets.candidates import COLUMNS, Candidate
from cloud_keystore.model.sheets.cells import guarded
from cloud_keystore.model.sheets.reading import Sheet, SheetUnusable, read

ADA = Candidate("Zoë Byron", "zoe@example.org")
LINES = "name,email\r\nZoë Byron,zoe@example.org\r\n"


def people(sheet: Sheet) -> list[Candidate]:
    return [sheet.candidate(row) for row in sheet.rows]


@pytest.mark.parametrize(
    "raw",
    [
        LINES.encode(),
        codecs.BOM_UTF8 + LINES.encode(),
        LINES.encode("utf-16"),  # with a mark
        codecs.BOM_UTF16_BE + LINES.encode("utf-16-be"),
        LINES.replace(",", ";").encode(),
        LINES.replace(",", "\t").encode(),
        LINES.replace("\r\n", "\n").encode(),
        LINES.replace("\r\n", "\r").encode(),
        b"sep=;\r\n" + LINES.replace(",", ";").encode(),
        "\r\n".join(('"E-Mail Address","NAME","Ward"', 'zoe@example.org,"Zoë Byron",7')).encode(),
        LINES.encode() + b"\r\n,\r\n\r\n",
    ],
)
def test_files_as_programs_write_them(raw: bytes) -> None:
    """USER-20: encodings, delimiters, ends of lines, headers in any order and case."""
    assert people(read(raw)) == [ADA]


def test_an_older_encoding_is_read_when_it_is_named() -> None:
    raw = LINES.encode("cp1252")
    with pytest.raises(SheetUnusable, match="Windows-1252") as told:
        read(raw)
    assert told.value.option == "--encoding cp1252"
    assert people(read(raw, encoding="cp1252")) == [ADA]
    assert people(read(LINES.encode("utf-16-le"), encoding="utf-16")) == [ADA]


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"", "is empty"),
        (codecs.BOM_UTF8 + b" \r\n", "is empty"),
        (b"name,email\r\n", "headers and no rows"),
        (codecs.BOM_UTF32_LE + LINES.encode("utf-32-le"), "UTF-32"),
        (LINES.encode("utf-16-le"), "UTF-16 without a byte order mark"),
        (LINES.encode() + b"a" * 1000 + b"\0,b", "row 3 holds a NUL"),
        (codecs.BOM_UTF8 + LINES.encode("cp1252"), "is not utf-8-sig"),
        (b"name,ward\r\nAda,7\r\n", '"name", "ward"; name one email'),
        ("name,\u202eliam\x1b\r\nAda,7\r\n".encode(), r'"name", "\\u202eliam\\x1b"; name one'),
        (b"name,email,Mail\r\nAda,a@b.example,\r\n", '"email" and "Mail" are both the email'),
        (b'name,email\r\nAda,a@b.example\r\n"Bo,b@b.example\r\n', "row 3 is no row"),
        (b"name,email\r\n" + b"," * 200, "has 201 cells"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_what_to_do(raw: bytes, told: str) -> None:
    """USER-20."""
    with pytest.raises(SheetUnusable, match=told):
        read(raw)


def test_a_file_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_ROWS", 1)
    assert len(read(LINES.encode()).rows) == 1
    with pytest.raises(SheetUnusable, match="more than 1 rows"):
        read(LINES.encode() + b"Bo,bo@example.org")
    monkeypatch.setattr(reading, "MOST_BYTES", len(LINES.encode()) - 1)
    with pytest.raises(SheetUnusable, match="divide it"):
        read(LINES.encode())


def test_columns_can_be_mapped() -> None:
    raw = b"Name,Private mail,Work mail\r\nAda,a@home.example,a@work.example\r\n"
    sheet = read(raw, {"email": "work MAIL"})
    assert people(sheet) == [Candidate("Ada", "a@work.example")]
    assert sheet.ignored == ["Private mail"]
    for mapping, told in (
        ({"email": "mail"}, 'no header is "mail"'),
        ({"ward": "Name"}, "there is no column ward"),
    ):
        with pytest.raises(SheetUnusable, match=told):
            read(raw, mapping)
    with pytest.raises(SheetUnusable, match="several headers are"):
        read(b"a,a,b\r\n1,2,3", {"name": "a", "email": "b"})


def test_ragged_rows_and_persons_in_two_rows_are_faults() -> None:
    """USER-20: rows count as in spreadsheets, blank ones too."""
    sheet = read(
        b"name,email,upn\r\n\r\nAda,ada@x.example,\r\nBo,bo@x.example\r\nCy,cy@x.example,,7\r\n"
        b"Di,ADA@x.example,\r\nEd,ed@x.example,E@corp.example\r\nFi,fi@x.example,e@CORP.example"
    )
    told = {
        number: [(each.column, each.reason) for each in faults]
        for number, faults in sheet.faults().items()
    }
    assert told == {
        4: [("", "the row has 2 cells, and there are 3 headers")],
        5: [("", "the row has 4 cells, and there are 3 headers")],
        6: [("email", "row 3 has the same email")],
        8: [("upn", "row 7 has the same upn")],
    }


@given(
    st.binary(max_size=200) | st.text(max_size=200).map(lambda text: f"name,email\n{text}".encode())
)
def test_any_bytes_are_a_sheet_or_refused(raw: bytes) -> None:
    try:
        sheet = read(raw)
    except SheetUnusable:
        return
    assert len(people(sheet)) == len(sheet.rows) > 0
    sheet.faults()


# NUL is refused, half characters are no UTF-8, and blank rows are none.
CELL = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=256)


@given(st.lists(st.tuples(*[CELL] * len(COLUMNS)), min_size=1, max_size=3), st.sampled_from(",;\t"))
def test_what_is_written_is_read(rows: list[tuple[str, ...]], delimiter: str) -> None:
    """USER-22: names of 1 to 256 characters in any script."""
    written = io.StringIO(newline="")
    writer = csv.writer(written, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    writer.writerows([map(guarded, row) for row in rows])
    sheet = read(codecs.BOM_UTF8 + written.getvalue().encode())
    assert people(sheet) == [Candidate(*row) for row in rows]

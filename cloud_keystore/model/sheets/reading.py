"""Reads a CSV file of people: its encoding, its delimiter, its headers and its rows. Pure, and
total: any bytes give a sheet or SheetUnusable.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cloud_keystore.model.fields import emails
from cloud_keystore.model.fields.texts import comparable
from cloud_keystore.model.sheets import cells
from cloud_keystore.model.sheets.candidates import COLUMNS, REQUIRED, Candidate, Fault

MOST_BYTES = 64 * 1024 * 1024
MOST_ROWS = 200_000
LONGEST_ROW = 100  # cells
ENCODINGS = ("utf-8", "utf-16", "cp1252")
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t"}
# Besides the column's own name: what headers are called, without blanks and signs
CALLED: Mapping[str, str] = {
    "fullname": "name",
    "displayname": "name",
    "emailaddress": "email",
    "mail": "email",
    "organization": "organisation",
    "phonenumber": "phone",
    "telephone": "phone",
    "mobile": "phone",
    "userprincipalname": "upn",
    "objectsid": "sid",
    "cardprofile": "profile",
    "cardtype": "profile",
}
REFUSED_BECAUSE = "Refused because"  # the header of what a file of refused rows says
# The longest first: one of them begins with another.
MARKS = (
    (codecs.BOM_UTF32_LE, ""),
    (codecs.BOM_UTF32_BE, ""),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
SAVE_AS = 'save it as "CSV UTF-8"'
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_SAYS_DELIMITER = re.compile(r"sep=([,;\t])(?:\r\n|\r|\n)")  # as spreadsheets write it
_WHOLE_WORD = re.compile(r"[\W_]+")


class SheetUnusable(Exception):
    """The file as a whole cannot be read; the text says why, and what to do. A command can be told
    `option` instead, if that is not empty.
    """

    def __init__(self, text: str, option: str = "") -> None:
        super().__init__(text)
        self.option = option


@dataclass(frozen=True, slots=True)
class SheetRow:
    """A row: its number, as spreadsheets count, and its cells as they are in the file."""

    number: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A file of people. `places` says in which place of a row a column is."""

    headers: tuple[str, ...]
    delimiter: str
    places: Mapping[str, int]
    rows: tuple[SheetRow, ...]

    @property
    def ignored(self) -> list[str]:
        """Headers that are no column."""
        used = set(self.places.values())
        return [
            each
            for place, each in enumerate(self.headers)
            if place not in used and each and _word(each) != _word(REFUSED_BECAUSE)
        ]

    def candidate(self, row: SheetRow) -> Candidate:
        """What a row says."""
        return Candidate(
            **{
                column: cells.plain(row.cells[place]) if place < len(row.cells) else ""
                for column, place in self.places.items()
            }
        )

    def faults(self) -> dict[int, list[Fault]]:
        """What can be seen to be wrong without asking a keystore, by the numbers of rows: how many
        cells there are, and persons that are in the file twice.
        """
        found: dict[int, list[Fault]] = {}
        first: dict[tuple[str, str], int] = {}
        for row in self.rows:
            of_row = list(self._shape(row))
            if not of_row:
                of_row += _repeated(self.candidate(row), row.number, first)
            if of_row:
                found[row.number] = of_row
        return found

    def _shape(self, row: SheetRow) -> Iterator[Fault]:
        missing = len(self.headers) - len(row.cells)
        if missing > 0 or any(row.cells[len(self.headers) :]):
            yield Fault(
                "",
                f"the row has {len(row.cells)} cells, and there are {len(self.headers)} headers",
                'give each header its cell; put a cell that holds a delimiter into "quotes"',
            )


def read(
    raw: bytes, mapping: Mapping[str, str] | None = None, encoding: str | None = None
) -> Sheet:
    """The sheet of a file. `mapping` gives columns the headers by which they are found. Raises
    SheetUnusable.
    """
    if len(raw) > MOST_BYTES:
        raise SheetUnusable(f"the file is larger than {MOST_BYTES >> 20} MiB: divide it")
    text = decoded(raw, encoding)
    said = _SAYS_DELIMITER.match(text)
    text = text[said.end() :] if said else text
    if not text.strip():
        raise SheetUnusable(f"the file is empty: begin it with the headers {', '.join(REQUIRED)}")
    mapping = mapping or {}
    delimiter = said[1] if said else _delimiter(text, mapping)
    records = list(_records(text, delimiter))
    headers = tuple(" ".join(each.split()) for each in records[0][1])
    places = _places(headers, mapping)
    rows = tuple(SheetRow(number, tuple(each)) for number, each in records[1:] if any(each))
    if not rows:
        raise SheetUnusable("the file has headers and no rows: add a row for each person")
    return Sheet(headers, delimiter, places, rows)


def decoded(raw: bytes, encoding: str | None = None) -> str:
    """The text of a file; raises SheetUnusable."""
    marked = next((name for mark, name in MARKS if raw.startswith(mark)), None)
    if marked == "":
        raise SheetUnusable(f"the file is UTF-32: {SAVE_AS}")
    if encoding is None and marked is None and b"\0" in raw[:1000]:
        raise SheetUnusable(
            f"the file holds NUL bytes, as UTF-16 without a byte order mark does: {SAVE_AS}",
            "--encoding utf-16",
        )
    try:
        text = raw.decode(marked or encoding or "utf-8")
    except UnicodeError:
        if encoding is None and marked is None:
            raise SheetUnusable(
                "the file is not UTF-8; probably it is Windows-1252, in which older programs save: "
                f"{SAVE_AS}",
                "--encoding cp1252",
            ) from None
        raise SheetUnusable(f"the file is not {marked or encoding}: {SAVE_AS}") from None
    if "\0" in text:
        row = len(_LINE.findall(text[: text.index("\0")]))
        raise SheetUnusable(f"row {max(row, 1)} holds a NUL character: remove it")
    return text.removeprefix("\ufeff")


def _records(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The rows with their numbers, blank ones too. Raises SheetUnusable."""
    number = 0
    try:
        # Lines are divided here: other programs know no more ends of lines than these.
        for number, record in enumerate(
            csv.reader(_LINE.findall(text), delimiter=delimiter, strict=True), 1
        ):
            if len(record) > LONGEST_ROW:
                raise SheetUnusable(
                    f"row {number} has {len(record)} cells: at most {LONGEST_ROW} are read"
                )
            if number > MOST_ROWS + 1:
                raise SheetUnusable(f"the file has more than {MOST_ROWS} rows: divide it")
            yield number, record
    except csv.Error as error:
        raise SheetUnusable(
            f"row {number + 1} is no row of a CSV file ({error}): close its quotes, and double "
            "those within a cell"
        ) from None


def _delimiter(text: str, mapping: Mapping[str, str]) -> str:
    """The delimiter by which most headers are known, or else most are there."""
    wanted = set(CALLED) | set(COLUMNS) | set(map(_word, mapping.values()))

    def worth(delimiter: str) -> tuple[int, int]:
        try:
            _, headers = next(_records(text, delimiter))
        except SheetUnusable:
            return (0, 0)
        return sum(_word(each) in wanted for each in headers), len(headers)

    return max(DELIMITERS.values(), key=worth)


def _places(headers: Sequence[str], mapping: Mapping[str, str]) -> dict[str, int]:
    """Where the columns are. Raises SheetUnusable."""
    places: dict[str, int] = {}
    words = [_word(each) for each in headers]
    for column, header in mapping.items():
        if column not in COLUMNS:
            raise SheetUnusable(f"there is no column {column}: name one of {', '.join(COLUMNS)}")
        if words.count(_word(header)) != 1:
            there = "several headers are" if _word(header) in words else "no header is"
            raise SheetUnusable(f"{there} {_quoted(header)}: the headers are {_listed(headers)}")
        places[column] = words.index(_word(header))
    mapped = set(places.values())
    for place, word in enumerate(words):
        column = CALLED.get(word, word)
        if column not in COLUMNS or column in mapping or place in mapped:
            continue
        if column in places:
            raise SheetUnusable(
                f"the headers {_quoted(headers[places[column]])} and {_quoted(headers[place])} are "
                f"both the {column}: remove one",
                f"--map {column}=HEADER",
            )
        places[column] = place
    for column in REQUIRED:
        if column not in places:
            raise SheetUnusable(
                f"no header is the {column}: the headers are {_listed(headers)}; name one {column}",
                f"--map {column}=HEADER",
            )
    return places


def _repeated(
    candidate: Candidate, number: int, first: dict[tuple[str, str], int]
) -> Iterator[Fault]:
    """The faults of a row whose person or account is in a row before."""
    for column, value in (
        ("email", emails.key(candidate.email)),
        ("upn", comparable(candidate.upn.strip())),
    ):
        if value and (before := first.setdefault((column, value), number)) != number:
            yield Fault(
                column,
                f"row {before} has the same {column}",
                "remove one of the two rows, or correct it: each person has an own one",
            )


def _word(header: str) -> str:
    """A header as it is compared: without case, blanks and signs."""
    return _WHOLE_WORD.sub("", header).casefold()


def _listed(headers: Sequence[str]) -> str:
    return ", ".join(_quoted(each[:40]) for each in headers[:20])


def _quoted(header: str) -> str:
    """A header as messages have it: what would not be seen, or would turn the text around it, is
    escaped.
    """
    seen = (each if each.isprintable() else ascii(each)[1:-1] for each in header)
    return f'"{"".join(seen)}"'

"""Many people at once: from a CSV file or pasted from a spreadsheet, checked, shown, and then
added.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from cloud_keystore.model.sheets import cells, reading
from cloud_keystore.model.sheets.candidates import Candidate, Fault, Outcome
from cloud_keystore.model.sheets.reading import REFUSED_BECAUSE, Sheet, SheetRow, SheetUnusable
from cloud_keystore.people.importing import MOST_CANDIDATES, Imported, Importing
from cloud_keystore.web.ra.files import csv_file
from cloud_keystore.web.ra.views import Views
from cloud_keystore.web.ra.visiting import IMPORT
from cloud_keystore.web.rows import NOTHING, Row, see
from cloud_keystore.web.visiting import current, given, uploaded

MOST_ROWS = 500
COUNTS = ("added", "there", "refused")


class Line(NamedTuple):
    """A row, and what becomes of it."""

    row: SheetRow
    candidate: Candidate
    outcome: Outcome
    faults: Sequence[Fault]


@dataclass(frozen=True, slots=True)
class ImportPages:
    """Shows what would become of rows before it is done."""

    views: Views
    importing: Importing

    def rows(self) -> tuple[Row, ...]:
        """Its pages."""
        return (Row("GET", IMPORT, self.ask), Row("POST", IMPORT, self.answer))

    def ask(self, request: Request) -> Response:
        """The page that takes rows; after an import, with what became of them."""
        said = {each: request.query_params.get(each, "") for each in COUNTS}
        is_done = all(each.isascii() and each.isdigit() and len(each) < 6 for each in said.values())
        return self._page(said=said if is_done else {})

    def answer(self, _request: Request) -> Response:
        """Check rows, and show them; or, once they were shown, add the people of the good ones, or
        give the refused ones as a file.
        """
        text = given("rows")
        try:
            if raw := uploaded("file"):
                text = reading.decoded(raw)
            sheet = reading.read(text.encode())
        except SheetUnusable as error:
            return self._shown(text, (), str(error))
        if len(sheet.rows) > MOST_ROWS:
            wrong = f"there are {len(sheet.rows)} rows: give at most {MOST_ROWS} at a time"
            return self._shown(text, (), wrong)
        lines = self._checked(sheet)
        if given("step") == "rejected":
            return _rejected(sheet, lines)
        if given("step") != "add":
            return self._shown(text, lines)
        good = [each for each in lines if each.outcome is not Outcome.REFUSED]
        made = [*self._imported([each.candidate for each in good], dry_run=False)]
        done = [each.outcome for each in made]
        if Outcome.REFUSED in done:  # somebody was faster
            return self._shown(text, self._checked(sheet))
        counts = {
            "added": done.count(Outcome.ADDED),
            "there": done.count(Outcome.THERE),
            "refused": len(lines) - len(good),
        }
        return see(f"{IMPORT}?{urlencode(counts)}")

    def _imported(self, wanted: Sequence[Candidate], *, dry_run: bool) -> Iterator[Imported]:
        """What becomes of candidates, portion by portion, until one of them is refused."""
        actor = current().visitor.actor
        for start in range(0, len(wanted), MOST_CANDIDATES):
            some = wanted[start : start + MOST_CANDIDATES]
            made = self.importing.import_users(some, dry_run=dry_run, actor=actor)
            yield from made
            if not dry_run and any(each.outcome is Outcome.REFUSED for each in made):
                return

    def _checked(self, sheet: Sheet) -> list[Line]:
        """What would become of each row."""
        faults: Mapping[int, Sequence[Fault]] = sheet.faults()
        good = [row for row in sheet.rows if row.number not in faults]
        found = self._imported([sheet.candidate(row) for row in good], dry_run=True)
        known = {row.number: each for row, each in zip(good, found, strict=True)}
        return [
            Line(
                row,
                sheet.candidate(row),
                known[row.number].outcome if row.number in known else Outcome.REFUSED,
                known[row.number].faults if row.number in known else faults[row.number],
            )
            for row in sheet.rows
        ]

    def _shown(self, text: str, lines: Sequence[Line], wrong: str = "") -> Response:
        status = HTTPStatus.UNPROCESSABLE_ENTITY if wrong else HTTPStatus.OK
        outcomes = [each.outcome for each in lines]
        counts = {each.value: outcomes.count(each) for each in Outcome}
        return self._page(text, lines, wrong, status=status, counts=counts)

    def _page(
        self,
        text: str = "",
        lines: Sequence[Line] = (),
        wrong: str = "",
        *,
        status: int = HTTPStatus.OK,
        said: Mapping[str, str] = NOTHING,
        counts: Mapping[str, int] = MappingProxyType({}),
    ) -> Response:
        return self.views.page(
            "import",
            status,
            said=said,
            text=text,
            lines=lines,
            wrong=wrong,
            counts=counts,
            most=MOST_ROWS,
        )


def _rejected(sheet: Sheet, lines: Sequence[Line]) -> Response:
    """The refused rows as a file, with what is wrong, to be corrected and imported."""
    own = [place for place, each in enumerate(sheet.headers) if each != REFUSED_BECAUSE]
    heads = [*(sheet.headers[place] for place in own), REFUSED_BECAUSE]
    refused = (
        [
            *(cells.plain(each) for each in _at(line.row.cells, own)),
            "; ".join(f"{each.reason}: {each.fix}" for each in line.faults),
        ]
        for line in lines
        if line.outcome is Outcome.REFUSED
    )
    return csv_file("refused", heads, refused)


def _at(row: Sequence[str], places: Sequence[int]) -> list[str]:
    return [row[place] if place < len(row) else "" for place in places]

"""Many people at once: pasted from a spreadsheet, checked, shown, and then added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from cloud_keystore.model.sheets import reading
from cloud_keystore.model.sheets.candidates import Candidate, Fault, Outcome
from cloud_keystore.model.sheets.reading import Sheet, SheetUnusable
from cloud_keystore.people.importing import MOST_CANDIDATES, Importing
from cloud_keystore.web.ra.views import Views
from cloud_keystore.web.ra.visiting import AT
from cloud_keystore.web.rows import Row, see
from cloud_keystore.web.visiting import current, given

IMPORT = f"{AT}/import"
COUNTS = ("added", "there", "refused")


class Line(NamedTuple):
    """A row, and what becomes of it."""

    number: int
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
        return self.views.page("import", said=said if is_done else {}, text="", lines=(), wrong="")

    def answer(self, _request: Request) -> Response:
        """Check rows, and show them; or, once they were shown, add the people of the good ones."""
        text = given("rows")
        try:
            sheet = reading.read(text.encode())
        except SheetUnusable as error:
            return self._shown(text, (), str(error))
        if len(sheet.rows) > MOST_CANDIDATES:
            return self._shown(text, (), f"there are {len(sheet.rows)} rows: paste at most 100")
        lines = self._checked(sheet)
        if given("step") != "add":
            return self._shown(text, lines)
        good = [each for each in lines if each.outcome is not Outcome.REFUSED]
        actor = current().visitor.actor
        wanted = [each.candidate for each in good]
        made = self.importing.import_users(wanted, dry_run=False, actor=actor) if wanted else []
        if any(each.outcome is Outcome.REFUSED for each in made):  # somebody was faster
            return self._shown(text, self._checked(sheet))
        done = [each.outcome for each in made]
        counts = {
            "added": done.count(Outcome.ADDED),
            "there": done.count(Outcome.THERE),
            "refused": len(lines) - len(good),
        }
        return see(f"{IMPORT}?{urlencode(counts)}")

    def _checked(self, sheet: Sheet) -> list[Line]:
        """What would become of each row."""
        faults: Mapping[int, Sequence[Fault]] = sheet.faults()
        good = [row for row in sheet.rows if row.number not in faults]
        wanted = [sheet.candidate(row) for row in good]
        found = self.importing.import_users(wanted, dry_run=True, actor=current().visitor.actor)
        known = {row.number: each for row, each in zip(good, found, strict=True)}
        return [
            Line(
                row.number,
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
        return self.views.page(
            "import", status, said={}, text=text, lines=lines, wrong=wrong, counts=counts
        )

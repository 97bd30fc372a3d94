"""The page of who has not finished enrolling: expired invitations among them."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from cloud_keystore.cards.reports import Pending, Reports
from cloud_keystore.model.fields.pages import Page
from cloud_keystore.model.people import Stage
from cloud_keystore.web.ra import words
from cloud_keystore.web.ra.lists import (
    Cell,
    Choice,
    Line,
    Listing,
    ListPage,
    chosen_of,
    number_cell,
    time_cell,
)
from cloud_keystore.web.ra.overviews.section import SECTION, UNFINISHED
from cloud_keystore.web.ra.people import PEOPLE
from cloud_keystore.web.ra.views import Views
from cloud_keystore.web.rows import Row
from cloud_keystore.web.visiting import current

PORTION = 50  # people who are looked up for one page
STAGES = [each for each in Stage if each not in (Stage.ENROLLED, Stage.CLOSED)]
STAGE = Choice(
    "stage", "Waits for", {"": "All", **{each.value: each.value.capitalize() for each in STAGES}}
)
COLUMNS = {
    "name": "Name",
    "stage": "Waits for",
    "since": "Since",
    "next": "What is next",
    "reminded": "Reminded",
    "undelivered": "Lost e-mail",
}


@dataclass(frozen=True, slots=True)
class UnfinishedPages:
    """Lists people who wait for something."""

    views: Views
    reports: Reports

    def rows(self) -> tuple[Row, ...]:
        """Its pages."""
        return ListPage(self.views, UNFINISHED, self.listing, SECTION).rows()

    def listing(self, request: Request) -> Listing:
        """Who has not finished enrolling: a portion of them, or in the file all."""
        wanted, actor = chosen_of(request, STAGE), current().visitor.actor
        after = request.query_params.get("after", "")
        portions = {"": "Added first", **({after: "Added after those"} if after else {})}
        if request.url.path.endswith(".csv"):
            found = self.reports.pending(actor=actor)
        else:
            found = self.reports.pending(Page(PORTION + 1, after), actor=actor)
            if len(found) > PORTION:
                portions[found[PORTION - 1].user.id] = "Added after these"
            found = found[:PORTION]
        return Listing(
            "Who has not finished",
            COLUMNS,
            [_line(each) for each in found if wanted in ("", each.progress.stage.value)],
            "Everybody has finished enrolling, or nobody waits for this.",
            choices=(STAGE, Choice("after", "People", portions)),
            sort="since",
        )


def _line(pending: Pending) -> Line:
    user, progress = pending.user, pending.progress
    return Line(
        (
            Cell(user.display_name, f"{PEOPLE}/{user.id}"),
            Cell(progress.stage.value.capitalize()),
            time_cell(progress.since),
            Cell(words.next_step(progress)),
            time_cell(pending.remind_time),
            number_cell(pending.undelivered),
        )
    )

"""The pages of workstations: their versions, when they were heard of, and what is wrong there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from starlette.requests import Request
from starlette.responses import Response

from cloud_keystore.model.clock import Clock
from cloud_keystore.model.fields.problems import Counted, Problem
from cloud_keystore.model.fields.software import Compatibility, Contact
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.people.alerts import Alerts
from cloud_keystore.people.identities import Identities
from cloud_keystore.people.organisations import Organisations
from cloud_keystore.people.workstations.problems import Problems
from cloud_keystore.web.ra import words
from cloud_keystore.web.ra.administration.places import paths
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
from cloud_keystore.web.ra.overviews.section import SECTION, WORKSTATIONS
from cloud_keystore.web.ra.views import Views
from cloud_keystore.web.rows import Row
from cloud_keystore.web.visiting import current

AT_ONCE = 500  # workstations of which is asked in one call
STATE = Choice(
    "state",
    "State",
    {
        "": "All",
        **{each: each.capitalize() for each in ("active", "invited", "expired", "removed")},
    },
)
COLUMNS = {
    "name": "Workstation",
    "site": "Place",
    "organisation": "Organisation",
    "state": "State",
    "version": "Version",
    "platform": "System",
    "seen": "Heard of last",
    "problems": "Problems",
    "alerts": "Open alerts",
}
PROBLEM_COLUMNS = {
    "check": "Check",
    "level": "Level",
    "cause": "What is wrong",
    "fix": "What to do",
}
WELL = "All was well, as the workstation said."
SAID_BY = "The workstation said so itself. Its user reads the same with cloudcard doctor."
NEVER = "It has not said what is wrong. There, run: cloudcard doctor --report"


@dataclass(frozen=True, slots=True)
class WorkstationPages:
    """Lists workstations, and what is wrong with them."""

    views: Views
    identities: Identities
    problems: Problems
    alerts: Alerts
    organisations: Organisations
    clock: Clock

    def rows(self) -> tuple[Row, ...]:
        """Its pages."""
        one = f"{WORKSTATIONS}/{{workstation_id}}"
        return (
            *ListPage(self.views, WORKSTATIONS, self.listing, SECTION).rows(),
            Row("GET", f"{one}.csv", self.export),
            Row("GET", one, self.show),
        )

    def listing(self, request: Request) -> Listing:
        """The workstations that the operator sees."""
        actor, now, wanted = current().visitor.actor, self.clock(), chosen_of(request, STATE)
        known = self.identities.list_of(Role.WORKSTATION, actor=actor)
        found = [each for each in known if wanted in ("", each.state_at(now))]
        counted = self._counted(found)
        called = paths(self.organisations.list_all(actor=actor))
        open_ = self.alerts.list_all(include_acknowledged=False, actor=actor)
        alerts = Counter(each.alert.workstation_id for each in open_)
        heard = self._heard(found)
        return Listing(
            "Workstations",
            COLUMNS,
            [
                _line(each, called, heard.get(each.id), counted.get(each.id), alerts[each.id], now)
                for each in found
            ],
            "There are no workstations.",
            choices=(STATE,),
        )

    def show(self, request: Request) -> Response:
        """What is wrong with one workstation, and what to do."""
        return self._one(request).show(request)

    def export(self, request: Request) -> Response:
        """The same as a file."""
        return self._one(request).export(request)

    def _one(self, request: Request) -> ListPage:
        own = str(request.path_params["workstation_id"])
        found, report = self.problems.of(own, actor=current().visitor.actor)
        problems = () if report is None else report.problems
        listing = Listing(
            f"{found.display_name}: problems",
            PROBLEM_COLUMNS,
            [_problem(number, each) for number, each in enumerate(problems)],
            NEVER if report is None else WELL,
            () if report is None else (f"Said last: {words.when(report.report_time)}.", SAID_BY),
        )
        return ListPage(self.views, f"{WORKSTATIONS}/{found.id}", lambda _: listing, SECTION)

    def _counted(self, found: list[Identity]) -> Mapping[str, Counted]:
        """How much is wrong with workstations."""
        ids, counted = iter([each.id for each in found]), dict[str, Counted]()
        while some := list(islice(ids, AT_ONCE)):
            counted |= self.problems.counted(some, actor=current().visitor.actor)
        return counted

    def _heard(self, found: list[Identity]) -> Mapping[str, Contact]:
        """What workstations said of themselves last."""
        ids, heard = iter([each.id for each in found]), dict[str, Contact]()
        while some := list(islice(ids, AT_ONCE)):
            heard |= self.identities.contacts(some, actor=current().visitor.actor)
        return heard


def _line(
    found: Identity,
    called: Mapping[str, str],
    heard: Contact | None,
    counted: Counted | None,
    alerts: int,
    now: datetime,
) -> Line:
    state, software = found.state_at(now), None if heard is None else heard.software
    version, platform = ("", "") if software is None else (software.version, software.platform)
    outdated = software is not None and software.compared() is Compatibility.OUTDATED
    return Line(
        (
            Cell(found.display_name),
            Cell(found.site),
            Cell(called.get(found.organisation_id, "")),
            Cell(state.capitalize(), colour=words.COLOURS.get(state, "grey")),
            Cell(f"{version}, outdated" if outdated else version),
            Cell(f"{platform} {software.platform_version}".strip() if software else ""),
            time_cell(None if heard is None else heard.seen_time),
            Cell(_said(counted), f"{WORKSTATIONS}/{found.id}", key=_order(counted)),
            number_cell(alerts),
        )
    )


def _said(counted: Counted | None) -> str:
    """How much is wrong, in words; also if nobody knows."""
    if counted is None:
        return "Not said"
    kinds = ((counted.failed, "failed"), (counted.warnings, "to look at"))
    return ", ".join(f"{number} {word}" for number, word in kinds if number) or "None"


def _order(counted: Counted | None) -> str:
    """By what workstations are sorted: those with most that has failed last."""
    return "" if counted is None else f"{counted.failed:04}{counted.warnings:04}"


def _problem(number: int, found: Problem) -> Line:
    colour, level = ("red", "Failed") if found.failed else ("yellow", "Look at it")
    # Checks depend on those before them: as usual, they are in the order in which doctor has them.
    check = Cell(found.name, key=f"{number:04}")
    return Line((check, Cell(level, colour=colour), Cell(found.cause), Cell(found.fix)))

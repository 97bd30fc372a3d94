"""The page of workstations: their versions, when they were heard of, and what was wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from starlette.requests import Request

from cloud_keystore.model.clock import Clock
from cloud_keystore.model.fields.software import Compatibility, Contact
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.people.alerts import Alerts
from cloud_keystore.people.identities import Identities
from cloud_keystore.people.organisations import Organisations
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
    "alerts": "Open alerts",
}


@dataclass(frozen=True, slots=True)
class WorkstationPages:
    """Lists workstations."""

    views: Views
    identities: Identities
    alerts: Alerts
    organisations: Organisations
    clock: Clock

    def rows(self) -> tuple[Row, ...]:
        """Its pages."""
        return ListPage(self.views, WORKSTATIONS, self.listing, SECTION).rows()

    def listing(self, request: Request) -> Listing:
        """The workstations that the operator sees."""
        actor, now, wanted = current().visitor.actor, self.clock(), chosen_of(request, STATE)
        known = self.identities.list_of(Role.WORKSTATION, actor=actor)
        found = [each for each in known if wanted in ("", each.state_at(now))]
        called = paths(self.organisations.list_all(actor=actor))
        open_ = self.alerts.list_all(include_acknowledged=False, actor=actor)
        alerts = Counter(each.alert.workstation_id for each in open_)
        heard = self._heard(found)
        return Listing(
            "Workstations",
            COLUMNS,
            [_line(each, called, heard.get(each.id), alerts[each.id], now) for each in found],
            "There are no workstations.",
            choices=(STATE,),
        )

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
            number_cell(alerts),
        )
    )

"""The pages of alerts, which operators acknowledge."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from cloud_keystore.model.errors import AlertNotFound
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.people.alerts import AlertListing, Alerts
from cloud_keystore.web.ra.forms import Question, ask
from cloud_keystore.web.ra.lists import (
    Cell,
    Choice,
    Line,
    Link,
    Listing,
    ListPage,
    chosen_of,
    time_cell,
)
from cloud_keystore.web.ra.people import PEOPLE
from cloud_keystore.web.ra.views import ALERTS, Views
from cloud_keystore.web.rows import Row, see
from cloud_keystore.web.visiting import current

WHICH = Choice("which", "Which", {"": "Not acknowledged", "all": "All"})
COLUMNS = {
    "time": "When",
    "kind": "What",
    "text": "What to do",
    "person": "Person",
    "card": "Card",
    "workstation": "Workstation",
    "state": "State",
}


@dataclass(frozen=True, slots=True)
class AlertPages:
    """Lists alerts, and acknowledges them."""

    views: Views
    alerts: Alerts

    def rows(self) -> tuple[Row, ...]:
        """Its pages."""
        own = f"{ALERTS}/{{alert_id}}/acknowledge"
        return (
            *ListPage(self.views, ALERTS, self.listing).rows(),
            Row("GET", own, self.ask_acknowledge),
            Row("POST", own, self.acknowledge),
        )

    def listing(self, request: Request) -> Listing:
        """The alerts that nobody has acknowledged, or all."""
        operator, every = current().visitor, chosen_of(request, WHICH) == "all"
        may = Right.ALERTS in self.views.visits.held(operator).somewhere
        found = self.alerts.list_all(include_acknowledged=every, actor=operator.actor)
        return Listing(
            "Alerts",
            COLUMNS,
            [_line(each, may) for each in found],
            "There are no alerts.",
            choices=(WHICH,),
            sort="-time",
        )

    def ask_acknowledge(self, request: Request) -> Response:
        """The question whether an alert is acknowledged."""
        alert_id = str(request.path_params["alert_id"])
        known = self.alerts.list_all(include_acknowledged=False, actor=current().visitor.actor)
        found = next((each for each in known if each.alert.id == alert_id), None)
        if found is None:
            raise AlertNotFound("there is no such alert that nobody has acknowledged")
        question = Question(
            "Acknowledge this alert?",
            (found.alert.text, "The journal has who looked after it. It stays in the list."),
            "Acknowledge it",
            ALERTS,
        )
        return ask(self.views, question)

    def acknowledge(self, request: Request) -> Response:
        """Acknowledge an alert."""
        self.alerts.acknowledge(str(request.path_params["alert_id"]), current().visitor)
        return see(ALERTS, "acknowledged")


def _line(listing: AlertListing, may: bool) -> Line:
    alert, what = listing.alert, listing.alert.kind.value.replace("-", " ").capitalize()
    is_open = alert.acknowledge_time is None
    person = Cell(listing.user_display_name, f"{PEOPLE}/{alert.user_id}" if alert.user_id else "")
    card = Cell(listing.card_serial, f"{PEOPLE}?{urlencode({'q': listing.card_serial})}")
    cells = (
        time_cell(alert.create_time),
        Cell(what),
        Cell(alert.text),
        person if person.text else Cell(""),
        card if card.text else Cell(""),
        Cell(listing.workstation_display_name),
        Cell("Open" if is_open else "Acknowledged", colour="orange" if is_open else "grey"),
    )
    act = Link("Acknowledge", f"{ALERTS}/{alert.id}/acknowledge", what)
    return Line(cells, [act] if is_open and may else ())

"""The pages of devices that several holders share: who is signed in, sign-out and removal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.people import Identity, IdentityState
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.people.organisations import Organisations
from cloud_keystore.people.sharing.shared_devices import SharedDeviceListing, SharedDevices
from cloud_keystore.web.ra import words
from cloud_keystore.web.ra.administration.places import paths
from cloud_keystore.web.ra.forms import Field, Question, ask
from cloud_keystore.web.ra.lists import Cell, Line, Link, Listing, ListPage, time_cell
from cloud_keystore.web.ra.overviews.section import SECTION, SHARED_DEVICES
from cloud_keystore.web.ra.views import Views
from cloud_keystore.web.rows import Row, see
from cloud_keystore.web.visiting import current, given

COLUMNS = {
    "name": "Shared device",
    "site": "Place",
    "organisation": "Organisation",
    "state": "State",
    "holder": "Signed in",
    "until": "Until",
}
ONE = f"{SHARED_DEVICES}/{{device_id}}"
SOMEBODY = "Somebody"  # whom the operator does not see
REASON = Field("reason", "Why?", "The journal is told.")


@dataclass(frozen=True, slots=True)
class SharedDevicePages:
    """Lists shared devices, signs out whoever is there, and removes them."""

    views: Views
    shared_devices: SharedDevices
    organisations: Organisations
    clock: Clock

    def rows(self) -> tuple[Row, ...]:
        """Its pages."""
        return (
            *ListPage(self.views, SHARED_DEVICES, self.listing, SECTION).rows(),
            Row("GET", f"{ONE}/sign-out", self.ask_sign_out),
            Row("POST", f"{ONE}/sign-out", self.sign_out),
            Row("GET", f"{ONE}/remove", self.ask_remove),
            Row("POST", f"{ONE}/remove", self.remove),
        )

    def listing(self, _request: Request) -> Listing:
        """The shared devices that the operator sees."""
        operator, now = current().visitor, self.clock()
        may = Right.WORKSTATIONS in self.views.visits.held(operator).somewhere
        found = self.shared_devices.list_all(actor=operator.actor)
        called = paths(self.organisations.list_all(actor=operator.actor))
        return Listing(
            "Shared devices",
            COLUMNS,
            [_line(each, called, now, may) for each in found],
            "There are no shared devices: cloudcard ra shared-device add NAME",
        )

    def ask_sign_out(self, request: Request) -> Response:
        """The question whether whoever is at a device is signed out."""
        device = self._one(request)
        question = Question(
            f"Sign out whoever is at {device.display_name}?",
            ("What was approved there and was not used is void, and sessions end.",),
            "Sign out",
            SHARED_DEVICES,
        )
        return ask(self.views, question)

    def sign_out(self, request: Request) -> Response:
        """Sign out whoever is at a device."""
        self.shared_devices.sign_out(str(request.path_params["device_id"]), current().visitor)
        return see(SHARED_DEVICES, "signed-out")

    def ask_remove(self, request: Request, wrong: str = "") -> Response:
        """The question whether a device is removed."""
        device = self._one(request)
        question = Question(
            f"Remove {device.display_name}?",
            ("Whoever is there is signed out, and nobody can sign in there again.",),
            "Remove the device",
            SHARED_DEVICES,
            (REASON,),
            warns=True,
        )
        return ask(self.views, question, wrong)

    def remove(self, request: Request) -> Response:
        """Take a device out of use for ever."""
        device_id = str(request.path_params["device_id"])
        try:
            self.shared_devices.remove(device_id, given("reason"), current().visitor)
        except InvalidInput as error:
            return self.ask_remove(request, str(error))
        return see(SHARED_DEVICES, "removed")

    def _one(self, request: Request) -> Identity:
        device_id = str(request.path_params["device_id"])
        return self.shared_devices.find(device_id, actor=current().visitor.actor).device


def _line(found: SharedDeviceListing, called: Mapping[str, str], now: datetime, may: bool) -> Line:
    device, seat = found.device, found.seat
    state, at = device.state_at(now), f"{SHARED_DEVICES}/{device.id}"
    links = []
    if may and seat is not None:
        links.append(Link("Sign out", f"{at}/sign-out", device.display_name))
    if may and device.state is not IdentityState.REMOVED:
        links.append(Link("Remove", f"{at}/remove", device.display_name))
    cells = (
        Cell(device.display_name),
        Cell(device.site),
        Cell(called.get(device.organisation_id, "")),
        Cell(state.capitalize(), colour=words.COLOURS.get(state, "grey")),
        Cell("" if seat is None else found.holder or SOMEBODY),
        time_cell(None if seat is None else seat.end_time),
    )
    return Line(cells, links)

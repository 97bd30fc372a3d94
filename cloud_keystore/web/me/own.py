"""What holders have: cards, phones, what is in use, what happened."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from cloud_keystore.cards.own.holdings import Holdings
from cloud_keystore.model.errors import DeviceNotFound
from cloud_keystore.model.portal.factors import Factor
from cloud_keystore.people.devices import Devices
from cloud_keystore.people.portal.factors import LogInFactors
from cloud_keystore.people.portal.visits import PortalVisits
from cloud_keystore.web.me.views import HISTORY, PHONES, SESSIONS, OwnViews
from cloud_keystore.web.me.visiting import AT
from cloud_keystore.web.me.words import ending, is_ending
from cloud_keystore.web.rows import Row, see
from cloud_keystore.web.visiting import current

PHONE = f"{PHONES}/{{device_id}}/remove"


@dataclass(frozen=True, slots=True)
class OwnPages:
    """Shows what is theirs to holders, who can take out of use what they have lost."""

    views: OwnViews
    holdings: Holdings
    devices: Devices
    visits: PortalVisits
    factors: LogInFactors

    def rows(self) -> tuple[Row, ...]:
        """Its pages."""
        return (
            Row("GET", AT, self.cards),
            Row("GET", PHONES, self.phones),
            Row("GET", PHONE, self.ask_remove),
            Row("POST", PHONE, self.remove),
            Row("GET", SESSIONS, self.in_use),
            Row("POST", f"{SESSIONS}/{{session_id}}/end", self.end_session),
            Row("POST", f"{AT}/sign-ins/{{sign_in_id}}/end", self.end_sign_in),
            Row("POST", f"{AT}/seats/{{seat_id}}/end", self.end_seat),
            Row("POST", f"{AT}/visits/end", self.end_visits),
            Row("GET", HISTORY, self.history),
        )

    def cards(self, request: Request) -> Response:
        """The holder's cards, and what is next."""
        own, now = self.holdings.show(current().visitor), self.views.clock()
        lines = [
            (each, ending(each.card.expire_time, now), is_ending(each.card.expire_time, now))
            for each in own.cards
        ]
        factors, done = self.factors.look(current().visitor), self.views.done(request)
        by_mail = factors.can_phone and factors.in_force is Factor.EMAIL
        return self.views.page("cards", own=own, lines=lines, by_mail=by_mail, done=done)

    def phones(self, request: Request) -> Response:
        """The phones that can approve, and those that are invited."""
        own, now = self.holdings.show(current().visitor), self.views.clock()
        lines = [(each, each.state_at(now)) for each in own.phones]
        return self.views.page("phones", lines=lines, done=self.views.done(request))

    def ask_remove(self, request: Request) -> Response:
        """The question whether a phone is removed."""
        device_id = str(request.path_params["device_id"])
        own = self.holdings.show(current().visitor)
        phone = next((each for each in own.phones if each.id == device_id), None)
        if phone is None:
            raise DeviceNotFound("you have no such phone: list yours")
        now = self.views.clock()
        is_last = not any(each.is_active(now) for each in own.phones if each is not phone)
        return self.views.page("phone_remove", phone=phone, is_last=is_last)

    def remove(self, request: Request) -> Response:
        """Take a phone out of use for ever."""
        self.devices.remove_own(str(request.path_params["device_id"]), current().visitor)
        return see(f"{PHONES}?done=phone")

    def in_use(self, request: Request) -> Response:
        """What is open with the cards, and where else the holder is logged in."""
        own = self.holdings.show(current().visitor)
        return self.views.page("sessions", own=own, done=self.views.done(request))

    def end_session(self, request: Request) -> Response:
        """End a session of a card."""
        self.holdings.end_session(str(request.path_params["session_id"]), current().visitor)
        return see(f"{SESSIONS}?done=session")

    def end_sign_in(self, request: Request) -> Response:
        """Take a card out of a reader."""
        self.holdings.end_sign_in(str(request.path_params["sign_in_id"]), current().visitor)
        return see(f"{SESSIONS}?done=sign-in")

    def end_seat(self, request: Request) -> Response:
        """Sign out at a shared device."""
        self.holdings.end_seat(str(request.path_params["seat_id"]), current().visitor)
        return see(f"{SESSIONS}?done=seat")

    def end_visits(self, _request: Request) -> Response:
        """Log out all other browsers."""
        self.visits.end_others(current().visitor)
        return see(f"{SESSIONS}?done=visits")

    def history(self, _request: Request) -> Response:
        """What happened last, in words."""
        return self.views.page("history", events=self.holdings.events(current().visitor))

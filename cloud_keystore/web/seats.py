"""The calls of pages that several holders share, of whoever is signed in there, and of phones that
sign in.
"""

from __future__ import annotations

from dataclasses import dataclass

import segno

from cloud_keystore.model.clock import Clock
from cloud_keystore.model.sharing.seats import IDLE_TIME
from cloud_keystore.operations.ringing import Answered, Ringing, decision
from cloud_keystore.operations.seating import Seating
from cloud_keystore.operations.seats import OpenSeat, Seats, SeenSeat
from cloud_keystore.people.renewing import Renewing
from cloud_keystore.web import models as base
from cloud_keystore.web import seat_models as m
from cloud_keystore.web.authenticator import Row, assertion, state_name
from cloud_keystore.web.calls import current
from cloud_keystore.web.gate import CALLS
from cloud_keystore.web.proving import SEAT, SHARED
from cloud_keystore.web.standing import renewal_is_due

SEAT_REQUESTS = f"{SEAT}requests"


@dataclass(frozen=True, slots=True)
class SeatCalls:
    """Translates between JSON and use cases. `ringing` is that of whoever is signed in."""

    seats: Seats
    seating: Seating
    ringing: Ringing
    renewing: Renewing
    clock: Clock

    def rows(self) -> tuple[Row, ...]:
        """All calls but the stream."""
        return (
            Row("GET", f"{CALLS}seats", self.list_own),
            Row("POST", f"{CALLS}seats/claims", self.claim),
            Row("POST", f"{CALLS}seats/{{seat_id}}/decision", self.decide),
            Row("POST", f"{CALLS}seats/{{seat_id}}/end", self.end),
            Row("POST", f"{SHARED}launch", self.launch),
            Row("GET", f"{SHARED}terms", self.tell_terms),
            Row("POST", f"{SHARED}renewal", self.renew),
            Row("POST", f"{SHARED}seats", self.begin),
            Row("GET", f"{SHARED}seats/{{seat_id}}", self.find),
            Row("POST", f"{SEAT}stay", self.stay),
            Row("POST", f"{SEAT}end", self.sign_out),
            Row("POST", f"{SEAT}requests/{{operation_id}}/decision", self.approve),
        )

    def list_own(self) -> m.Seats:
        """Where a phone's holder is signed in."""
        return m.Seats(seats=[_seat(each) for each in self.seats.list_open(current().device)])

    def claim(self, said: m.Scanning) -> m.Shown:
        """What a scanned code stands for."""
        shown = self.seating.claim(said.qr_text, current().device)
        return m.Shown(
            operation_id=shown.id, payload=shown.payload, keystore_signature=shown.signature
        )

    def decide(self, seat_id: str, said: m.Agreeing) -> base.Decided:
        """Take the decision of the phone."""
        decided = self.seating.decide(
            seat_id,
            decision(said.decision),
            said.signature,
            current().device,
            None if said.assertion is None else assertion(said.assertion),
        )
        return base.Decided(state=state_name(decided))

    def end(self, seat_id: str) -> m.Left:
        """Sign a phone's holder out elsewhere."""
        self.seats.end(seat_id, current().device)
        return m.Left(is_ended=True)

    def launch(self) -> m.Place:
        """A page begins, which has nobody's key: whoever was signed in there is so no more."""
        device = current().device
        self.seats.leave(device)
        return m.Place(name=device.display_name, site=device.site)

    def tell_terms(self) -> m.SharedTerms:
        """How a shared device stands with its keystore, whoever is signed in there."""
        device = current().device
        return m.SharedTerms(
            public_key=device.public_key or b"",
            renewal_is_due=renewal_is_due(device, self.clock()),
        )

    def renew(self, said: base.Renewing) -> base.Renewed:
        """The next certificate of a shared device's own key, which does not leave its browser."""
        renewed = self.renewing.renew_shared(current().device, said.csr)
        return base.Renewed(certificate=renewed)

    def begin(self, said: m.Beginning) -> m.Seen:
        """A code for the key of whoever signs in next."""
        return _seen(self.seats.begin(said.csr, current().device))

    def find(self, seat_id: str) -> m.Seen:
        """How far a seat is."""
        return _seen(self.seats.find(seat_id, current().device))

    def stay(self) -> m.Stayed:
        """Somebody does something."""
        return m.Stayed(until=self.seats.stay(current().device).isoformat())

    def sign_out(self) -> m.Left:
        """Whoever is signed in leaves."""
        self.seats.sign_out(current().device)
        return m.Left(is_ended=True)

    def approve(self, operation_id: str, said: base.Deciding) -> base.Decided:
        """Take the decision of whoever is signed in."""
        answered = Answered(
            operation_id, decision(said.decision), said.number, said.signature, is_sign_in=False
        )
        return base.Decided(state=state_name(self.ringing.decide(answered, current().device)))


def _seen(found: SeenSeat) -> m.Seen:
    rows = segno.make_qr(found.code, error="m").matrix if found.code else ()
    return m.Seen(
        id=found.id,
        state=found.state.name.lower(),
        code=found.code,
        picture=["".join(str(dark) for dark in row) for row in rows],
        holder=found.holder,
        certificate=found.certificate,
        until="" if found.end_time is None else found.end_time.isoformat(),
        idle_seconds=int(IDLE_TIME.total_seconds()),
    )


def _seat(found: OpenSeat) -> m.Seat:
    end = found.seat.end_time or found.seat.expire_time
    return m.Seat(
        id=found.seat.id,
        device=found.device,
        site=found.site,
        since=found.seat.create_time.isoformat(),
        until=end.isoformat(),
    )

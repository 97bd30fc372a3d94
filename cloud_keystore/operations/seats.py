"""Use cases at a shared device: beginning a seat, looking at it, staying there, and ending it; and
those of holders who see where they are signed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from cloud_keystore.approval import qr
from cloud_keystore.custody.credentials import accepting
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.custody.use.closing import end_seats
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.errors import IdentityRejected, SeatNotFound
from cloud_keystore.model.operations import DECISION_TIME, QR_TIME
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.model.sharing.seats import IDLE_TIME, MOST_PENDING, Seat, SeatState, Why
from cloud_keystore.notify.wakeups import Wake
from cloud_keystore.pki import identities
from cloud_keystore.storage import people
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.sharing import seats
from cloud_keystore.storage.sharing.seats import Which

NONE_THERE = "there is no such seat: sign in again"


@dataclass(frozen=True, slots=True)
class SeenSeat:
    """A seat as its device may see it. Of the holder it learns a name, once that holder has
    approved.
    """

    id: str
    state: SeatState
    code: str  # empty unless it waits for a phone
    holder: str
    certificate: bytes  # of the key that approves there
    end_time: datetime | None


@dataclass(frozen=True, slots=True)
class OpenSeat:
    """Where a holder is signed in, as that holder sees it."""

    seat: Seat
    device: str
    site: str


@dataclass(frozen=True, slots=True)
class Seats:
    """Use cases of shared devices, of seats at them, and of their holders."""

    database: Database
    seal: Seal
    clock: Clock
    random: Random
    wake: Wake

    def begin(self, csr: bytes, device: Identity) -> SeenSeat:
        """A code that a holder scans to sign in, for the key of a request, which is for nobody
        before. Raises InvalidInput, and IdentityRejected if the device was removed.
        """
        identities.requested_key(csr)
        now = self.clock()
        with self.database.write() as connection:
            _check_shared(connection, device, now)
            topics: list[str] = []
            waiting = seats.at(connection, device.id, SeatState.PENDING, now)
            for old in waiting[: max(len(waiting) - MOST_PENDING + 1, 0)]:
                which = Which(seat_id=old.id)
                topics += end_seats(connection, now, device.actor, Why.REPLACED, which)
            seat = Seat(
                id=new_id(now, self.random),
                device_id=device.id,
                csr=csr,
                state=SeatState.PENDING,
                create_time=now,
                expire_time=now + DECISION_TIME,
                code_time=now + QR_TIME,
            )
            seats.add(connection, seat)
            seen = self._seen(connection, seat, now)
        self.wake(topics)
        return seen

    def find(self, seat_id: str, device: Identity) -> SeenSeat:
        """A seat at this device. Raises SeatNotFound, IdentityRejected."""
        now = self.clock()
        with self.database.read() as connection:
            _check_shared(connection, device, now)
            return self._seen(connection, _at(connection, seat_id, device), now)

    def leave(self, device: Identity) -> None:
        """Sign out at this device whoever is there, and void its codes. Raises IdentityRejected."""
        now = self.clock()
        with self.database.write() as connection:
            _check_shared(connection, device, now)
            which = Which(device_id=device.id)
            topics = end_seats(connection, now, device.actor, Why.LEFT, which)
        self.wake(topics)

    def stay(self, own: Identity) -> datetime:
        """Somebody does something at a seat, which lasts for a while from now on, but never longer
        than its holder has approved; returns until when. Raises IdentityRejected.
        """
        now = self.clock()
        with self.database.write() as connection:
            accepting.check_active(connection, own, now)
            seat = seats.of_identity(connection, own.id)
            if seat is None or seat.end_time is None:
                raise IdentityRejected(NONE_THERE)
            until = idle_end(now, seat.end_time - now)
            if not seats.stay(connection, seat.id, now, until):
                raise IdentityRejected(NONE_THERE)
            seats.prolong(connection, own.id, until)
        return until

    def sign_out(self, own: Identity) -> None:
        """End a seat, by its own key; one that has ended stays so."""
        with self.database.write() as connection:
            seat = seats.of_identity(connection, own.id)
            topics = []
            if seat is not None:
                which = Which(seat_id=seat.id)
                topics = end_seats(connection, self.clock(), own.actor, Why.LEFT, which)
        self.wake(topics)

    def list_open(self, holder: Identity) -> list[OpenSeat]:
        """Where a holder is signed in, oldest first."""
        with self.database.read() as connection:
            found = seats.open_of(connection, holder.user_id or "", self.clock())
            return [_listed(connection, each) for each in found]

    def end(self, seat_id: str, holder: Identity) -> None:
        """Sign out a holder, who says so elsewhere. Raises SeatNotFound."""
        with self.database.write() as connection:
            seat = seats.find(connection, seat_id)
            if seat is None or seat.user_id is None or seat.user_id != holder.user_id:
                raise SeatNotFound("you are not signed in there")
            which = Which(seat_id=seat.id)
            topics = end_seats(connection, self.clock(), holder.actor, Why.HOLDER, which)
        self.wake(topics)

    def _seen(self, connection: Connection, seat: Seat, now: datetime) -> SeenSeat:
        state = seat.state_at(now)
        waits = state is SeatState.PENDING and seat.claimed_by is None and now < seat.code_time
        is_open = state is SeatState.OPEN
        holder = people.find_user(connection, seat.user_id or "") if is_open else None
        return SeenSeat(
            id=seat.id,
            state=state,
            code=qr.seat_text(seat.id, seat_secret(self.seal, seat.id)) if waits else "",
            holder="" if holder is None else holder.display_name,
            certificate=(seat.certificate or b"") if is_open else b"",
            end_time=seat.end_time if is_open else None,
        )


def idle_end(now: datetime, left: timedelta) -> datetime:
    """When a seat ends at which nobody does anything from now on."""
    return now + min(IDLE_TIME, left)


def seat_secret(seal: Seal, seat_id: str) -> bytes:
    """Derive the secret of a seat's code, so that the database does not hold it."""
    return seal.derive("qr seat", seat_id.encode())[: qr.SECRET_BYTES]


def _check_shared(connection: Connection, device: Identity, now: datetime) -> None:
    """Raise IdentityRejected if a shared device was removed after its call was admitted."""
    found = people.find_identity(connection, device.id)
    if found is None or found.role is not Role.SHARED_DEVICE or not found.is_active(now):
        raise IdentityRejected("this device was removed: enrol it again")


def _at(connection: Connection, seat_id: str, device: Identity) -> Seat:
    found = seats.find(connection, seat_id)
    if found is None or found.device_id != device.id:
        raise SeatNotFound(NONE_THERE)
    return found


def _listed(connection: Connection, seat: Seat) -> OpenSeat:
    device = people.find_identity(connection, seat.device_id)
    if device is None:
        raise SeatNotFound(NONE_THERE)
    return OpenSeat(seat, device.display_name, device.site)

"""The phone's use cases of seats: its holder signs in to a shared device by its yes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest

from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Connection

from cloud_keystore.approval import payload, qr, statement
from cloud_keystore.audit import alerts, entries, journal
from cloud_keystore.custody.credentials import accepting, app_pins
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.custody.use.closing import end_seats
from cloud_keystore.model.alerts import AlertKind
from cloud_keystore.model.approval_keys import NativeKey
from cloud_keystore.model.cards import Card
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.errors import (
    ApprovalRejected,
    CardNotFound,
    OperationClosed,
    OperationNotFound,
)
from cloud_keystore.model.journal import Detail, Entry, Kind
from cloud_keystore.model.operations import Approval, Assertion, Channel, Decision
from cloud_keystore.model.operations import State as Decided
from cloud_keystore.model.people import Identity, IdentityState, Role
from cloud_keystore.model.policies import NO_SEATS, PolicyVersion
from cloud_keystore.model.rights.holding import upwards
from cloud_keystore.model.sharing.seats import IDLE_TIME, Seat, SeatState, Why
from cloud_keystore.notify.wakeups import Wake
from cloud_keystore.operations.asking import NONCE_BYTES
from cloud_keystore.operations.seats import idle_end, seat_secret
from cloud_keystore.operations.signing_in import newest_in_use
from cloud_keystore.pki import identities
from cloud_keystore.pki.issuers import Authorities
from cloud_keystore.storage import approval_keys, organisations, people, policies
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.sharing import seats
from cloud_keystore.storage.sharing.seats import Which

NOT_YOURS = "there is no such sign-in to a shared device for you"
FORGED = "this code is not from your keystore: scan the one on the shared device"


@dataclass(frozen=True, slots=True)
class ShownSeat:
    """What a phone shows and signs, with the keystore's signature over it."""

    id: str
    payload: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Seating:
    """The phone's use cases of seats."""

    database: Database
    seal: Seal
    clock: Clock
    random: Random
    wake: Wake
    authorities: Authorities

    def claim(self, text: str, phone: Identity) -> ShownSeat:
        """Bind the seat of a scanned code to a phone and its holder; the same phone can repeat it.

        Raises InvalidInput, OperationNotFound if the code is forged, OperationClosed if another
        phone has claimed it or it has ended, CardNotFound if the holder has no card in use, and
        ApprovalRejected if the policy allows no shared devices, or not this one.
        """
        seat_id, secret = qr.parse_seat(text)
        with self.database.write() as connection:
            now = self.clock()
            _check_phone(connection, phone, now)
            seat = seats.find(connection, seat_id)
            if seat is None or not compare_digest(secret, seat_secret(self.seal, seat_id)):
                raise OperationNotFound(FORGED)
            if seat.claimed_by == phone.id and seat.state_at(now) is SeatState.PENDING:
                return self._shown(seat)
            _, in_force, device = _allowed(connection, seat, phone, now)
            encoded = self._payload(connection, seat, in_force, device, phone)
            user_id = phone.user_id or ""
            if not seats.claim(connection, seat_id, phone.id, user_id, encoded, now):
                raise OperationClosed(
                    "this code has been used or has expired: sign in again at the shared device"
                )
            claimed = replace(seat, user_id=user_id, payload=encoded, claimed_by=phone.id)
            told = _entry(Kind.SEAT_CLAIMED, claimed, phone, now, evidence={"payload": encoded})
            journal.append(connection, told)
        self.wake([seat.device_id])
        return self._shown(claimed)

    def decide(
        self,
        seat_id: str,
        decision: Decision,
        signature: bytes,
        phone: Identity,
        assertion: Assertion | None = None,
    ) -> Decided:
        """Take the decision of the phone that has scanned the code; only the first one counts, and
        a repeated one gets the same answer. With a yes, the key of the shared device is from now on
        the holder's, and whoever was signed in there is not any more. NOT_ME raises an alert.

        Raises OperationNotFound, OperationClosed, ApprovalRejected, CardNotFound,
        IdentityRejected.
        """
        now = self.clock()
        approval = Approval(phone.id, decision, "", signature, assertion)
        with self.database.read() as connection:
            seat = _claimed(connection, seat_id, phone)
            key = accepting.key_of(connection, phone)
        shown = seat.payload or b""
        accepting.check_credential(key, assertion)
        statement.verify(shown, approval, key)
        agrees = decision is Decision.APPROVE
        with self.database.write() as connection:
            now = self.clock()
            _check_phone(connection, phone, now)
            seat = _claimed(connection, seat_id, phone)
            if accepting.same_decision(approval, seat.approval):
                return Decided.APPROVED if agrees else Decided.DENIED
            if seat.state_at(now) is not SeatState.PENDING:
                raise OperationClosed("too late: sign in again at the shared device")
            if assertion is not None:
                accepting.count_use(connection, phone, assertion)
            topics = [seat.device_id, phone.user_id or ""]
            evidence = {
                "approval_key": key.public_key,
                **entries.approval_evidence(shown, approval),
            }
            details = accepting.told(approval, key)
            if agrees:
                _, in_force, device = _allowed(connection, seat, phone, now)
                accepting.check_policy(in_force.policy, key)
                app_pins.check_given(connection, phone, seat_id, now)
                topics += self._open(connection, seat, in_force, device, phone, now)
                kind = Kind.SEAT_OPENED
            else:
                seats.deny(connection, seat_id, decision, now)
                kind = Kind.SEAT_DENIED if decision is Decision.DENY else Kind.SEAT_REPORTED
            journal.append(connection, _entry(kind, seat, phone, now, details, evidence))
            if kind is Kind.SEAT_REPORTED:
                self._report(connection, seat, phone, now)
        self.wake(topics)
        return Decided.APPROVED if agrees else Decided.DENIED

    def _open(
        self,
        connection: Connection,
        seat: Seat,
        in_force: PolicyVersion,
        device: Identity,
        phone: Identity,
        now: datetime,
    ) -> list[str]:
        """Make the key of a seat the holder's, in the place of whoever was there. Returns the
        topics to wake.

        Codes of before end too: whoever says yes to one later would take the device from this
        holder.
        """
        topics: list[str] = []
        there = (
            each
            for state in (SeatState.OPEN, SeatState.PENDING)
            for each in seats.at(connection, device.id, state, now)
            if each.id != seat.id
        )
        for other in there:
            which = Which(seat_id=other.id)
            topics += end_seats(connection, now, phone.actor, Why.REPLACED, which)
        # What the holder has seen counts, unless the policy has become stricter since.
        said = payload.decode_seat(seat.payload or b"").seat
        time = min(timedelta(seconds=said.seconds), in_force.policy.shared_device_time)
        public_key = identities.requested_key(seat.csr)
        own = new_id(now, self.random)
        issued = identities.certify(own, public_key, self.authorities.transport, now)
        certificate = issued.public_bytes(Encoding.DER)
        identity = Identity(
            id=own,
            role=Role.SEAT,
            state=IdentityState.ACTIVE,
            display_name=device.display_name,
            site=device.site,
            user_id=phone.user_id,
            certificate_sha256=sha256(certificate).digest(),
            public_key=identities.public_der(public_key),
            create_time=now,
            expire_time=idle_end(now, time),
            organisation_id=device.organisation_id,
            invited_by=str(phone.actor),
        )
        people.add_identities(connection, identity)
        approval_keys.add(connection, own, NativeKey(identities.public_der(public_key)))
        idle, end = idle_end(now, time), now + time
        if not seats.open_(connection, seat.id, own, certificate, now, idle, end):
            raise OperationClosed("too late: sign in again at the shared device")
        said_of = {"identity": own, "role": Role.SEAT.name.lower(), "name": device.display_name}
        journal.append(
            connection,
            entries.about_identity(Kind.IDENTITY_INVITED, identity, now, phone.actor, said_of),
            entries.about_identity(
                Kind.IDENTITY_ENROLLED,
                identity,
                now,
                identity.actor,
                said_of,
                {"csr": seat.csr, "certificate": certificate},
            ),
        )
        return topics

    def _payload(
        self,
        connection: Connection,
        seat: Seat,
        in_force: PolicyVersion,
        device: Identity,
        phone: Identity,
    ) -> bytes:
        key = identities.public_der(identities.requested_key(seat.csr))
        user = people.present(connection, phone.user_id or "")
        return payload.encode_seat(
            payload.AskedSeat(
                seat_id=seat.id,
                user=user,
                device=device,
                organisation=organisations.name(connection, device.organisation_id),
                policy=in_force.name,
                create_time=seat.create_time,
                expire_time=seat.expire_time,
                nonce=self.random(NONCE_BYTES),
                time=in_force.policy.shared_device_time,
                idle_time=IDLE_TIME,
                key_sha256=sha256(key).digest(),
            )
        )

    def _shown(self, seat: Seat) -> ShownSeat:
        shown = seat.payload or b""
        return ShownSeat(seat.id, shown, self.authorities.sign_request(shown))

    def _report(self, connection: Connection, seat: Seat, phone: Identity, now: datetime) -> None:
        card = newest_in_use(connection, phone.user_id or "")
        device = people.find_identity(connection, seat.device_id)
        if card is None or device is None:
            return
        alerts.raise_alert(
            connection,
            AlertKind.NOT_ME,
            card,
            f"The holder of card {card.serial} did not want to sign in to the shared device "
            f"{device.display_name}, as the phone said. Nobody was signed in.",
            now,
            self.random,
        )


def _check_phone(connection: Connection, phone: Identity, now: datetime) -> None:
    """Raise unless a phone is its holder's own: nobody signs in to one shared device by another."""
    if phone.role is not Role.DEVICE:
        raise OperationNotFound(NOT_YOURS)
    accepting.check_active(connection, phone, now)


def _allowed(
    connection: Connection, seat: Seat, phone: Identity, now: datetime
) -> tuple[Card, PolicyVersion, Identity]:
    """The holder's card that was issued last, the policy in force for it, and the device. Raises
    CardNotFound, OperationClosed, and ApprovalRejected unless the policy allows the device.
    """
    device = people.find_identity(connection, seat.device_id)
    if device is None or device.role is not Role.SHARED_DEVICE or not device.is_active(now):
        raise OperationClosed("this shared device was removed: use another one")
    card = newest_in_use(connection, phone.user_id or "")
    if card is None:
        raise CardNotFound("you have no card in use for which it could approve")
    in_force = policies.in_force(connection, card.organisation_id, card.profile)
    if in_force.policy.shared_device_time == NO_SEATS:
        raise ApprovalRejected("your organisation allows nobody to sign in to shared devices")
    if Channel.QR not in in_force.policy.channels:
        raise ApprovalRejected("the policy in force reaches the holder by PUSH alone")
    parents = organisations.parents(connection)
    if device.organisation_id not in upwards(card.organisation_id, parents):
        raise ApprovalRejected("this shared device is of another organisation: use one of yours")
    return card, in_force, device


def _claimed(connection: Connection, seat_id: str, phone: Identity) -> Seat:
    """A seat that a phone has claimed; raises OperationNotFound."""
    found = seats.find(connection, seat_id)
    if found is None or found.claimed_by != phone.id or found.payload is None:
        raise OperationNotFound(NOT_YOURS)
    return found


def _entry(
    kind: Kind,
    seat: Seat,
    phone: Identity,
    now: datetime,
    details: Mapping[str, Detail] = entries.NO_DETAILS,
    evidence: Mapping[str, bytes] = entries.NO_EVIDENCE,
) -> Entry:
    return entries.about_seat(kind, seat, now, phone.actor, details, evidence)

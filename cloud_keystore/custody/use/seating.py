"""Whether a decision at a shared device is that of whoever is signed in there."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from hmac import compare_digest

from sqlalchemy import Connection

from cloud_keystore.approval import payload
from cloud_keystore.model.approval_keys import ApprovalKey
from cloud_keystore.model.cards import Card
from cloud_keystore.model.errors import ApprovalRejected
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.model.policies import NO_SEATS
from cloud_keystore.model.sharing.seats import Seat
from cloud_keystore.storage import people, policies
from cloud_keystore.storage.sharing import seats


def find(connection: Connection, device: Identity) -> Seat | None:
    """The seat of whoever decides; None for a device that is its holder's own."""
    return seats.of_identity(connection, device.id) if device.role is Role.SEAT else None


def check(
    connection: Connection, device: Identity, key: ApprovalKey, card: Card, now: datetime
) -> None:
    """Raise ApprovalRejected if a device is shared, unless the holder of a card has approved this
    very key and is still signed in there, and the policy in force allows shared devices.
    """
    if device.role is not Role.SEAT:
        return
    seat = find(connection, device)
    shared = None if seat is None else people.find_identity(connection, seat.device_id)
    if seat is None or seat.payload is None or not seat.is_open(now):
        raise ApprovalRejected("nobody is signed in there any more: sign in again")
    if shared is None or shared.role is not Role.SHARED_DEVICE or not shared.is_active(now):
        raise ApprovalRejected("the shared device was removed: use another one")
    said = payload.decode_seat(seat.payload)
    if said.user_id != device.user_id or card.user_id != device.user_id:
        raise ApprovalRejected("somebody else is signed in to the shared device")
    if not compare_digest(said.seat.key_sha256, sha256(key.public_key).digest()):
        raise ApprovalRejected("the holder has not approved the key of this shared device")
    in_force = policies.in_force(connection, card.organisation_id, card.profile)
    if in_force.policy.shared_device_time == NO_SEATS:
        raise ApprovalRejected(
            "the policy in force allows no shared devices: approve on a phone of your own"
        )

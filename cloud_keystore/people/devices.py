"""Holders' devices for the registration authority, which lists them and removes lost ones."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from cloud_keystore.audit import acting, alerts, entries, journal
from cloud_keystore.audit.acting import Acting
from cloud_keystore.custody.use.closing import close_device
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.approval_keys import ApprovalKey
from cloud_keystore.model.clock import Clock, Random
from cloud_keystore.model.errors import DeviceNotFound, InvalidInput
from cloud_keystore.model.fields.texts import LONGEST_DISPLAY_NAME, text_field
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.outbox.notifications import Template
from cloud_keystore.model.people import Identity, IdentityState, Role, User
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.notify.wakeups import Wake
from cloud_keystore.people.portal.knowing import owner
from cloud_keystore.storage import approval_keys, people
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.outbox import notifications as outbox


@dataclass(frozen=True, slots=True)
class DeviceListing:
    """A device with its approval key, which is None until the device is enrolled."""

    device: Identity
    key: ApprovalKey | None


@dataclass(frozen=True, slots=True)
class Devices:
    """Lists and removes devices. `wake` wakes callers that wait for an operation or a user."""

    database: Database
    clock: Clock
    wake: Wake
    random: Random

    def list_of(self, user_id: str, *, actor: Actor) -> list[DeviceListing]:
        """A user's devices, oldest first, also removed ones; raises UserNotFound, NotAllowed."""
        with acting.looking(self.database, actor, self.clock()) as by:
            found = people.list_devices(by.connection, by.user(user_id, Right.VIEW).id)
            return [listing_of_device(by.connection, device) for device in found]

    def find(self, device_id: str, *, actor: Actor) -> tuple[DeviceListing, User]:
        """A device, also a removed one, and its holder. Raises DeviceNotFound, NotAllowed."""
        with acting.looking(self.database, actor, self.clock()) as by:
            device = _seen(by, device_id)
            holder = by.user(device.user_id or "", Right.VIEW)
            return listing_of_device(by.connection, device), holder

    def remove(self, device_id: str, reason: str, operator: Identity) -> DeviceListing:
        """Take a device out of use for ever; does nothing if it is removed already.

        Its unused approvals are void, and the sessions that it approved end. Waiting operations
        stay for the holder's other devices. Raises DeviceNotFound, NotAllowed, InvalidInput.
        """
        reason = text_field("reason", reason, LONGEST_DISPLAY_NAME)
        now = self.clock()
        with acting.changing(self.database, operator.actor, now) as by:
            connection, device = by.connection, _seen(by, device_id)
            by.user(device.user_id or "", Right.DEVICES)
            withdrawn = remove_device(connection, device, reason, now, operator.actor)
            if device.state is IdentityState.ACTIVE:
                outbox.about_device(connection, Template.DEVICE_REMOVED, device, now, reason=reason)
            listing = listing_of_device(
                connection, people.find_identity(connection, device.id) or device
            )
        self.wake([device.user_id or device.id, *withdrawn])
        return listing

    def list_own(self, device: Identity) -> list[Identity]:
        """The active devices of a device's holder, oldest first, this one included."""
        now = self.clock()
        with self.database.read() as connection:
            found = people.list_devices(connection, device.user_id or "")
        return [each for each in found if each.is_active(now)]

    def remove_own(self, device_id: str, device: Identity) -> Identity:
        """Take another device of a device's holder, or of one at the portal, out of use for ever.
        All devices of the holder and the holder's address are told. Raises DeviceNotFound, and
        IdentityRejected if the device itself was removed meanwhile; InvalidInput for the device
        itself.
        """
        now = self.clock()
        if device_id == device.id:
            raise InvalidInput(
                "this is the phone that you hold: remove it from another one of yours, or ask your "
                "registration authority"
            )
        with self.database.write() as connection:
            owner(connection, device, now)
            gone = people.find_identity(connection, device_id)
            if gone is None or gone.role is not Role.DEVICE or gone.user_id != device.user_id:
                raise DeviceNotFound("you have no such phone: list yours")
            at_portal = device.role is Role.HOLDER
            by = "the portal" if at_portal else f'your phone "{device.display_name}"'
            on = "at the portal" if at_portal else f"on {device.display_name}"
            reason = f"by its holder {on}"
            topics = [device.user_id or device.id]
            if gone.state is not IdentityState.REMOVED:
                topics += remove_device(connection, gone, reason, now, device.actor)
                alerts.device_removed(connection, gone, by, now, self.random)
                outbox.about_device(connection, Template.DEVICE_REMOVED_OWN, gone, now, by=by)
            found = people.find_identity(connection, device_id) or gone
        self.wake(topics)
        return found


def remove_device(
    connection: Connection, device: Identity, reason: str, now: datetime, actor: Actor
) -> list[str]:
    """Take a device out of use for ever, unless it is removed already, and end what depends on it.
    Returns the topics to wake.
    """
    if not people.remove_identity(connection, device.id):
        return []
    said = {"reason": reason, "name": device.display_name}
    removed = entries.about_identity(Kind.IDENTITY_REMOVED, device, now, actor, said)
    journal.append(connection, removed)
    return close_device(connection, device, now, actor, "device removed")


def _seen(by: Acting, device_id: str) -> Identity:
    """A device that an actor sees. Raises DeviceNotFound."""
    found = people.find_identity(by.connection, device_id)
    if found is None or found.role is not Role.DEVICE or not by.sees_identity(found):
        raise DeviceNotFound("there is no such device: list those of its holder")
    return found


def listing_of_device(connection: Connection, device: Identity) -> DeviceListing:
    """A device as lists show it."""
    return DeviceListing(device, approval_keys.find(connection, device))

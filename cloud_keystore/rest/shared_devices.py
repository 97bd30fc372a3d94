"""Devices that several people share, which approve for whoever signs in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Path
from pydantic import BaseModel, Field

from cloud_keystore.model.clock import Clock
from cloud_keystore.people.sharing.shared_devices import SharedDeviceListing, SharedDevices
from cloud_keystore.rest import models as m
from cloud_keystore.rest import translating
from cloud_keystore.rest.calls import current
from cloud_keystore.rest.paging import ITEMS, Limit, PageToken, cut, page_of

SharedDeviceId = Annotated[str, Path(max_length=64, description="Identifier of the shared device.")]


class NewSharedDevice(m.Asked):
    """A device to be added."""

    name: m.Text
    site: Annotated[m.Text, Field(description="Place, shown on the phone of who signs in.")] = ""
    organisation_id: m.Text = ""


class SignedIn(BaseModel):
    """Somebody at a device."""

    holder: Annotated[str | None, Field(description="A name; null: nobody whom the client sees.")]
    until: Annotated[datetime | None, Field(description="At the latest.")]


class SharedDevice(BaseModel):
    """A device that approves for whoever signs in to it."""

    id: str
    name: str
    site: str
    organisation_id: str
    state: Annotated[str, Field(description="invited, active, expired or removed")]
    created: datetime
    signed_in: Annotated[SignedIn | None, Field(description="Null: nobody.")]


class SharedDevicePage(BaseModel):
    """A page of shared devices."""

    shared_devices: list[SharedDevice]
    next_page_token: str | None


class AddedSharedDevice(BaseModel):
    """A device, and the token for its page."""

    shared_device: SharedDevice
    invitation: m.Invitation


@dataclass(frozen=True, slots=True)
class SharedDeviceCalls:
    """What can be asked about shared devices."""

    shared_devices: SharedDevices
    clock: Clock

    def list_shared_devices(
        self, limit: Limit = ITEMS, page_token: PageToken = ""
    ) -> SharedDevicePage:
        """The shared devices that the client sees, oldest first, removed ones included, and who is
        signed in there.
        """
        page = page_of("shared-devices", limit, page_token)
        found = self.shared_devices.list_all(page, actor=current().actor)
        items, following = cut("shared-devices", found, limit, lambda each: each.device.id)
        shown = [self._shown(each) for each in items]
        return SharedDevicePage(shared_devices=shown, next_page_token=following)

    def add_shared_device(self, asked: NewSharedDevice) -> AddedSharedDevice:
        """Add a device, and make a one-time token for the page of the authenticator, which is
        opened on it. Holders of cards of its organisation, and of those below it, can sign in,
        where a policy allows it.
        """
        made, token = self.shared_devices.add(
            asked.name, asked.site, asked.organisation_id, actor=current().actor
        )
        return AddedSharedDevice(
            shared_device=self._shown(SharedDeviceListing(made)),
            invitation=translating.invitation(token),
        )

    def show_shared_device(self, shared_device_id: SharedDeviceId) -> SharedDevice:
        """One shared device, and who is signed in there."""
        return self._shown(self.shared_devices.find(shared_device_id, actor=current().actor))

    def sign_out_shared_device(self, shared_device_id: SharedDeviceId) -> SharedDevice:
        """Sign out whoever is at a shared device. What was approved there and is not over becomes
        void.
        """
        found = self.shared_devices.sign_out(shared_device_id, current().caller)
        return self._shown(SharedDeviceListing(found))

    def remove_shared_device(
        self, shared_device_id: SharedDeviceId, asked: m.Removal
    ) -> SharedDevice:
        """Take a shared device out of use for ever, and sign out whoever is there."""
        gone = self.shared_devices.remove(shared_device_id, asked.reason, current().caller)
        return self._shown(SharedDeviceListing(gone))

    def _shown(self, found: SharedDeviceListing) -> SharedDevice:
        device, seat = found.device, found.seat
        signed_in = (
            None if seat is None else SignedIn(holder=found.holder or None, until=seat.end_time)
        )
        return SharedDevice(
            id=device.id,
            name=device.display_name,
            site=device.site,
            organisation_id=device.organisation_id,
            state=device.state_at(self.clock()),
            created=device.create_time,
            signed_in=signed_in,
        )

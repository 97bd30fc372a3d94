"""`SharedDeviceService`: devices that several holders share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from cloud_keystore.model.clock import Clock
from cloud_keystore.people.sharing.shared_devices import SharedDeviceListing, SharedDevices
from cloud_keystore.rpc.door import Door
from cloud_keystore.rpc.identities import token_message
from cloud_keystore.rpc.refusals import Context
from cloudcard.registry.v1 import shared_devices_pb2 as pb
from cloudcard.registry.v1 import shared_devices_pb2_grpc


@dataclass(frozen=True, slots=True)
class SharedDeviceServicer(shared_devices_pb2_grpc.SharedDeviceServiceServicer):
    """Translates between messages and use cases."""

    door: Door
    shared_devices: SharedDevices
    clock: Clock

    async def AddSharedDevice(
        self, request: pb.AddSharedDeviceRequest, context: Context
    ) -> pb.AddSharedDeviceResponse:
        made, token = await self.door.call(
            context,
            lambda who: self.shared_devices.add(
                request.display_name, request.site, request.organisation_id, actor=who.actor
            ),
        )
        return pb.AddSharedDeviceResponse(
            device=self._device(SharedDeviceListing(made)), token=token_message(token)
        )

    async def ListSharedDevices(
        self, request: pb.ListSharedDevicesRequest, context: Context
    ) -> AsyncIterator[pb.ListSharedDevicesResponse]:
        async for some in self.door.listed(
            context, lambda who: map(self._device, self.shared_devices.list_all(actor=who.actor))
        ):
            yield pb.ListSharedDevicesResponse(devices=some)

    async def SignOutSharedDevice(
        self, request: pb.SignOutSharedDeviceRequest, context: Context
    ) -> pb.SignOutSharedDeviceResponse:
        found = await self.door.call(
            context, lambda who: self.shared_devices.sign_out(request.device_id, who)
        )
        return pb.SignOutSharedDeviceResponse(device=self._device(SharedDeviceListing(found)))

    async def RemoveSharedDevice(
        self, request: pb.RemoveSharedDeviceRequest, context: Context
    ) -> pb.RemoveSharedDeviceResponse:
        gone = await self.door.call(
            context,
            lambda who: self.shared_devices.remove(request.device_id, request.reason, who),
        )
        return pb.RemoveSharedDeviceResponse(device=self._device(SharedDeviceListing(gone)))

    def _device(self, found: SharedDeviceListing) -> pb.SharedDevice:
        device = found.device
        message = pb.SharedDevice(
            id=device.id,
            display_name=device.display_name,
            site=device.site,
            organisation_id=device.organisation_id,
            state=device.state_at(self.clock()),
            is_taken=found.seat is not None,
            holder=found.holder,
        )
        message.create_time.FromDatetime(device.create_time)
        if found.seat is not None and found.seat.end_time is not None:
            message.end_time.FromDatetime(found.seat.end_time)
        return message

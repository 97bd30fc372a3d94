"""The methods of `RegistryService` for holders' devices and for alerts."""

from __future__ import annotations

from cloud_keystore.model.approval_keys import ApprovalKeyKind, Passkey
from cloud_keystore.model.people import IdentityState
from cloud_keystore.people.alerts import AlertListing, Alerts
from cloud_keystore.people.devices import DeviceListing, Devices
from cloud_keystore.rpc.door import Door
from cloud_keystore.rpc.refusals import Context
from cloudcard.registry.v1 import registry_pb2 as pb


class DeviceMethods:
    """Translates between messages and use cases; a part of the registry's servicer."""

    __slots__ = ()

    door: Door
    devices: Devices
    alerts: Alerts

    async def ListDevices(
        self, request: pb.ListDevicesRequest, context: Context
    ) -> pb.ListDevicesResponse:
        found = await self.door.call(context, lambda _: self.devices.list_of(request.user_id))
        return pb.ListDevicesResponse(devices=[_device(each) for each in found])

    async def RemoveDevice(
        self, request: pb.RemoveDeviceRequest, context: Context
    ) -> pb.RemoveDeviceResponse:
        entry = await self.door.call(
            context,
            lambda operator: self.devices.remove(request.device_id, request.reason, operator),
        )
        return pb.RemoveDeviceResponse(device=_device(entry))

    async def ListAlerts(
        self, request: pb.ListAlertsRequest, context: Context
    ) -> pb.ListAlertsResponse:
        found = await self.door.call(
            context,
            lambda _: self.alerts.list_all(include_acknowledged=request.include_acknowledged),
        )
        return pb.ListAlertsResponse(alerts=[_alert(each) for each in found])

    async def AcknowledgeAlert(
        self, request: pb.AcknowledgeAlertRequest, context: Context
    ) -> pb.AcknowledgeAlertResponse:
        entry = await self.door.call(
            context, lambda operator: self.alerts.acknowledge(request.alert_id, operator)
        )
        return pb.AcknowledgeAlertResponse(alert=_alert(entry))


def _device(entry: DeviceListing) -> pb.Device:
    device, key = entry.device, entry.key
    kind = pb.DEVICE_KIND_UNSPECIFIED
    if key is not None:
        passkey = isinstance(key, Passkey)
        kind = pb.DeviceKind.ValueType(
            ApprovalKeyKind.PASSKEY if passkey else ApprovalKeyKind.NATIVE
        )
    message = pb.Device(
        id=device.id,
        display_name=device.display_name,
        kind=kind,
        state=IdentityState(device.state).value,
        backed_up=isinstance(key, Passkey) and key.backed_up,
    )
    message.create_time.FromDatetime(device.create_time)
    return message


def _alert(entry: AlertListing) -> pb.Alert:
    alert = entry.alert
    message = pb.Alert(
        id=alert.id,
        kind=alert.kind.value,
        card_serial=entry.card_serial,
        user_display_name=entry.user_display_name,
        text=alert.text,
    )
    message.create_time.FromDatetime(alert.create_time)
    if alert.acknowledge_time is not None:
        message.acknowledge_time.FromDatetime(alert.acknowledge_time)
    return message

"""`AppPinService`: the PINs that holders' devices ask for before a yes."""

from __future__ import annotations

from dataclasses import dataclass

from cloud_keystore.custody.credentials.app_pins import AppPins
from cloud_keystore.model.fields.app_pins import Tried
from cloud_keystore.rpc.door import Door
from cloud_keystore.rpc.refusals import Context
from cloudcard.authenticator.v1 import pins_pb2 as pb
from cloudcard.authenticator.v1 import pins_pb2_grpc


@dataclass(frozen=True, slots=True)
class AppPinServicer(pins_pb2_grpc.AppPinServiceServicer):
    """Translates between messages and the use case."""

    door: Door
    pins: AppPins

    async def GetAppPin(
        self, _request: pb.GetAppPinRequest, context: Context
    ) -> pb.GetAppPinResponse:
        found = await self.door.call(context, self.pins.look)
        return pb.GetAppPinResponse(is_set=found.is_set, tries_left=found.tries_left)

    async def ChooseAppPin(
        self, request: pb.ChooseAppPinRequest, context: Context
    ) -> pb.ChooseAppPinResponse:
        tried = await self.door.call(context, lambda device: self.pins.choose(request.pin, device))
        return pb.ChooseAppPinResponse(result=_tried(tried))

    async def ChangeAppPin(
        self, request: pb.ChangeAppPinRequest, context: Context
    ) -> pb.ChangeAppPinResponse:
        tried = await self.door.call(
            context, lambda device: self.pins.change(request.old_pin, request.new_pin, device)
        )
        return pb.ChangeAppPinResponse(result=_tried(tried))

    async def CheckAppPin(
        self, request: pb.CheckAppPinRequest, context: Context
    ) -> pb.CheckAppPinResponse:
        tried = await self.door.call(
            context, lambda device: self.pins.check(request.pin, request.request_id, device)
        )
        return pb.CheckAppPinResponse(result=_tried(tried))

    async def ResetAppPin(
        self, request: pb.ResetAppPinRequest, context: Context
    ) -> pb.ResetAppPinResponse:
        tried = await self.door.call(
            context, lambda device: self.pins.reset(request.code, request.new_pin, device)
        )
        return pb.ResetAppPinResponse(result=_tried(tried))


def _tried(found: Tried) -> pb.TriedAppPin:
    if found.is_right:
        return pb.TriedAppPin(is_right=True)
    if found.rule:
        return pb.TriedAppPin(policy_violation=found.rule)
    return pb.TriedAppPin(tries_left=found.tries_left)

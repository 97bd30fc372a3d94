"""`HolderService`: what holders do about themselves on a device."""

from __future__ import annotations

from dataclasses import dataclass

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.people import Identity
from cloud_keystore.model.portal.assents import AssentState
from cloud_keystore.model.portal.questions import Question
from cloud_keystore.people.devices import Devices
from cloud_keystore.people.portal.addresses import Addresses
from cloud_keystore.people.portal.assents import Assents
from cloud_keystore.people.portal.passwords import Passwords
from cloud_keystore.people.portal.questions import Questions
from cloud_keystore.people.portal.second_phones import SecondPhones
from cloud_keystore.rpc.door import Door
from cloud_keystore.rpc.holders import asked, evidence
from cloud_keystore.rpc.refusals import Context
from cloudcard.authenticator.v1 import holder_pb2 as pb
from cloudcard.authenticator.v1 import holder_pb2_grpc

ANSWERS = (pb.PORTAL_ANSWER_YES, pb.PORTAL_ANSWER_NO, pb.PORTAL_ANSWER_NOT_ME)


@dataclass(frozen=True, slots=True)
class HolderServicer(holder_pb2_grpc.HolderServiceServicer):
    """Translates between messages and use cases."""

    door: Door
    devices: Devices
    second_phones: SecondPhones
    addresses: Addresses
    portal_passwords: Passwords
    security_questions: Questions
    assents: Assents

    async def ListDevices(
        self, _request: pb.ListDevicesRequest, context: Context
    ) -> pb.ListDevicesResponse:
        found = await self.door.call(
            context,
            lambda device: [_device(each, device) for each in self.devices.list_own(device)],
        )
        return pb.ListDevicesResponse(devices=found)

    async def RemoveDevice(
        self, request: pb.RemoveDeviceRequest, context: Context
    ) -> pb.RemoveDeviceResponse:
        gone = await self.door.call(
            context,
            lambda device: _device(self.devices.remove_own(request.device_id, device), device),
        )
        return pb.RemoveDeviceResponse(device=gone)

    async def SendDeviceCode(
        self, _request: pb.SendDeviceCodeRequest, context: Context
    ) -> pb.SendDeviceCodeResponse:
        sent = await self.door.call(context, self.second_phones.send)
        response = pb.SendDeviceCodeResponse(email=sent.address)
        response.expire_time.FromDatetime(sent.expire_time)
        return response

    async def InviteDevice(
        self, request: pb.InviteDeviceRequest, context: Context
    ) -> pb.InviteDeviceResponse:
        found = await self.door.call(
            context, lambda device: self.second_phones.invite(request.code, device)
        )
        if found.token is None:
            return pb.InviteDeviceResponse(tries_left=found.tries_left)
        response = pb.InviteDeviceResponse(token=found.token.text)
        response.expire_time.FromDatetime(found.token.expire_time)
        return response

    async def SendAddressCode(
        self, _request: pb.SendAddressCodeRequest, context: Context
    ) -> pb.SendAddressCodeResponse:
        sent = await self.door.call(context, self.addresses.send_own)
        response = pb.SendAddressCodeResponse(email=sent.address)
        response.expire_time.FromDatetime(sent.expire_time)
        return response

    async def VerifyAddress(
        self, request: pb.VerifyAddressRequest, context: Context
    ) -> pb.VerifyAddressResponse:
        found = await self.door.call(
            context, lambda device: self.addresses.confirm_own(request.code, device)
        )
        return pb.VerifyAddressResponse(
            email=found.email, is_verified=found.is_verified, tries_left=found.tries_left
        )

    async def GetPortalAccess(
        self, _request: pb.GetPortalAccessRequest, context: Context
    ) -> pb.GetPortalAccessResponse:
        found = await self.door.call(context, self.portal_passwords.look_own)
        return pb.GetPortalAccessResponse(
            is_offered=found.is_offered,
            answers_needed=found.answers_needed,
            email=found.email,
            is_email_verified=found.is_email_verified,
            has_password=found.has_password,
            questions=found.questions,
            next_email=found.next_email,
        )

    async def SetPortalPassword(
        self, request: pb.SetPortalPasswordRequest, context: Context
    ) -> pb.SetPortalPasswordResponse:
        chosen = await self.door.call(
            context, lambda device: self.portal_passwords.set_own(request.password, device)
        )
        return pb.SetPortalPasswordResponse(is_set=chosen.is_set, policy_violation=chosen.rule)

    async def SetSecurityQuestions(
        self, request: pb.SetSecurityQuestionsRequest, context: Context
    ) -> pb.SetSecurityQuestionsResponse:
        chosen = tuple(Question(each.question, each.answer) for each in request.questions)
        await self.door.call(
            context, lambda device: self.security_questions.set_own(chosen, device)
        )
        return pb.SetSecurityQuestionsResponse()

    async def ListPortalQuestions(
        self, _request: pb.ListPortalQuestionsRequest, context: Context
    ) -> pb.ListPortalQuestionsResponse:
        found = await self.door.call(context, self.assents.waiting)
        return pb.ListPortalQuestionsResponse(questions=map(asked.question, found))

    async def AnswerPortalQuestion(
        self, request: pb.AnswerPortalQuestionRequest, context: Context
    ) -> pb.AnswerPortalQuestionResponse:
        state = await self.door.call(context, lambda device: self._answer(request, device))
        return pb.AnswerPortalQuestionResponse(is_agreed=state is AssentState.AGREED)

    def _answer(self, request: pb.AnswerPortalQuestionRequest, device: Identity) -> AssentState:
        if request.answer not in ANSWERS:
            raise InvalidInput("answer is neither YES, NO nor NOT_ME")
        return self.assents.answer(
            request.question_id,
            request.number,
            device,
            agrees=request.answer == pb.PORTAL_ANSWER_YES,
            is_me=request.answer != pb.PORTAL_ANSWER_NOT_ME,
            signature=evidence.signature(request),
            assertion=evidence.assertion(request),
        )


def _device(found: Identity, asking: Identity) -> pb.Device:
    message = pb.Device(id=found.id, display_name=found.display_name, is_this=found.id == asking.id)
    message.create_time.FromDatetime(found.create_time)
    return message

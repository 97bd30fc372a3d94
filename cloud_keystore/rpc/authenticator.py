"""`AuthenticatorService`: what holders' devices call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from cloud_keystore.cards.life import CardListing, Life
from cloud_keystore.cards.unlocking import Unlocking
from cloud_keystore.custody.credentials.passcodes import Outcome, Passcodes
from cloud_keystore.custody.credentials.unlock_codes import UnlockCodes
from cloud_keystore.model.cards import ENDS_DAYS, days_left
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.passcodes import Mismatch, PolicyViolation, Unlocked, Verified
from cloud_keystore.model.people import Identity
from cloud_keystore.notify.wakeups import Wakeups
from cloud_keystore.operations.admitting import Admitting, OpenSignIn
from cloud_keystore.operations.deciding import Deciding
from cloud_keystore.operations.ringing import Answered, Ringing, Waiting, decision
from cloud_keystore.operations.sessions import OpenSession, Sessions
from cloud_keystore.people.alerts import AlertListing, Alerts
from cloud_keystore.people.phones import Phones
from cloud_keystore.people.portal.assents import Assents, Question
from cloud_keystore.people.surveys import Surveys
from cloud_keystore.rpc.door import Door, patience
from cloud_keystore.rpc.holders import asked, evidence
from cloud_keystore.rpc.refusals import Context
from cloudcard.approval.v1 import approval_pb2
from cloudcard.authenticator.v1 import authenticator_pb2 as pb
from cloudcard.authenticator.v1 import authenticator_pb2_grpc


@dataclass(frozen=True, slots=True)
class AuthenticatorServicer(authenticator_pb2_grpc.AuthenticatorServiceServicer):
    """Translates between messages and use cases."""

    door: Door
    cards: Life
    unlocking: Unlocking
    alerts: Alerts
    assents: Assents
    passcodes: Passcodes
    unlock_codes: UnlockCodes
    surveys: Surveys
    phones: Phones
    deciding: Deciding
    admitting: Admitting
    sessions: Sessions
    wakeups: Wakeups
    clock: Clock

    async def WatchRequests(
        self, request: pb.WatchRequestsRequest, context: Context
    ) -> AsyncIterator[pb.WatchRequestsResponse]:
        async with self.door.stream(context) as device:
            sign_ins = pb.CAPABILITY_SIGN_IN in request.capabilities
            documents = pb.CAPABILITY_DOCUMENTS in request.capabilities
            asks = pb.CAPABILITY_PORTAL_QUESTIONS in request.capabilities
            tells_unlocks = pb.CAPABILITY_UNLOCKS in request.capabilities
            ringing, told = dict[str, Waiting](), set[str]()
            questions: Sequence[Question] | None = None
            unlocks: Sequence[str] | None = None
            with self.wakeups.subscribe(device.user_id or device.id) as subscription:
                while True:
                    found, alerts, waits, to_unlock = await self.door.look(
                        lambda: (
                            self._ringing.waiting(device, sign_ins=sign_ins, documents=documents),
                            self.alerts.told_to(device),
                            self.assents.waiting(device) if asks else None,
                            self.unlocking.waiting(device) if tells_unlocks else None,
                        )
                    )
                    waiting = {each.id: each for each in found}
                    for gone in sorted(ringing.keys() - waiting.keys()):
                        closed = await self._closed(ringing[gone], device)
                        yield pb.WatchRequestsResponse(closed=closed)
                    for new in sorted(waiting.keys() - ringing.keys()):
                        shown = await self.door.look(partial(self._request, waiting[new], device))
                        yield pb.WatchRequestsResponse(request=shown)
                    ringing = waiting
                    for each in alerts:
                        if each.alert.id not in told:
                            yield pb.WatchRequestsResponse(alert=_alert(each))
                    told = {each.alert.id for each in alerts}
                    if waits is not None and waits != questions:
                        yield pb.WatchRequestsResponse(questions=asked.all_of(waits))
                    if to_unlock is not None and to_unlock != unlocks:
                        named = pb.WaitingUnlocks(card_serials=to_unlock)
                        yield pb.WatchRequestsResponse(unlocks=named)
                    questions, unlocks = waits, to_unlock
                    await subscription.wait(patience())

    async def GetRequest(
        self, request: pb.GetRequestRequest, context: Context
    ) -> pb.GetRequestResponse:
        shown = await self.door.call(
            context,
            lambda device: self._request(self._ringing.named(request.operation_id, device), device),
        )
        return pb.GetRequestResponse(request=shown)

    async def ClaimQrCode(
        self, request: pb.ClaimQrCodeRequest, context: Context
    ) -> pb.ClaimQrCodeResponse:
        shown = await self.door.call(
            context,
            lambda device: self._request(
                self._ringing.claimed(request.qr_text, request.card_serial, device), device
            ),
        )
        return pb.ClaimQrCodeResponse(request=shown)

    async def Decide(self, request: pb.DecideRequest, context: Context) -> pb.DecideResponse:
        state = await self.door.call(
            context,
            lambda device: self._ringing.decide(
                Answered(
                    request.operation_id,
                    decision(request.decision),
                    request.number,
                    evidence.signature(request),
                    request.sign_in,
                    evidence.assertion(request),
                ),
                device,
            ),
        )
        return pb.DecideResponse(state=approval_pb2.OperationState.ValueType(state))

    async def ListCards(
        self, request: pb.ListCardsRequest, context: Context
    ) -> pb.ListCardsResponse:
        entries = await self.door.call(context, lambda device: self.cards.list_of(device))
        return pb.ListCardsResponse(cards=[_holder_card(each, self.clock()) for each in entries])

    async def ListSessions(
        self, _request: pb.ListSessionsRequest, context: Context
    ) -> pb.ListSessionsResponse:
        found = await self.door.call(context, self.sessions.list_open)
        return pb.ListSessionsResponse(sessions=[_session(each) for each in found])

    async def EndSession(
        self, request: pb.EndSessionRequest, context: Context
    ) -> pb.EndSessionResponse:
        await self.door.call(context, lambda device: self.sessions.end(request.session_id, device))
        return pb.EndSessionResponse()

    async def ListSignIns(
        self, _request: pb.ListSignInsRequest, context: Context
    ) -> pb.ListSignInsResponse:
        found = await self.door.call(context, self.admitting.list_open)
        return pb.ListSignInsResponse(sign_ins=[_sign_in(each) for each in found])

    async def EndSignIn(
        self, request: pb.EndSignInRequest, context: Context
    ) -> pb.EndSignInResponse:
        await self.door.call(context, lambda device: self.admitting.end(request.sign_in_id, device))
        return pb.EndSignInResponse()

    async def SetPasscode(
        self, request: pb.SetPasscodeRequest, context: Context
    ) -> pb.SetPasscodeResponse:
        puk = await self.door.call(
            context,
            lambda device: self.passcodes.set_first(request.card_serial, request.passcode, device),
        )
        return pb.SetPasscodeResponse(puk=puk)

    async def ChangePasscode(
        self, request: pb.ChangePasscodeRequest, context: Context
    ) -> pb.ChangePasscodeResponse:
        outcome = await self.door.call(
            context,
            lambda device: self.passcodes.change_own(
                request.card_serial, request.old_passcode, request.new_passcode, device
            ),
        )
        return pb.ChangePasscodeResponse(result=_new_passcode(outcome))

    async def ResetPasscode(
        self, request: pb.ResetPasscodeRequest, context: Context
    ) -> pb.ResetPasscodeResponse:
        outcome = await self.door.call(
            context,
            lambda device: self.passcodes.reset_own(
                request.card_serial, request.puk, request.new_passcode, device
            ),
        )
        return pb.ResetPasscodeResponse(result=_new_passcode(outcome))

    async def UseUnlockCode(
        self, request: pb.UseUnlockCodeRequest, context: Context
    ) -> pb.UseUnlockCodeResponse:
        outcome = await self.door.call(
            context,
            lambda device: self.unlock_codes.use(
                request.card_serial, request.code, request.new_passcode, device
            ),
        )
        if isinstance(outcome, Unlocked):
            result = pb.NewPasscodeResult(is_set=True)
            return pb.UseUnlockCodeResponse(result=result, puk=outcome.puk)
        return pb.UseUnlockCodeResponse(result=_new_passcode(outcome))

    async def SendPhoneCode(
        self, _request: pb.SendPhoneCodeRequest, context: Context
    ) -> pb.SendPhoneCodeResponse:
        sent = await self.door.call(context, self.phones.send_own)
        response = pb.SendPhoneCodeResponse(phone=sent.phone)
        response.expire_time.FromDatetime(sent.expire_time)
        return response

    async def VerifyPhone(
        self, request: pb.VerifyPhoneRequest, context: Context
    ) -> pb.VerifyPhoneResponse:
        found = await self.door.call(
            context, lambda device: self.phones.confirm_own(request.code, device)
        )
        return pb.VerifyPhoneResponse(
            phone=found.phone, is_verified=found.is_verified, tries_left=found.tries_left
        )

    async def GetSurvey(
        self, _request: pb.GetSurveyRequest, context: Context
    ) -> pb.GetSurveyResponse:
        survey = await self.door.call(context, self.surveys.find)
        return pb.GetSurveyResponse(
            is_due=survey.is_due,
            card_serial=survey.card_serial,
            authentications=survey.authentications,
        )

    async def AnswerSurvey(
        self, request: pb.AnswerSurveyRequest, context: Context
    ) -> pb.AnswerSurveyResponse:
        score = request.score if request.HasField("score") else None
        await self.door.call(
            context, lambda device: self.surveys.answer(score, request.comment, device)
        )
        return pb.AnswerSurveyResponse()

    async def AgreeToUnlock(
        self, request: pb.AgreeToUnlockRequest, context: Context
    ) -> pb.AgreeToUnlockResponse:
        unlocked = await self.door.call(
            context,
            lambda device: self.unlocking.agree(
                request.card_serial,
                device,
                request.passkey_assertion.signature,
                evidence.answer(request.passkey_assertion)
                if request.HasField("passkey_assertion")
                else None,
            ),
        )
        return pb.AgreeToUnlockResponse(card=_holder_card(unlocked, self.clock()))

    @property
    def _ringing(self) -> Ringing:
        return Ringing(self.deciding, self.admitting, self.clock)

    def _request(self, waiting: Waiting, device: Identity) -> pb.Request:
        shown = self._ringing.shown(waiting, device)
        return pb.Request(
            operation_id=shown.operation_id,
            payload=shown.payload,
            keystore_signature=shown.signature,
        )

    async def _closed(self, waiting: Waiting, device: Identity) -> pb.ClosedRequest:
        state = await self.door.look(lambda: self._ringing.closed(waiting, device))
        return pb.ClosedRequest(
            operation_id=waiting.id, state=approval_pb2.OperationState.ValueType(state)
        )


def _holder_card(entry: CardListing, now: datetime) -> pb.HolderCard:
    message = pb.HolderCard(
        serial=entry.card.serial,
        state=entry.card.state,
        passcode_state=entry.passcode_state,
        unlock_id=entry.unlock_id,
    )
    message.expire_time.FromDatetime(entry.card.expire_time)
    if entry.card.expire_time - now <= timedelta(days=max(ENDS_DAYS)):
        message.days_left = days_left(entry.card, now)
    return message


def _new_passcode(outcome: Outcome) -> pb.NewPasscodeResult:
    match outcome:
        case Verified():
            return pb.NewPasscodeResult(is_set=True)
        case Mismatch(tries):
            return pb.NewPasscodeResult(tries_left=tries)
        case PolicyViolation(rule):
            return pb.NewPasscodeResult(policy_violation=rule)


def _alert(entry: AlertListing) -> pb.HolderAlert:
    alert = entry.alert
    message = pb.HolderAlert(id=alert.id, card_serial=entry.card_serial, text=alert.text)
    message.create_time.FromDatetime(alert.create_time)
    return message


def _session(found: OpenSession) -> pb.Session:
    message = pb.Session(
        id=found.session.id,
        card_serial=found.card_serial,
        key_ref=found.key_ref,
        key_use=approval_pb2.KeyUse.ValueType(found.session.key_use),
        workstation=found.workstation,
        site=found.site,
        uses_left=found.session.uses_left,
    )
    message.expire_time.FromDatetime(found.session.expire_time)
    return message


def _sign_in(found: OpenSignIn) -> pb.SignIn:
    sign_in = found.sign_in
    message = pb.SignIn(
        id=sign_in.id,
        card_serial=found.card_serial,
        workstation=found.workstation,
        site=found.site,
    )
    message.approve_time.FromDatetime(sign_in.approve_time or sign_in.create_time)
    message.expire_time.FromDatetime(sign_in.expire_time)
    return message

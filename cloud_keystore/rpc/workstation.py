"""`WorkstationService`: what readers call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from hashlib import sha256

from card_os.uses import KeyUse
from cloud_keystore.approval.payload import session_terms
from cloud_keystore.cards.images import Images
from cloud_keystore.cards.spine.tickets import Tickets
from cloud_keystore.custody.credentials.data_objects import DataObjects
from cloud_keystore.custody.credentials.passcodes import Outcome, Passcodes
from cloud_keystore.custody.credentials.secure_messaging import SecureMessaging
from cloud_keystore.custody.use.activation import Activation, Performed
from cloud_keystore.custody.use.using_sessions import Used, UseRequest, UsingSessions
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields.problems import Problem
from cloud_keystore.model.operations import FINAL, Channel, Operation, Shown, State
from cloud_keystore.model.passcodes import Mismatch, PolicyViolation, Verified
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.model.sessions import Session
from cloud_keystore.model.sign_ins import State as SignInState
from cloud_keystore.model.sign_ins import Why
from cloud_keystore.notify.wakeups import Wakeups
from cloud_keystore.operations.asking import Ask, Asking
from cloud_keystore.operations.signing_in import Seen, SigningIn
from cloud_keystore.people.workstations.problems import Problems
from cloud_keystore.rpc import calls, card_image
from cloud_keystore.rpc.connections.first_messages import Messages
from cloud_keystore.rpc.door import Door, patience
from cloud_keystore.rpc.gathering import Gatherer
from cloud_keystore.rpc.refusals import Context
from cloud_keystore.rpc.streaming import messages
from cloud_keystore.rpc.streaming.uses import UseStreams
from cloud_keystore.rpc.streaming.watches import WatchStreams
from cloudcard.approval.v1 import approval_pb2
from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard.workstation.v1 import workstation_pb2_grpc


@dataclass(frozen=True, slots=True)
class WorkstationServicer(workstation_pb2_grpc.WorkstationServiceServicer):
    """Translates between messages and use cases."""

    door: Door
    images: Images
    data_objects: DataObjects
    passcodes: Passcodes
    asking: Asking
    activation: Activation
    sessions: UsingSessions
    session_uses: Gatherer[UseRequest, Used]
    use_streams: UseStreams
    watch_streams: WatchStreams
    secure_messaging: SecureMessaging
    tickets: Tickets
    signing_in: SigningIn
    problems: Problems
    wakeups: Wakeups
    clock: Clock

    async def GetCard(self, request: pb.GetCardRequest, context: Context) -> pb.GetCardResponse:
        image = await self.door.call(context, lambda _: self.images.read(request.card_serial))
        return pb.GetCardResponse(card=card_image.card(image))

    async def ReadObject(
        self, request: pb.ReadObjectRequest, context: Context
    ) -> pb.ReadObjectResponse:
        value = await self.door.call(
            context,
            lambda workstation: self.data_objects.read(
                request.card_serial, request.tag, request.passcode_proof, workstation
            ),
        )
        return pb.ReadObjectResponse(value=value)

    async def GetPasscodeStatus(
        self, request: pb.GetPasscodeStatusRequest, context: Context
    ) -> pb.GetPasscodeStatusResponse:
        status = await self.door.call(
            context, lambda _: self.passcodes.status(request.card_serial, request.key_ref)
        )
        return pb.GetPasscodeStatusResponse(
            tries_left=status.tries_left, most_tries=status.most_tries, factory=status.factory
        )

    async def VerifyPasscode(
        self, request: pb.VerifyPasscodeRequest, context: Context
    ) -> pb.VerifyPasscodeResponse:
        outcome = await self.door.call(
            context,
            lambda workstation: self.passcodes.verify(
                request.card_serial, request.key_ref, request.passcode, workstation
            ),
        )
        return pb.VerifyPasscodeResponse(result=_result(outcome))

    async def ChangePasscode(
        self, request: pb.ChangePasscodeRequest, context: Context
    ) -> pb.ChangePasscodeResponse:
        outcome = await self.door.call(
            context,
            lambda workstation: self.passcodes.change(
                request.card_serial,
                request.key_ref,
                request.old_passcode,
                request.new_passcode,
                workstation,
            ),
        )
        return pb.ChangePasscodeResponse(result=_result(outcome))

    async def ResetPasscode(
        self, request: pb.ResetPasscodeRequest, context: Context
    ) -> pb.ResetPasscodeResponse:
        outcome = await self.door.call(
            context,
            lambda workstation: self.passcodes.reset(
                request.card_serial, request.puk, request.new_passcode, workstation
            ),
        )
        return pb.ResetPasscodeResponse(result=_result(outcome))

    async def EstablishSessionKeys(
        self, request: pb.EstablishSessionKeysRequest, context: Context
    ) -> pb.EstablishSessionKeysResponse:
        secret = await self.door.call(
            context,
            lambda workstation: self.secure_messaging.agree(
                request.card_serial, request.cipher_suite, request.point, workstation
            ),
        )
        return pb.EstablishSessionKeysResponse(secret=secret)

    async def ReportTicket(
        self, request: pb.ReportTicketRequest, context: Context
    ) -> pb.ReportTicketResponse:
        await self.door.call(
            context,
            lambda workstation: self.tickets.report(
                request.card_serial, request.ticket, workstation
            ),
        )
        return pb.ReportTicketResponse()

    async def CreateOperation(
        self, request: pb.CreateOperationRequest, context: Context
    ) -> pb.CreateOperationResponse:
        operation = await self.door.call(
            context,
            lambda workstation: self._operation(
                self.asking.create(_ask(request), workstation), workstation
            ),
        )
        return pb.CreateOperationResponse(operation=operation)

    async def WatchOperation(
        self, request: pb.WatchOperationRequest, context: Context
    ) -> AsyncIterator[pb.WatchOperationResponse]:
        async with self.door.stream(context) as workstation:
            sent: State | None = None
            qr_text: str | None = None
            with self.wakeups.subscribe(request.operation_id) as subscription:
                while sent not in FINAL and sent is not State.APPROVED:
                    found = await self.door.look(
                        lambda: self.asking.find(request.operation_id, workstation)
                    )
                    now = self.clock()
                    state = found.state_at(now)
                    if state is sent:
                        await subscription.wait(patience())
                        continue
                    sent = state
                    if qr_text is None:  # it stays the same
                        qr_text = (
                            await self.door.look(partial(self._qr_text, found, workstation))
                            if Channel.QR in found.channels
                            else ""
                        )
                    shown = Shown.of(found, now, qr_text)
                    yield pb.WatchOperationResponse(operation=messages.operation(shown))

    async def WatchOperations(  # type: ignore[override]  # it writes by the context
        self, asked: Messages, context: Context
    ) -> None:
        await self.watch_streams.serve(asked, context)

    async def PerformOperation(
        self, request: pb.PerformOperationRequest, context: Context
    ) -> pb.PerformOperationResponse:
        performed = await self.door.call(
            context,
            lambda workstation: self.activation.perform(
                request.operation_id, request.inputs, workstation
            ),
        )
        return _performed(performed)

    async def CancelOperation(
        self, request: pb.CancelOperationRequest, context: Context
    ) -> pb.CancelOperationResponse:
        operation = await self.door.call(
            context,
            lambda workstation: self._operation(
                self.asking.cancel(request.operation_id, workstation), workstation
            ),
        )
        return pb.CancelOperationResponse(operation=operation)

    async def UseSession(
        self, request: pb.UseSessionRequest, context: Context
    ) -> pb.UseSessionResponse:
        call = calls.current()
        inputs = tuple(request.inputs)
        used = await self.door.gathered(
            context,
            lambda certificate: self.session_uses.call(
                UseRequest(
                    request.session_id, request.request_id, inputs, certificate, call.trace_id
                )
            ),
        )
        call.role, call.identity_id = Role.WORKSTATION.name.lower(), used.workstation_id
        return pb.UseSessionResponse(results=used.results, uses_left=used.uses_left)

    async def UseSessions(  # type: ignore[override]  # it writes by the context
        self, asked: Messages, context: Context
    ) -> None:
        await self.use_streams.serve(asked, context)

    async def EndSession(
        self, request: pb.EndSessionRequest, context: Context
    ) -> pb.EndSessionResponse:
        await self.door.call(
            context, lambda workstation: self.sessions.end(request.session_id, workstation)
        )
        return pb.EndSessionResponse()

    async def BeginSignIn(
        self, request: pb.BeginSignInRequest, context: Context
    ) -> pb.BeginSignInResponse:
        message = await self.door.call(
            context,
            lambda workstation: self._sign_in(
                self.signing_in.begin(request.request_id, request.user, workstation)
            ),
        )
        return pb.BeginSignInResponse(sign_in=message)

    async def WatchSignIn(
        self, request: pb.WatchSignInRequest, context: Context
    ) -> AsyncIterator[pb.WatchSignInResponse]:
        async with self.door.stream(context) as workstation:
            sent: tuple[SignInState, bytes] | None = None
            with self.wakeups.subscribe(request.sign_in_id) as subscription:
                while sent is None or sent[0] is not SignInState.ENDED:
                    message = await self.door.look(
                        lambda: self._sign_in(self.signing_in.find(request.sign_in_id, workstation))
                    )
                    now = SignInState(message.state), message.card_version
                    if now == sent:
                        await subscription.wait(patience())
                        continue
                    sent = now
                    yield pb.WatchSignInResponse(sign_in=message)

    async def EndSignIn(
        self, request: pb.EndSignInRequest, context: Context
    ) -> pb.EndSignInResponse:
        await self.door.call(
            context, lambda workstation: self.signing_in.end(request.sign_in_id, workstation)
        )
        return pb.EndSignInResponse()

    async def ReportProblems(
        self, request: pb.ReportProblemsRequest, context: Context
    ) -> pb.ReportProblemsResponse:
        def report(workstation: Identity) -> None:
            found = [
                Problem.of(each.check, each.name, each.failed, each.cause, each.fix)
                for each in request.problems
            ]
            self.problems.report(found, workstation)

        await self.door.call(context, report)
        return pb.ReportProblemsResponse()

    async def Ping(self, _request: pb.PingRequest, context: Context) -> pb.PingResponse:
        await self.door.greet(context)
        return pb.PingResponse()

    def _sign_in(self, seen: Seen) -> pb.SignIn:
        sign_in = seen.sign_in
        message = pb.SignIn(
            id=sign_in.id,
            state=pb.SignInState.ValueType(seen.state),
            number=sign_in.number,
            qr_text=seen.qr_text,
            card_serial=seen.card_serial,
        )
        if seen.card_serial:
            image = card_image.card(self.images.read(seen.card_serial))
            message.card_version = sha256(image.SerializeToString(deterministic=True)).digest()
        if seen.state is SignInState.ENDED and sign_in.approve_time is not None:
            message.reason = (sign_in.why or Why.TIME).value
        message.qr_expire_time.FromDatetime(sign_in.qr_expire_time)
        message.create_time.FromDatetime(sign_in.create_time)
        message.expire_time.FromDatetime(sign_in.expire_time)
        return message

    def _operation(self, operation: Operation, workstation: Identity) -> pb.Operation:
        qr_text = self._qr_text(operation, workstation)
        return messages.operation(Shown.of(operation, self.clock(), qr_text))

    def _qr_text(self, operation: Operation, workstation: Identity) -> str:
        if Channel.QR not in operation.channels:
            return ""
        return self.asking.qr_text(operation.id, workstation)


def _ask(request: pb.CreateOperationRequest) -> Ask:
    try:
        key_use = KeyUse(request.key_use)
        channels = frozenset(Channel(each) for each in request.channels)
    except ValueError:
        raise InvalidInput("key_use or a channel is one that this keystore does not know") from None
    return Ask(
        request_id=request.request_id,
        card_serial=request.card_serial,
        key_ref=request.key_ref,
        algorithm=request.algorithm,
        key_use=key_use,
        inputs=tuple(request.inputs),
        passcode_proof=request.passcode_proof,
        application=request.application,
        channels=channels,
        session=session_terms(request.session) if request.HasField("session") else None,
        documents=tuple(request.documents),
    )


def _performed(performed: Performed) -> pb.PerformOperationResponse:
    session = performed.session
    return pb.PerformOperationResponse(
        results=performed.results,
        session=None if session is None else _session(session, performed.key_ref),
    )


def _session(session: Session, key_ref: int) -> pb.Session:
    message = pb.Session(
        id=session.id,
        key_ref=key_ref,
        key_use=approval_pb2.KeyUse.ValueType(session.key_use),
        uses_left=session.uses_left,
    )
    message.expire_time.FromDatetime(session.expire_time)
    return message


def _result(outcome: Outcome) -> pb.PasscodeResult:
    match outcome:
        case Verified(proof):
            return pb.PasscodeResult(passcode_proof=proof)
        case Mismatch(tries):
            return pb.PasscodeResult(tries_left=tries)
        case PolicyViolation(rule):
            return pb.PasscodeResult(policy_violation=rule)

"""The key service at the keystore: the card's requests as calls over gRPC."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import grpc

from card_os.keys import (
    ChangePasscode,
    KeyRequest,
    KeyResult,
    KeyUse,
    PasscodeRequest,
    PasscodeStatus,
    Refusal,
    ResetPasscode,
    TriesLeft,
    UseKey,
    Verified,
    VerifyPasscode,
)
from card_os.management import CardKey
from card_os.piv import CardImage
from cloudcard.approval.v1 import approval_pb2
from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard.workstation.v1 import workstation_pb2_grpc
from reader_bridge.prompter import Prompter
from reader_bridge.refusals import refusal
from reader_bridge.remote_operation import CALL_SECONDS, Clock, RemoteOperation
from reader_bridge.repeats import Repeats
from reader_bridge.tasks import Cancellation

Channel: TypeAlias = approval_pb2.Channel.ValueType

PUSH = approval_pb2.CHANNEL_PUSH
QR = approval_pb2.CHANNEL_QR

KEY_USES: Mapping[KeyUse, approval_pb2.KeyUse.ValueType] = {
    KeyUse.SIGN: approval_pb2.KEY_USE_SIGN,
    KeyUse.DECRYPT: approval_pb2.KEY_USE_DECRYPT,
    KeyUse.AGREE: approval_pb2.KEY_USE_AGREE,
}


class RemoteKeys:
    """The keys and passcodes of one card.

    `channel` should notice by keepalive that the keystore has vanished. `channels` are the ways to
    the holder's phone, `application` what the phone shows as the asking program.
    """

    def __init__(
        self,
        channel: grpc.Channel,
        card_serial: str,
        prompter: Prompter,
        channels: Sequence[Channel] = (PUSH,),
        application: str = "",
        clock: Clock = time.monotonic,
    ) -> None:
        self._stub = workstation_pb2_grpc.WorkstationServiceStub(channel)
        self._serial = card_serial
        self._prompter = prompter
        self._channels = tuple(channels)
        self._application = application
        self._clock = clock
        self._repeats = Repeats(clock)

    def get_card(self) -> CardImage:
        """What the card shows. Raises grpc.RpcError, and ValueError for what no card can be."""
        request = pb.GetCardRequest(card_serial=self._serial)
        card = self._stub.GetCard(request, timeout=CALL_SECONDS).card
        return CardImage(
            serial=card.serial,
            guid=card.guid,
            objects={each.tag: each.value for each in card.objects},
            keys={each.key_ref: CardKey(int(each.algorithm)) for each in card.keys},
        )

    def perform(self, request: KeyRequest, cancellation: Cancellation) -> KeyResult:
        """Bring a request to the keystore. An approval is waited for up to 130 seconds."""
        if isinstance(request, UseKey):
            return self._use(request, cancellation)
        if not isinstance(request, PasscodeRequest):
            return Refusal.DENIED
        try:
            result = self._passcode(request)
        except grpc.RpcError as error:
            return refusal(error)
        if isinstance(result, Verified):
            self._repeats.forget()
        return result

    def _use(self, request: UseKey, cancellation: Cancellation) -> KeyResult:
        if self._repeats.has(request):
            return Refusal.UNAVAILABLE
        operation = RemoteOperation(self._stub, self._prompter, cancellation, self._clock)
        result = operation.run(self._operation(request))
        if result is Refusal.UNAVAILABLE:
            self._repeats.remember(request)
        return result

    def _passcode(self, request: PasscodeRequest) -> KeyResult:
        """Never repeated: the try may have been counted although its answer was lost.

        Hence `wait_for_ready`: while the connection is being made again, the call waits unsent.
        """
        match request:
            case PasscodeStatus():
                status = self._stub.GetPasscodeStatus(
                    pb.GetPasscodeStatusRequest(card_serial=self._serial, key_ref=request.key_ref),
                    timeout=CALL_SECONDS,
                )
                return TriesLeft(status.tries_left)
            case VerifyPasscode():
                verified = self._stub.VerifyPasscode(
                    pb.VerifyPasscodeRequest(
                        card_serial=self._serial,
                        key_ref=request.key_ref,
                        passcode=request.passcode,
                    ),
                    timeout=CALL_SECONDS,
                    wait_for_ready=True,
                )
                return _outcome(verified.result)
            case ChangePasscode():
                changed = self._stub.ChangePasscode(
                    pb.ChangePasscodeRequest(
                        card_serial=self._serial,
                        key_ref=request.key_ref,
                        old_passcode=request.old,
                        new_passcode=request.new,
                    ),
                    timeout=CALL_SECONDS,
                    wait_for_ready=True,
                )
                return _outcome(changed.result)
            case ResetPasscode():
                reset = self._stub.ResetPasscode(
                    pb.ResetPasscodeRequest(
                        card_serial=self._serial, puk=request.puk, new_passcode=request.new
                    ),
                    timeout=CALL_SECONDS,
                    wait_for_ready=True,
                )
                return _outcome(reset.result)

    def _operation(self, request: UseKey) -> pb.CreateOperationRequest:
        return pb.CreateOperationRequest(
            request_id=request.request_id,
            card_serial=self._serial,
            key_ref=request.key_ref,
            algorithm=approval_pb2.Algorithm.ValueType(request.algorithm),
            key_use=KEY_USES[request.use],
            input=request.input,
            passcode_proof=request.proof,
            application=self._application,
            channels=self._channels,
        )


def _outcome(result: pb.PasscodeResult) -> KeyResult:
    match result.WhichOneof("outcome"):
        case "passcode_proof":
            return Verified(result.passcode_proof)
        case "tries_left":
            return TriesLeft(result.tries_left)
        case "policy_violation":
            return Refusal.MALFORMED
        case _:  # of a newer keystore
            return Refusal.UNAVAILABLE

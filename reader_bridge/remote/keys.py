"""The key service at the keystore: the card's key requests become calls over gRPC."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import grpc
import structlog

from card_os.administration import CardKey
from card_os.keys import (
    ApplicationRequest,
    ChangePasscode,
    KeyRequest,
    KeyResult,
    PasscodeRequest,
    PasscodeStatus,
    ReadObject,
    Refusal,
    ResetPasscode,
    TriesLeft,
    UseKey,
    Verified,
    VerifyPasscode,
)
from card_os.piv import CardImage, Features
from card_os.piv.names import KeyRef
from cloudcard.approval.v1 import approval_pb2
from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard.workstation.v1 import workstation_pb2_grpc
from reader_bridge.prompter import Prompter
from reader_bridge.remote.administration import RemoteAdministration, card_key
from reader_bridge.remote.operation import Clock, RemoteOperation
from reader_bridge.remote.refusals import PUK_REFUSED, reason, refusal, retry_seconds, said
from reader_bridge.remote.repeats import Repeats
from reader_bridge.remote.session import KEY_USES, RemoteSession
from reader_bridge.remote.stub import CALL_SECONDS, Stub
from reader_bridge.remote.uses import Uses
from reader_bridge.remote.watches import Watches
from reader_bridge.tasks import Cancellation

Channel: TypeAlias = approval_pb2.Channel.ValueType

USUAL_TRIES = 3  # after the right passcode, if the keystore does not say

PUSH = approval_pb2.CHANNEL_PUSH
QR = approval_pb2.CHANNEL_QR


log = structlog.get_logger()


class RemoteKeys:
    """The keys and passcodes of one card.

    `channel` should use keepalive, to notice if the keystore vanishes. `channels` are the approval
    channels, `application` is the asking application's name on the phone, and `workstation` this
    computer's. With `sessions`, a session that the keystore offers is asked for when the PIN is
    verified. Cards that share a channel share their `uses`
    and `watches`.
    """

    def __init__(
        self,
        channel: grpc.Channel,
        card_serial: str,
        prompter: Prompter,
        channels: Sequence[Channel] = (PUSH,),
        application: str = "",
        clock: Clock = time.monotonic,
        *,
        sessions: bool = True,
        workstation: str = "",
        uses: Uses | None = None,
        watches: Watches | None = None,
    ) -> None:
        self._service = workstation_pb2_grpc.WorkstationServiceStub(channel)
        self._stub = Stub(card_serial)
        self._administration = RemoteAdministration(channel, card_serial)
        self._prompter = prompter
        self._channels = tuple(channels)
        self._application = application
        self._clock = clock
        self._workstation = workstation
        self._repeats = Repeats(clock)
        self.changes = 0  # that an administrator has made of the card through this reader
        self._sessions = sessions
        self._watches = watches or Watches(channel)
        self._session = RemoteSession(self._service, uses or Uses(channel), self._new_operation)

    def get_card(self) -> CardImage:
        """The card's image. Raises grpc.RpcError, and ValueError if no card can have this image."""
        card = self._stub.call(self._service.GetCard, pb.GetCardRequest()).card
        if self._sessions:
            self._session.learn(card)
        return CardImage(
            serial=card.serial,
            guid=card.guid,
            objects={each.tag: each.value for each in card.objects},
            keys=_keys(card),
            features=Features(
                algorithms=frozenset(int(each) for each in card.features.algorithms),
                management_algorithm=card.features.management_algorithm or None,
                global_pin=card.features.global_pin,
                extensions=card.features.extensions,
            ),
            verifiable_certificate=card.secure_messaging.certificate,
            factory_management_key=card.factory_management_key,
            withheld=frozenset(card.withheld_objects),
        )

    def perform(self, request: KeyRequest, cancellation: Cancellation) -> KeyResult:
        """Perform a request at the keystore; it waits for an approval for up to 130 seconds."""
        match request:
            case UseKey(key_ref=KeyRef.SECURE_MESSAGING):
                return self._agree(request)
            case UseKey():
                return self._use(request, cancellation)
            case PasscodeStatus() | VerifyPasscode() | ChangePasscode() | ResetPasscode():
                return self._check(request, cancellation)
            case ReadObject():
                return self._read(request)
            case ApplicationRequest():
                return Refusal.UNKNOWN_KEY  # the keystore has only keys of PIV
            case _:
                self.changes += 1
                return self._administration.perform(request)

    def reset(self) -> None:
        """End the card's session, because the card was reset or taken out."""
        self._session.end()

    def _check(self, request: PasscodeRequest, cancellation: Cancellation) -> KeyResult:
        deadline = self._clock() + CALL_SECONDS
        while True:
            try:
                result = self._passcode(request)
                break
            except grpc.RpcError as error:
                if reason(error) == PUK_REFUSED:
                    log.warning("the PUK was refused", why=said(error))
                    return TriesLeft(0)
                # A busy keystore says when to call again, and has not spent a try.
                asked = retry_seconds(error)
                if asked is None or self._clock() + asked >= deadline:
                    return refusal(error)
                if cancellation.wait(asked):
                    return Refusal.CANCELLED
        if isinstance(result, Verified):
            self._repeats.forget()
            if isinstance(request, VerifyPasscode):
                opening = pb.CreateOperationRequest(passcode_proof=result.proof)
                self._session.ask(self._addressed(opening), cancellation)
        return result

    def _agree(self, request: UseKey) -> KeyResult:
        """Agree on a secret with key 04, which needs no approval and spends nothing."""
        try:
            return self._stub.call(
                self._service.EstablishSessionKeys,
                pb.EstablishSessionKeysRequest(cipher_suite=request.algorithm, point=request.input),
            ).secret
        except grpc.RpcError as error:
            return refusal(error)

    def _read(self, request: ReadObject) -> KeyResult:
        """Get the contents of an object that the image does not hold."""
        asked = pb.ReadObjectRequest(tag=request.tag, passcode_proof=request.proof)
        try:
            return self._stub.call(self._service.ReadObject, asked).value
        except grpc.RpcError as error:
            return refusal(error)

    def _use(self, request: UseKey, cancellation: Cancellation) -> KeyResult:
        failed = self._repeats.why(request)
        if failed is not None:
            return failed
        result = self._session.use(request, cancellation)
        if result is None:
            operation = self._new_operation(cancellation)
            result = operation.run(self._operation(request))
            if operation.withdrawn and result is Refusal.CANCELLED:
                self._repeats.remember(request, result)
        if result is Refusal.UNAVAILABLE:
            self._repeats.remember(request, result)
        return result

    def _passcode(self, request: PasscodeRequest) -> KeyResult:
        """Perform a passcode request. A check is never repeated, because it can have spent a try
        although its answer was lost.
        """
        service = self._service
        match request:
            case PasscodeStatus():
                status = self._stub.call(
                    service.GetPasscodeStatus, pb.GetPasscodeStatusRequest(key_ref=request.key_ref)
                )
                most = status.most_tries or USUAL_TRIES
                return TriesLeft(status.tries_left, most, status.factory)
            case VerifyPasscode():
                verified = self._stub.call_once(
                    service.VerifyPasscode,
                    pb.VerifyPasscodeRequest(key_ref=request.key_ref, passcode=request.passcode),
                )
                return _outcome(verified.result)
            case ChangePasscode():
                changed = self._stub.call_once(
                    service.ChangePasscode,
                    pb.ChangePasscodeRequest(
                        key_ref=request.key_ref,
                        old_passcode=request.old,
                        new_passcode=request.new,
                    ),
                )
                return _outcome(changed.result)
            case ResetPasscode():
                reset = self._stub.call_once(
                    service.ResetPasscode,
                    pb.ResetPasscodeRequest(puk=request.puk, new_passcode=request.new),
                )
                return _outcome(reset.result)

    def _operation(self, request: UseKey) -> pb.CreateOperationRequest:
        return self._addressed(
            pb.CreateOperationRequest(
                request_id=request.request_id,
                key_ref=request.key_ref,
                algorithm=approval_pb2.Algorithm.ValueType(request.algorithm),
                key_use=KEY_USES[request.use],
                inputs=[request.input],
                passcode_proof=request.proof,
            )
        )

    def _addressed(self, asked: pb.CreateOperationRequest) -> pb.CreateOperationRequest:
        """Add the card, the asking application, and the approval channels."""
        asked.card_serial = self._stub.card_serial
        asked.application = self._application
        asked.channels.extend(self._channels)
        return asked

    def _new_operation(self, cancellation: Cancellation) -> RemoteOperation:
        traceparent = new_traceparent(os.urandom(24))
        log.info("key request", trace_id=traceparent[3:35], card=self._stub.card_serial)
        return RemoteOperation(
            self._service,
            self._watches,
            self._prompter,
            cancellation,
            self._clock,
            traceparent,
            self._workstation,
        )


def new_traceparent(random: bytes) -> str:
    """The start of a distributed trace, from 24 random bytes (W3C Trace Context, 3.2.2)."""
    return f"00-{random[:16].hex()}-{random[16:24].hex()}-01"


def _keys(card: pb.Card) -> Mapping[int, CardKey]:
    keys = {each.key_ref: card_key(each) for each in card.keys}
    if card.HasField("secure_messaging"):
        keys[KeyRef.SECURE_MESSAGING] = CardKey(card.secure_messaging.cipher_suite)
    return keys


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

"""An administrator's requests as calls, against a scripted keystore over real gRPC."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from card_os.administration import (
    AdministrationRequest,
    Administrator,
    AnswerChallenge,
    AttestKey,
    CardKey,
    Changed,
    GenerateKey,
    ImportKey,
    MoveKey,
    RequestChallenge,
    ResetCard,
    SetManagementKey,
    SetTries,
    WriteObject,
)
from card_os.keys import KeyResult, Refusal
from card_os.uses import PinPolicy, TouchPolicy
from cloudcard.administration.v1 import administration_pb2 as pb
from cloudcard.workstation.v1 import workstation_pb2
from reader_bridge.remote.administration import RemoteAdministration

SERVICE = pb.DESCRIPTOR.services_by_name["AdministrationService"]
Reply = Message | tuple[grpc.StatusCode, str]

P = b"proof"
ALWAYS, CACHED = PinPolicy.ALWAYS, TouchPolicy.CACHED
CALLS: list[tuple[AdministrationRequest, Message]] = [
    (
        RequestChallenge(0x0A, enciphered=True),
        pb.RequestChallengeRequest(card_serial="1", algorithm=0x0A, enciphered=True),
    ),
    (
        AnswerChallenge(0x0A, b"response", b"own"),
        pb.AnswerChallengeRequest(
            card_serial="1", algorithm=0x0A, response=b"response", challenge=b"own"
        ),
    ),
    (
        WriteObject(P, 0x5FC102, b"chuid"),
        pb.WriteObjectRequest(card_serial="1", proof=P, tag=0x5FC102, contents=b"chuid"),
    ),
    (
        GenerateKey(P, 0x9A, 0x11, ALWAYS, CACHED),
        pb.GenerateKeyRequest(
            card_serial="1", proof=P, key_ref=0x9A, algorithm=17, pin_policy=3, touch_policy=3
        ),
    ),
    (
        ImportKey(P, 0x9A, 0x11, b"scalar", ALWAYS, CACHED),
        pb.ImportKeyRequest(
            card_serial="1",
            proof=P,
            key_ref=0x9A,
            algorithm=17,
            private_key=b"scalar",
            pin_policy=3,
            touch_policy=3,
        ),
    ),
    (
        MoveKey(P, 0x9A, 0x82),
        pb.MoveKeyRequest(card_serial="1", proof=P, source=0x9A, destination=0x82),
    ),
    (MoveKey(P, 0x9A, None), pb.MoveKeyRequest(card_serial="1", proof=P, source=0x9A)),
    (
        SetManagementKey(P, 0x0C, b"key"),
        pb.SetManagementKeyRequest(card_serial="1", proof=P, algorithm=0x0C, key=b"key"),
    ),
    (
        SetTries(P, b"passcode's", 5, 6),
        pb.SetTriesRequest(
            card_serial="1", proof=P, passcode_proof=b"passcode's", pin_tries=5, puk_tries=6
        ),
    ),
    (ResetCard(), pb.ResetCardRequest(card_serial="1")),
    (AttestKey(0x9C), pb.AttestKeyRequest(card_serial="1", key_ref=0x9C)),
]


class Scripted:
    """Gives one reply to every call and remembers what was asked."""

    def __init__(self) -> None:
        self.reply: Reply | None = None
        self.asked: list[Message] = []
        self._server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.so_reuseport", 0)])
        handlers = {method.name: self._handler(method) for method in SERVICE.methods}
        handler = grpc.method_handlers_generic_handler(SERVICE.full_name, handlers)
        self._server.add_generic_rpc_handlers((handler,))
        self.channel = grpc.insecure_channel(
            f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}",
            options=[("grpc.use_local_subchannel_pool", 1)],
        )
        self._server.start()

    def stop(self) -> None:
        self.channel.close()
        self._server.stop(0).wait(10)

    def _handler(self, method: MethodDescriptor) -> grpc.RpcMethodHandler[Message, Message]:
        answer = GetMessageClass(method.output_type)

        def call(request: Message, context: grpc.ServicerContext) -> Message:
            self.asked.append(request)
            match self.reply:
                case (grpc.StatusCode() as code, str() as reason):
                    context.abort_with_status(refused(code, reason))
                case Message():
                    return self.reply
            return answer()

        return grpc.unary_unary_rpc_method_handler(
            call,
            request_deserializer=GetMessageClass(method.input_type).FromString,
            response_serializer=answer.SerializeToString,
        )


def refused(code: grpc.StatusCode, reason: str) -> grpc.Status:
    status = status_pb2.Status(code=code.value[0], message="the script says so")
    if reason:
        status.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason))
    return rpc_status.to_status(status)


@pytest.fixture
def keystore() -> Iterator[Scripted]:
    keystore = Scripted()
    yield keystore
    keystore.stop()


def perform(
    keystore: Scripted, request: AdministrationRequest, reply: Reply | None = None
) -> KeyResult:
    keystore.reply = reply
    return RemoteAdministration(keystore.channel, "1").perform(request)


@pytest.mark.parametrize(
    ("request_", "call"), CALLS, ids=[type(each).__name__ for each, _ in CALLS]
)
def test_each_request_is_one_call(
    keystore: Scripted, request_: AdministrationRequest, call: Message
) -> None:
    assert not isinstance(perform(keystore, request_), Refusal)
    assert keystore.asked == [call]


CODES = grpc.StatusCode
REFUSALS = [
    (CODES.PERMISSION_DENIED, "ADMINISTRATION_REFUSED", Refusal.DENIED),
    (CODES.PERMISSION_DENIED, "CHALLENGE_REJECTED", Refusal.DENIED),
    (CODES.RESOURCE_EXHAUSTED, "TOO_MANY_GUESSES", Refusal.DENIED),
    (CODES.RESOURCE_EXHAUSTED, "CARD_FULL", Refusal.FULL),
    (CODES.FAILED_PRECONDITION, "ADMINISTRATOR_NEEDED", Refusal.PASSCODE_NEEDED),
    (CODES.FAILED_PRECONDITION, "PASSCODE_NEEDED", Refusal.PASSCODE_NEEDED),
    (CODES.FAILED_PRECONDITION, "CARD_NOT_BLOCKED", Refusal.DENIED),
    (CODES.FAILED_PRECONDITION, "KEY_REFERENCE_TAKEN", Refusal.DENIED),
    (CODES.FAILED_PRECONDITION, "NOT_ATTESTED", Refusal.DENIED),
    (CODES.INVALID_ARGUMENT, "INVALID_INPUT", Refusal.MALFORMED),
    (CODES.INVALID_ARGUMENT, "MALFORMED_KEY_INPUT", Refusal.MALFORMED),
    (CODES.NOT_FOUND, "KEY_NOT_FOUND", Refusal.UNKNOWN_KEY),
    (CODES.UNIMPLEMENTED, "", Refusal.UNAVAILABLE),  # an older keystore
    (CODES.INTERNAL, "INTERNAL", Refusal.UNAVAILABLE),
    (CODES.UNAVAILABLE, "", Refusal.UNAVAILABLE),
    (CODES.DEADLINE_EXCEEDED, "", Refusal.UNAVAILABLE),
]


@pytest.mark.parametrize(("code", "reason", "refusal"), REFUSALS)
def test_what_a_status_means(
    keystore: Scripted, code: grpc.StatusCode, reason: str, refusal: Refusal
) -> None:
    assert perform(keystore, ResetCard(), (code, reason)) is refusal


@pytest.mark.parametrize(
    ("request_", "call"), CALLS, ids=[type(each).__name__ for each, _ in CALLS]
)
@pytest.mark.parametrize("code", [CODES.UNAVAILABLE, CODES.CANCELLED, CODES.UNKNOWN])
def test_nothing_is_sent_twice(
    keystore: Scripted, request_: AdministrationRequest, call: Message, code: grpc.StatusCode
) -> None:
    assert perform(keystore, request_, (code, "")) is Refusal.UNAVAILABLE
    assert keystore.asked == [call]


def test_a_challenge_and_its_answer(keystore: Scripted) -> None:
    reply = pb.RequestChallengeResponse(challenge=b"challenge")
    assert perform(keystore, RequestChallenge(8, enciphered=False), reply) == b"challenge"
    answered = pb.AnswerChallengeResponse(proof=P, cryptogram=b"own")
    assert perform(keystore, AnswerChallenge(8, b""), answered) == Administrator(P, b"own")


def test_changes(keystore: Scripted) -> None:
    key = workstation_pb2.CardKey(
        key_ref=0x9A, algorithm=17, public_key=b"point", pin_policy=1, touch_policy=2, imported=True
    )
    reply = pb.GenerateKeyResponse(
        changes=pb.Changes(
            objects=[workstation_pb2.DataObject(tag=0x5FC102, value=b"chuid")],
            removed_objects=[0x5FC107],
            keys=[key],
            removed_keys=[0x9C],
            management_algorithm=0x0C,
        )
    )
    assert perform(keystore, GenerateKey(P, 0x9A, 0x11), reply) == Changed(
        {0x5FC102: b"chuid", 0x5FC107: None},
        {0x9A: CardKey(0x11, b"point", PinPolicy.NEVER, TouchPolicy.ALWAYS, True), 0x9C: None},
        0x0C,
    )


def test_no_changes(keystore: Scripted) -> None:
    assert perform(keystore, SetTries(P, P, 1, 1)) == Changed()


def test_a_certificate(keystore: Scripted) -> None:
    reply = pb.AttestKeyResponse(certificate=b"der")
    assert perform(keystore, AttestKey(0x9A), reply) == b"der"


@pytest.mark.parametrize("number", [-1, 2**32])
def test_numbers_that_no_message_holds(keystore: Scripted, number: int) -> None:
    assert perform(keystore, WriteObject(P, number, b"")) is Refusal.MALFORMED
    assert keystore.asked == []

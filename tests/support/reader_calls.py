"""What a reader calls at the keystore from card to session, recorded as bytes. The module runs with
the code of earlier commits too: tests/recording/reader_calls.py records with it what they did.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias

import grpc
from google.protobuf import descriptor_pb2, timestamp_pb2
from google.protobuf.message import Message

from card_os import keys as card_keys
from card_os.keys import KeyRequest, KeyResult, PasscodeStatus, UseKey, Verified, VerifyPasscode
from card_os.piv import CardImage
from card_os.uses import KeyUse
from cloudcard.approval.v1 import approval_pb2
from cloudcard.workstation.v1 import workstation_pb2
from reader_bridge.prompter import Outcome, Prompt
from reader_bridge.remote.refusals import reason, refusal
from reader_bridge.tasks import Cancellation

SERVICE = "cloudcard.workstation.v1.WorkstationService"
PASSCODE, WRONG = b"135790", b"864209"
TERMS = approval_pb2.SessionTerms(most_uses=3, seconds=600)  # that the policy allows
PIN, AUTHENTICATION, SIGNATURE, RETIRED = 0x80, 0x9A, 0x9C, 0x82
DIGEST, P256, PRINTED = b"\x11" * 32, 0x11, 0x5FC109
NOBODY = "1000000000000000"  # serial number of no card

Call: TypeAlias = grpc.ClientCallDetails


@dataclass(frozen=True)
class Spoken:
    """A call: its name, request, responses, and how it ended. Bytes are in hexadecimal digits."""

    method: str
    request: str
    responses: list[str] = field(default_factory=list)
    status: str = "OK"
    reason: str = ""


@dataclass(frozen=True)
class Recording:
    """What was called, and what the card was told in the end."""

    commit: str
    serial: str
    schema: str  # a FileDescriptorSet, base64
    calls: list[Spoken]
    results: list[str]

    def write(self, path: Path) -> None:
        """Store it as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Recording:
        """Read what `write` has stored."""
        found = json.loads(path.read_text())
        return cls(**{**found, "calls": [Spoken(**each) for each in found["calls"]]})


class Tape(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Notes the calls of a channel."""

    def __init__(self) -> None:
        self.calls: list[Spoken] = []

    def intercept_unary_unary(
        self, go_on: Callable[[Call, Message], grpc.Future], call: Call, request: Message
    ) -> grpc.Future:
        answer = go_on(call, request)
        error = answer.exception()
        if error is None:
            self._note(call, request, [answer.result().SerializeToString().hex()])
        else:
            assert isinstance(error, grpc.RpcError)
            self._note(call, request, [], error.code().name, reason(error))
        return answer

    def intercept_unary_stream(
        self, go_on: Callable[[Call, Message], Iterator[Message]], call: Call, request: Message
    ) -> Stream:
        responses: list[str] = []
        self._note(call, request, responses)
        return Stream(go_on(call, request), responses)

    def _note(
        self, call: Call, request: Message, responses: list[str], status: str = "OK", why: str = ""
    ) -> None:
        method = str(call.method).rpartition("/")[2]
        sent = request.SerializeToString().hex()
        self.calls.append(Spoken(method, sent, responses, status, why))


class Stream:
    """A stream whose messages are noted."""

    def __init__(self, stream: Iterator[Message], responses: list[str]) -> None:
        self._stream, self._responses = stream, responses
        self.cancel = stream.cancel

    def __iter__(self) -> Iterator[Message]:
        for message in self._stream:
            self._responses.append(message.SerializeToString().hex())
            yield message


class Keys(Protocol):
    """A card's keys at the keystore."""

    def get_card(self) -> CardImage: ...

    def perform(self, request: KeyRequest, cancellation: Cancellation) -> KeyResult: ...

    def reset(self) -> None: ...


@dataclass
class Holder:
    """Decides as soon as something is shown."""

    decide: Callable[[str, str, bool], None]  # operation, number, whether to approve
    approves: bool = True

    def show(self, prompt: Prompt, *_more: object) -> None:
        self.decide(prompt.operation_id, prompt.number, self.approves)

    def clear(self, _operation_id: str, _outcome: Outcome) -> None:
        """Nobody looks."""


def visit(keys: Keys, nobody: Keys, holder: Holder) -> list[str]:
    """Use a card as a reader does; what the card is told, in words."""
    image = keys.get_card()
    told = [
        f"keys {[(each, key.algorithm) for each, key in sorted(image.keys.items())]}",
        f"objects {sorted({*image.objects, *getattr(image, 'withheld', ())})}",
    ]
    try:
        nobody.get_card()
    except grpc.RpcError as error:
        told.append(f"no such card: {refusal(error)!r}")

    def perform(request: KeyRequest) -> KeyResult:
        result = keys.perform(request, Cancellation())
        told.append(f"{type(request).__name__}: {result!r}")
        return result

    def new() -> bytes:
        return os.urandom(16)

    perform(PasscodeStatus(new(), PIN))
    perform(VerifyPasscode(new(), PIN, WRONG))
    verified = perform(VerifyPasscode(new(), PIN, PASSCODE))  # and a session is asked for
    proof = verified.proof if isinstance(verified, Verified) else b""
    perform(UseKey(new(), KeyUse.SIGN, AUTHENTICATION, P256, DIGEST, proof))
    perform(UseKey(new(), KeyUse.SIGN, SIGNATURE, P256, DIGEST, proof))
    perform(UseKey(new(), KeyUse.SIGN, SIGNATURE, P256, DIGEST, b""))
    perform(UseKey(new(), KeyUse.SIGN, RETIRED, P256, DIGEST, proof))
    if PRINTED in getattr(image, "withheld", ()):
        perform(card_keys.ReadObject(proof, PRINTED))
    keys.reset()
    again = perform(VerifyPasscode(new(), PIN, PASSCODE))  # the signature has spent the proof
    proof = again.proof if isinstance(again, Verified) else b""
    holder.approves = False
    perform(UseKey(new(), KeyUse.SIGN, SIGNATURE, P256, DIGEST, proof))
    return told


def schema() -> str:
    """The messages that this code knows, as a recording has them."""
    files = (timestamp_pb2, approval_pb2, workstation_pb2)
    found = descriptor_pb2.FileDescriptorSet()
    for each in files:
        found.file.add().ParseFromString(each.DESCRIPTOR.serialized_pb)
    return base64.b64encode(found.SerializeToString()).decode()

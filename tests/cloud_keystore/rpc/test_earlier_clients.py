"""Requests as earlier clients sent them, byte for byte but for identifiers: they are served as
before, and are sent nothing that they do not know.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from cloudcard.approval.v1 import approval_pb2
from cloudcard.authenticator.v1 import authenticator_pb2
from cloudcard.workstation.v1 import workstation_pb2
from cloudcard.workstation.v1.workstation_pb2_grpc import WorkstationServiceStub
from cloudcard_tools.authenticator.approving import Approver
from cloudcard_tools.authenticator.phone import Asked, Phone, Ringing, Unlocks
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.processes import Nursery
from support.keystore_process import KeystoreProcess, Workstation
from support.polling import until

DEVICE = "/cloudcard.authenticator.v1.AuthenticatorService/"
WORKSTATION = "/cloudcard.workstation.v1.WorkstationService/"
SECONDS = 30.0
DIGEST = b"\x11" * 32


def field(number: int, value: bytes) -> bytes:
    """A field of bytes or text, as protobuf writes it."""
    size = len(value)
    length = bytes([size]) if size < 0x80 else bytes([size & 0x7F | 0x80, size >> 7])
    return bytes([number << 3 | 2]) + length + value


@dataclass
class Place:
    """A keystore, and connections of a workstation and a phone."""

    desk: Workstation
    phone: Phone
    pc: grpc.Channel
    device: grpc.Channel


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder: Path = tmp_path_factory.mktemp("earlier")
    with Nursery(folder / "logs") as nursery:
        keystore = KeystoreProcess(folder, nursery)
        user, phone = keystore.holder("ada", "ada@example.org")
        serial, own = keystore.card(user, phone), keystore.workstation("pc")
        with identity.channel(own) as pc, identity.channel(phone) as device:
            desk = Workstation(WorkstationServiceStub(pc), serial)
            yield Place(desk, Phone(phone, device), pc, device)


def raw(channel: grpc.Channel, method: str, request: bytes) -> bytes:
    """Make a call with bytes."""
    call = channel.unary_unary(method, lambda each: each, lambda each: each)
    answer: bytes = call(request, timeout=SECONDS)
    return answer


@pytest.mark.parametrize("sessions", [False, True], ids=["before sessions", "before sign-ins"])
def test_a_workstation_asks_and_a_phone_decides_as_before(place: Place, sessions: bool) -> None:
    """Of the first clients, which knew neither channels nor sessions, and of those after them."""
    asked = field(1, os.urandom(16)) + field(2, place.desk.serial.encode())
    asked += bytes.fromhex("189a01 2011 2801") + field(6, DIGEST) + field(7, place.desk.proof())
    if sessions:
        asked += field(8, b"a program") + bytes.fromhex("4a0101")
    answer = raw(place.pc, WORKSTATION + "CreateOperation", asked)
    operation = workstation_pb2.CreateOperationResponse.FromString(answer).operation
    assert len(operation.number) == 2
    found = raw(place.device, DEVICE + "GetRequest", field(1, operation.id.encode()))
    request = authenticator_pb2.GetRequestResponse.FromString(found).request
    payload = approval_pb2.Payload.FromString(request.payload)
    assert (payload.version, payload.HasField("sign_in")) == (2, False)
    number = operation.number.encode()
    decision = authenticator_pb2.DecideRequest()
    statement = b"cloudcard statement v1\0\x01\x02" + number + request.payload
    Approver(place.phone.identity).decide(decision, statement)
    decided = field(1, operation.id.encode()) + bytes.fromhex("1001")
    decided += field(3, number) + field(4, decision.device_signature)
    told = raw(place.device, DEVICE + "Decide", decided)
    state = authenticator_pb2.DecideResponse.FromString(told).state
    assert state == approval_pb2.OPERATION_STATE_APPROVED


@pytest.mark.parametrize("nothing", [Asked(()), Unlocks(())], ids=["questions", "unlocks"])
def test_a_phone_is_told_at_first_that_nothing_waits(
    place: Place, nothing: Asked | Unlocks
) -> None:
    """So it drops what waited when its connection broke; earlier phones are sent nothing of it."""
    told = next(each for each in place.phone.watch() if isinstance(each, type(nothing)))
    assert told == nothing


def test_a_phone_that_shows_no_list_is_sent_none_or_the_count(place: Place) -> None:
    """Of those after sign-ins: beside a phone that shows the documents it is sent nothing."""
    asked = workstation_pb2.CreateOperationRequest(
        card_serial=place.desk.serial,
        key_ref=0x9A,
        algorithm=17,
        key_use=1,
        inputs=[DIGEST],
    )
    listing = workstation_pb2.CreateOperationRequest()
    listing.CopyFrom(asked)
    listing.MergeFrom(
        workstation_pb2.CreateOperationRequest(
            request_id=os.urandom(16), passcode_proof=place.desk.proof(), documents=["2 items"]
        )
    )
    listed = place.desk.stub.CreateOperation(listing).operation
    shown = next(each for each in place.phone.watch() if isinstance(each, Ringing))
    assert (shown.operation_id, list(shown.payload.documents)) == (listed.id, ["2 items"])
    before = bytes.fromhex("0a0101")  # sign-ins alone
    stream = place.device.unary_stream(DEVICE + "WatchRequests", lambda each: each, None)(before)
    counted = place.desk.create(os.urandom(16))
    first = next(iter(stream))
    stream.cancel()
    until(lambda: stream.done(), SECONDS)
    place.desk.stub.CancelOperation(
        workstation_pb2.CancelOperationRequest(operation_id=counted.id), timeout=SECONDS
    )
    assert counted.id.encode() in first
    assert listed.id.encode() not in first


def test_a_phone_that_has_not_named_sign_ins_is_sent_none(place: Place) -> None:
    begun = place.desk.stub.BeginSignIn(
        workstation_pb2.BeginSignInRequest(request_id=os.urandom(16), user="ada@example.org")
    ).sign_in
    named = next(each.operation_id for each in place.phone.watch() if hasattr(each, "raw"))
    assert named == begun.id
    stream = place.device.unary_stream(DEVICE + "WatchRequests", lambda each: each, None)(b"")
    sent: list[bytes] = []
    operation = place.desk.create(os.urandom(16))
    for message in stream:
        sent.append(message)
        if operation.id.encode() in message:
            break
    stream.cancel()
    until(lambda: stream.done(), SECONDS)
    assert not any(begun.id.encode() in each for each in sent)

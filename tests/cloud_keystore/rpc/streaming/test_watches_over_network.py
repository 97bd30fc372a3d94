"""Watched operations over real TLS: what a hostile caller can do, and kill -9 in between."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from cloudcard.approval.v1 import approval_pb2
from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard.workstation.v1 import workstation_pb2_grpc
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.processes import Nursery
from reader_bridge.remote.refusals import StreamFailed
from reader_bridge.remote.refusals import reason as reason_of
from reader_bridge.remote.watches import Watches
from reader_bridge.tasks import Cancellation
from support.keystore_process import code
from support.open_sessions import DIGEST, Place, new_place

METHOD = "/cloudcard.workstation.v1.WorkstationService/WatchOperations"
SECONDS = 60.0
PATIENCE_SECONDS = 150.0  # a busy computer starts a keystore slowly
FLOOD = 20_000
STALLED_SECONDS = 2.0
PENDING, APPROVED = approval_pb2.OPERATION_STATE_PENDING, approval_pb2.OPERATION_STATE_APPROVED


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("place")
    with Nursery(folder / "logs") as nursery:
        yield new_place(folder, nursery)


def ask(place: Place) -> pb.Operation:
    """An operation that waits."""
    asked = pb.CreateOperationRequest(
        request_id=os.urandom(16),
        card_serial=place.serial,
        key_ref=0x9A,
        algorithm=approval_pb2.ALGORITHM_ECC_P256,
        key_use=approval_pb2.KEY_USE_SIGN,
        inputs=[DIGEST],
        passcode_proof=place.pc.proof(),
    )
    made: pb.Operation = place.pc.stub.CreateOperation(asked, timeout=SECONDS).operation
    return made


def watched(*ids: str) -> pb.WatchOperationsRequest:
    return pb.WatchOperationsRequest(watch=ids)


@pytest.mark.parametrize(
    "bad",
    [
        b"\xff" * 10,
        bytes(300 * 1024),
        watched(*["0190b6a0-0000-7000-8000-000000000001"] * 100_000).SerializeToString(),
        watched(*[""] * 100_000).SerializeToString(),
    ],
    ids=["garbage", "too large", "100,000 identifiers", "100,000 empty ones"],
)
def test_a_message_that_is_none_ends_the_stream_alone(place: Place, bad: bytes) -> None:
    made = ask(place)
    with identity.channel(place.own) as channel:
        stream = channel.stream_stream(METHOD, None, pb.WatchOperationsResponse.FromString)
        with pytest.raises(grpc.RpcError) as ended:
            list(stream(iter([watched(made.id).SerializeToString(), bad]), timeout=SECONDS))
    assert code(ended.value) in (
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.RESOURCE_EXHAUSTED,  # gRPC itself, above sixteen times the most
    )
    request = pb.CancelOperationRequest(operation_id=made.id)
    assert place.pc.stub.CancelOperation(request, timeout=SECONDS).operation.id == made.id


def test_a_phone_has_no_stream(place: Place) -> None:
    with identity.channel(place.phone.identity) as channel:
        stub = workstation_pb2_grpc.WorkstationServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            next(stub.WatchOperations(iter([watched("any")]), timeout=SECONDS))
    assert reason_of(refused.value) == "IDENTITY_REJECTED"


def test_who_asks_and_takes_nothing_is_read_no_more(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    # gRPC would else let more and more refusals wait at the caller.
    monkeypatch.setattr(
        identity, "CHANNEL_OPTIONS", (*identity.CHANNEL_OPTIONS, ("grpc.http2.bdp_probe", 0))
    )
    sent = 0

    def flood() -> Iterator[pb.WatchOperationsRequest]:
        nonlocal sent
        while sent < FLOOD:
            sent += 1
            yield watched(*(f"{sent}-{number}" for number in range(100)))

    own = place.keystore.workstation("Flood")  # its calls are used up afterwards
    with identity.channel(own) as channel:
        stub = workstation_pb2_grpc.WorkstationServiceStub(channel)
        flooding = stub.WatchOperations(flood(), timeout=SECONDS)
        before = -1
        while before < sent:
            before = sent
            time.sleep(STALLED_SECONDS)
        flooding.cancel()
    assert 0 < sent < FLOOD


def decision(watches: Watches, operation_id: str) -> int | None:
    """What becomes of an operation, watched as a reader does, again after each end of a stream."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            state = watches.decision(operation_id, PATIENCE_SECONDS, Cancellation())
        except StreamFailed:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        else:
            return state


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_what_waits_goes_on_after_the_keystores_end(place: Place, how: str) -> None:
    made = ask(place)
    with identity.channel(place.own) as channel, ThreadPoolExecutor(1) as slot:
        watches = Watches(channel)
        waiting = slot.submit(decision, watches, made.id)
        stub = workstation_pb2_grpc.WorkstationServiceStub(channel)
        assert next(stub.WatchOperations(iter([watched(made.id)]))).operation.state == PENDING
        if how == "kill":
            place.keystore.kill()
        else:
            place.keystore.child.stop()
        place.keystore.restart()
        place.connect()
        assert not waiting.done()
        ringing = place.phone.find(made.id)
        assert place.phone.approve(ringing, made.number) == "approved"
        assert waiting.result(PATIENCE_SECONDS) == APPROVED

"""Streams of uses over real TLS: what a hostile caller can do, and kill -9 in between."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import Future

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard.workstation.v1 import workstation_pb2_grpc
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.processes import Nursery
from reader_bridge.remote.refusals import StreamFailed
from reader_bridge.remote.uses import Uses
from support.exports import audited
from support.keystore_process import code
from support.open_sessions import DIGEST, MANY, Place, new_place

METHOD = "/cloudcard.workstation.v1.WorkstationService/UseSessions"
SECONDS = 60.0
PATIENCE_SECONDS = 150.0  # a busy computer starts a keystore slowly
FLOOD = 20_000
STALLED_SECONDS = 2.0
COUNT = 120  # of uses, some of which are under way when the keystore ends


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("place")
    with Nursery(folder / "logs") as nursery:
        yield new_place(folder, nursery)


def request(number: int, session_id: str) -> pb.UseSessionsRequest:
    use = pb.UseSessionRequest(session_id=session_id, request_id=os.urandom(16), inputs=[DIGEST])
    return pb.UseSessionsRequest(number=number, use=use)


def raw(place: Place, *messages: bytes) -> tuple[list[pb.UseSessionsResponse], grpc.RpcError]:
    """What a stream of bytes is answered, and how it ends."""
    outcomes: list[pb.UseSessionsResponse] = []
    with identity.channel(place.own) as channel:
        stream = channel.stream_stream(METHOD, None, pb.UseSessionsResponse.FromString)
        with pytest.raises(grpc.RpcError) as ended:
            outcomes.extend(stream(iter(messages), timeout=SECONDS))
    return outcomes, ended.value


def reason(error: grpc.RpcError) -> str:
    assert isinstance(error, grpc.Call)
    status = rpc_status.from_call(error)
    info = error_details_pb2.ErrorInfo()
    assert status is not None
    assert status.details[0].Unpack(info)
    return info.reason


@pytest.mark.parametrize("bad", [b"\xff" * 10, bytes(300 * 1024)], ids=["garbage", "too large"])
def test_bytes_that_are_no_message_end_a_stream_alone(place: Place, bad: bytes) -> None:
    session = place.session(MANY)
    _, error = raw(place, request(1, session.id).SerializeToString(), bad)
    assert (code(error), reason(error)) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUT")
    assert place.use(session.id, os.urandom(16)).results


def test_a_phone_has_no_stream(place: Place) -> None:
    with identity.channel(place.phone.identity) as channel:
        stub = workstation_pb2_grpc.WorkstationServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            next(stub.UseSessions(iter([request(1, "any")]), timeout=SECONDS))
    assert reason(refused.value) == "IDENTITY_REJECTED"


def test_who_sends_and_takes_nothing_is_read_no_more(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some are on the way, some have outcomes that nobody takes; the others wait at the caller."""
    # gRPC would else let more and more outcomes wait at the caller: all, on a quick computer.
    monkeypatch.setattr(
        identity, "CHANNEL_OPTIONS", (*identity.CHANNEL_OPTIONS, ("grpc.http2.bdp_probe", 0))
    )
    sent = 0

    def flood() -> Iterator[pb.UseSessionsRequest]:
        nonlocal sent
        while sent < FLOOD:
            sent += 1
            yield pb.UseSessionsRequest(use=pb.UseSessionRequest(inputs=[bytes(2000)]))

    own = place.keystore.workstation("Flood")  # its calls are used up afterwards
    with identity.channel(own) as channel:
        stub = workstation_pb2_grpc.WorkstationServiceStub(channel)
        flooding = stub.UseSessions(flood(), timeout=SECONDS)
        before = -1
        while before < sent:
            before = sent
            time.sleep(STALLED_SECONDS)
        flooding.cancel()
    assert 0 < sent < FLOOD


def uses_of(uses: Uses, session: pb.Session, count: int) -> list[Future[pb.UseSessionResponse]]:
    return [uses.use(session.id, [os.urandom(32)], seconds=PATIENCE_SECONDS) for _ in range(count)]


def test_kill_9_while_uses_are_under_way(place: Place) -> None:
    """Each is asked for again, and takes one use of the session; its result is there or it is not
    kept, and never another one.
    """
    session = place.session(MANY)
    with identity.channel(place.own) as channel, Uses(channel) as uses:
        made = uses_of(uses, session, COUNT)
        made[0].result(PATIENCE_SECONDS)
        place.keystore.kill()
        place.keystore.restart()
        lost = 0
        for each in made:
            try:
                assert len(each.result(PATIENCE_SECONDS).results) == 1
            except StreamFailed as refused:
                assert refused.reason == "NO_RESULT"
                lost += 1
            except grpc.RpcError as refused:
                assert reason(refused) == "NO_RESULT"
                lost += 1
        left = uses.use(session.id, [DIGEST]).result(PATIENCE_SECONDS).uses_left
    assert left == MANY.most_uses - COUNT - 1
    assert lost < COUNT
    place.keystore.child.stop()  # all entries get their places
    result = audited(f"sqlite:///{place.keystore.folder / 'keystore' / 'keystore.db'}")
    place.keystore.restart()
    place.connect()
    assert result.findings == []
    assert result.counts.failed == 0


def test_a_keystore_that_stops_loses_nothing(place: Place) -> None:
    session = place.session(MANY)
    with identity.channel(place.own) as channel, Uses(channel) as uses:
        made = uses_of(uses, session, COUNT)
        made[0].result(PATIENCE_SECONDS)
        place.keystore.child.stop()
        place.keystore.restart()
        assert all(len(each.result(PATIENCE_SECONDS).results) == 1 for each in made)
        left = uses.use(session.id, [DIGEST]).result(PATIENCE_SECONDS).uses_left
    place.connect()
    assert left == MANY.most_uses - COUNT - 1

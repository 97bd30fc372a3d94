"""Uses over a stream, against a scripted keystore: what is repeated, and what it means."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from card_os.keys import Refusal
from cloudcard.workstation.v1 import workstation_pb2 as pb
from reader_bridge.remote import streams
from reader_bridge.remote.refusals import StreamFailed, code, reason, refusal, retry_seconds
from reader_bridge.remote.uses import Uses
from support.scripted_keystore import SECONDS, Keystore, Script

ASKED = pb.UseSessionRequest(session_id="session", request_id=b"r" * 16, inputs=[b"digest"])
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
STREAMED, SINGLE = [b"streamed"], [b"signature"]


@dataclass
class World:
    """A scripted keystore, and uses of its sessions."""

    script: Script = field(default_factory=Script)

    def __post_init__(self) -> None:
        self.keystore = Keystore(self.script)
        self.channel = self.keystore.channel()
        self.uses = Uses(self.channel, most_under_way=8)

    def call(self, timeout: float = SECONDS) -> list[bytes]:
        metadata = (("traceparent", TRACE),)
        return list(self.uses.call(ASKED, timeout=timeout, metadata=metadata).results)

    def use(self, seconds: float = SECONDS) -> Future[pb.UseSessionResponse]:
        return self.uses.use("session", [b"digest"], b"r" * 16, seconds)


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.script.hold.set()
    world.uses.close()
    world.channel.close()
    world.keystore.stop()


def busy(seconds: int = 0) -> pb.Refusal:
    """A refusal that asks to come back."""
    delay = Duration(seconds=seconds, nanos=1_000_000)
    return pb.Refusal(code=14, reason="OPERATION_BUSY", text="ask again", retry_delay=delay)


def test_all_go_over_one_stream(world: World) -> None:
    assert [world.call() for _ in range(3)] == [STREAMED] * 3
    assert [list(each.result(SECONDS).results) for each in [world.use() for _ in range(20)]] == (
        [STREAMED] * 20
    )
    assert world.script.streams == 1
    first = world.script.asked[0]
    assert first == pb.UseSessionsRequest(number=1, use=ASKED, traceparent=TRACE)
    numbers = [each.number for each in world.script.asked if isinstance(each, type(first))]
    assert sorted(numbers) == list(range(1, 24))


def test_a_keystore_without_streams_is_asked_by_single_calls(world: World) -> None:
    world.script.streamed = [grpc.StatusCode.UNIMPLEMENTED]
    assert [world.call() for _ in range(3)] == [SINGLE] * 3
    assert world.script.streams == 1  # it is not tried each time
    assert world.script.asked[1:] == [ASKED] * 3
    assert list(world.use().result(SECONDS).results) == SINGLE


def test_after_a_while_it_is_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "UNSERVED_SECONDS", 0.0)
    world.script.streamed = [grpc.StatusCode.UNIMPLEMENTED, pb.UseSessionResponse(uses_left=3)]
    assert (world.call(), world.call()) == (SINGLE, [])
    assert world.script.streams == 2


@pytest.mark.parametrize("end", [None, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNKNOWN])
def test_what_a_stream_leaves_unanswered_is_asked_for_again(
    world: World, end: grpc.StatusCode | None
) -> None:
    """With the same request_id, because it can have been done."""
    world.script.streamed = [end, pb.UseSessionResponse(results=STREAMED)]
    assert world.call() == SINGLE
    assert world.script.asked[1] == ASKED
    assert world.call() == STREAMED
    world.script.streamed = [end, pb.UseSessionResponse(results=STREAMED)]
    assert list(world.use().result(SECONDS).results) == STREAMED
    assert len({each.SerializeToString() for each in world.script.asked if each == ASKED}) == 1


def test_a_keystore_that_comes_back_is_asked_again(world: World) -> None:
    assert world.call() == STREAMED
    world.keystore.stop()
    made = world.use()
    back = threading.Timer(0.3, world.keystore.start)
    back.start()
    assert made.result(SECONDS).results
    back.join()


def test_a_refusal_is_what_the_status_of_a_call_would_be(world: World) -> None:
    closed = pb.Refusal(code=9, reason="SESSION_CLOSED", text="the session has ended")
    limited = pb.Refusal(
        code=8, reason="TOO_MANY_CALLS", text="go slower", retry_delay=Duration(seconds=3)
    )
    newer = pb.Refusal(code=99, reason="OF_LATER")
    expected = [
        (closed, grpc.StatusCode.FAILED_PRECONDITION, Refusal.DENIED, None),
        (limited, grpc.StatusCode.RESOURCE_EXHAUSTED, Refusal.UNAVAILABLE, 3.0),
        (newer, grpc.StatusCode.UNKNOWN, Refusal.UNAVAILABLE, None),
    ]
    for said, status, meaning, seconds in expected:
        world.script.streamed = [said]
        with pytest.raises(StreamFailed) as failed:
            world.call()
        error = failed.value
        assert (code(error), reason(error)) == (status, said.reason)
        assert (refusal(error), retry_seconds(error)) == (meaning, seconds)
        assert error.details() == str(error) == said.text


def test_an_outcome_of_a_later_keystore_is_no_result(world: World) -> None:
    world.script.streamed = [pb.UseSessionResponse()]
    world.script.UseSessions = later  # type: ignore[assignment,method-assign]
    world.keystore.stop()
    world.keystore.start()
    with pytest.raises(StreamFailed, match="no known outcome"):
        world.call()


def later(
    requests: Iterator[pb.UseSessionsRequest], _: grpc.ServicerContext
) -> Iterator[pb.UseSessionsResponse]:
    for each in requests:
        yield pb.UseSessionsResponse(number=each.number + 1)  # nobody's
        yield pb.UseSessionsResponse(number=each.number)


def test_what_is_refused_for_now_is_asked_for_again(world: World) -> None:
    world.script.streamed = [busy(), busy(), pb.UseSessionResponse(results=STREAMED)]
    assert list(world.use().result(SECONDS).results) == STREAMED
    assert world.script.streams == 1
    assert [each.use for each in world.script.asked] == [ASKED] * 3  # type: ignore[attr-defined]


def test_patience_has_an_end(world: World) -> None:
    world.script.streamed = [busy(seconds=100)]
    with pytest.raises(StreamFailed, match="ask again"):
        world.use().result(SECONDS)
    assert len(world.script.asked) == 1


def test_a_refusal_that_lasts_is_not_asked_for_again(world: World) -> None:
    world.script.streamed = [pb.Refusal(code=9, reason="SESSION_CLOSED", text="it has ended")]
    with pytest.raises(StreamFailed, match="it has ended"):
        world.use().result(SECONDS)
    assert len(world.script.asked) == 1


def test_no_answer_in_time_is_told_as_of_a_call(world: World) -> None:
    world.script.hold.clear()
    with pytest.raises(StreamFailed) as late:
        world.call(timeout=0.05)
    assert code(late.value) is grpc.StatusCode.DEADLINE_EXCEEDED
    world.script.hold.set()
    assert world.call() == STREAMED
    assert world.script.streams == 2  # what was not sent yet is not done later


def test_only_so_many_are_under_way(world: World) -> None:
    world.script.hold.clear()
    made = [world.use() for _ in range(8)]
    ninth: list[Future[pb.UseSessionResponse]] = []
    asking = threading.Thread(target=lambda: ninth.append(world.use()))
    asking.start()
    asking.join(0.2)
    assert not ninth
    world.script.hold.set()
    asking.join(SECONDS)
    assert all(each.result(SECONDS).results for each in made + ninth)


def test_it_ends_with_what_is_under_way(world: World) -> None:
    world.script.hold.clear()
    made = world.use()
    world.uses.close()
    with pytest.raises(grpc.RpcError):
        made.result(SECONDS)

"""Operations watched over one stream, against a scripted keystore: what is waited for, and how."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from queue import SimpleQueue

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from card_os.keys import Refusal
from cloudcard.approval.v1 import approval_pb2
from cloudcard.workstation.v1 import workstation_pb2 as pb
from reader_bridge.remote import streams
from reader_bridge.remote.refusals import StreamFailed, code, reason, refusal, retry_seconds
from reader_bridge.remote.streams import Ended
from reader_bridge.remote.watches import Watches
from reader_bridge.tasks import Cancellation
from support.scripted_keystore import APPROVED, PENDING, SECONDS, Keystore, Script

DENIED = approval_pb2.OPERATION_STATE_DENIED
SLOTS = 16


class Told(Script):
    """A keystore that tells what a test says, of many operations at once."""

    def __init__(self) -> None:
        super().__init__()
        self.named: SimpleQueue[pb.WatchOperationsRequest] = SimpleQueue()
        self.says: SimpleQueue[pb.WatchOperationsResponse | grpc.StatusCode] = SimpleQueue()

    def WatchOperations(
        self, requests: Iterator[pb.WatchOperationsRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.WatchOperationsResponse]:
        self.watches += 1
        for request in requests:
            self.named.put(request)
            if request.watch:
                break
        threading.Thread(target=self._read, args=(requests,), daemon=True).start()
        for each in iter(self.says.get, grpc.StatusCode.OK):
            if isinstance(each, grpc.StatusCode):
                context.abort(each, "the test says so")
            assert not isinstance(each, grpc.StatusCode)
            yield each

    def _read(self, requests: Iterator[pb.WatchOperationsRequest]) -> None:
        try:
            for request in requests:
                self.named.put(request)
        except grpc.RpcError:
            return

    def tell(self, operation_id: str, state: approval_pb2.OperationState.ValueType) -> None:
        seen = pb.Operation(id=operation_id, state=state)
        self.says.put(pb.WatchOperationsResponse(operation_id=operation_id, operation=seen))


@dataclass
class World:
    """A keystore, and slots that wait at it."""

    script: Told = field(default_factory=Told)

    def __post_init__(self) -> None:
        self.keystore = Keystore(self.script)
        self.channel = self.keystore.channel()
        self.watches = Watches(self.channel)
        self.slots = ThreadPoolExecutor(SLOTS)
        self._numbers = count(1)

    def wait(
        self, operation_id: str, cancellation: Cancellation | None = None, seconds: float = SECONDS
    ) -> Future[approval_pb2.OperationState.ValueType | None]:
        """A slot's wait for a decision, which the keystore has been told of."""
        made = self.slots.submit(
            self.watches.decision, operation_id, seconds, cancellation or Cancellation()
        )
        assert self.script.named.get(timeout=SECONDS).watch == [operation_id]
        return made


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.script.says.put(grpc.StatusCode.OK)
    world.channel.close()
    world.keystore.stop()
    world.slots.shutdown()


def test_all_slots_share_one_stream(world: World) -> None:
    waits = {str(number): world.wait(str(number)) for number in range(SLOTS)}
    for each in waits:
        world.script.tell(each, PENDING)
    world.script.tell("another", APPROVED)  # for which nobody waits
    for number, (each, made) in enumerate(reversed(waits.items())):
        assert not made.done()
        state = APPROVED if number % 2 else DENIED
        world.script.tell(each, state)
        assert made.result(SECONDS) == state
    assert world.script.watches == 1


def test_a_keystore_of_before_is_asked_by_calls_and_not_tried_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = Script(together=False, states=[APPROVED])
    keystore = Keystore(script)
    tried = 0

    def abort(_requests: object, context: grpc.ServicerContext) -> None:
        nonlocal tried
        tried += 1
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")

    monkeypatch.setattr(script, "WatchOperations", abort)
    keystore.stop()
    keystore.start()
    with keystore.channel() as channel:
        watches = Watches(channel)
        for _ in range(3):
            assert watches.decision("a", SECONDS, Cancellation()) == APPROVED
        assert tried == 1
        monkeypatch.setattr(streams, "UNSERVED_SECONDS", 0.0)
        watches = Watches(channel)
        for _ in range(2):
            assert watches.decision("a", SECONDS, Cancellation()) == APPROVED
        assert tried == 3
    keystore.stop()


def test_who_is_cancelled_takes_the_operation_back_and_the_others_wait_on(world: World) -> None:
    cancellation = Cancellation()
    mine, other = world.wait("mine", cancellation), world.wait("other")
    cancellation.request()
    with pytest.raises(StreamFailed) as failed:
        mine.result(SECONDS)
    assert code(failed.value) is grpc.StatusCode.CANCELLED
    assert world.script.named.get(timeout=SECONDS).leave == ["mine"]
    world.script.tell("mine", APPROVED)
    world.script.tell("other", APPROVED)
    assert other.result(SECONDS) == APPROVED


def test_who_was_cancelled_before_does_not_wait(world: World) -> None:
    cancellation = Cancellation()
    cancellation.request()
    with pytest.raises(StreamFailed):
        world.watches.decision("mine", SECONDS, cancellation)


def test_who_has_waited_long_enough_takes_the_operation_back(world: World) -> None:
    with pytest.raises(StreamFailed) as failed:
        world.wait("mine", seconds=0.01).result(SECONDS)
    assert code(failed.value) is grpc.StatusCode.DEADLINE_EXCEEDED
    assert world.script.named.get(timeout=SECONDS).leave == ["mine"]


def test_a_refusal_concerns_its_operation_alone(world: World) -> None:
    refused, full, other = world.wait("a"), world.wait("b"), world.wait("c")
    gone = pb.Refusal(code=5, reason="OPERATION_NOT_FOUND", text="there is none")
    later = pb.Refusal(
        code=8, reason="TOO_MANY_CALLS", text="close some", retry_delay=Duration(seconds=5)
    )
    for each, said in (("a", gone), ("b", later)):
        world.script.says.put(pb.WatchOperationsResponse(operation_id=each, refusal=said))
    for made, why, meaning, seconds in (
        (refused, "OPERATION_NOT_FOUND", Refusal.UNKNOWN_KEY, None),
        (full, "TOO_MANY_CALLS", Refusal.UNAVAILABLE, 5.0),
    ):
        with pytest.raises(StreamFailed) as failed:
            made.result(SECONDS)
        error = failed.value
        assert (reason(error), refusal(error), retry_seconds(error)) == (why, meaning, seconds)
    world.script.tell("c", DENIED)
    assert other.result(SECONDS) == DENIED


def test_what_a_later_keystore_tells_besides_is_passed_over(world: World) -> None:
    made = world.wait("a")
    world.script.says.put(pb.WatchOperationsResponse(operation_id="a"))
    world.script.tell("a", APPROVED)
    assert made.result(SECONDS) == APPROVED


@pytest.mark.parametrize("end", [grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE])
def test_after_the_end_of_a_stream_it_is_asked_over_another(
    world: World, end: grpc.StatusCode
) -> None:
    waits = [world.wait("a"), world.wait("b")]
    world.script.says.put(end)
    for each in waits:
        with pytest.raises(Ended) as failed:
            each.result(SECONDS)
        assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
    again = world.wait("a")
    world.script.tell("a", APPROVED)
    assert again.result(SECONDS) == APPROVED
    assert world.script.watches == 2


def test_a_keystore_that_is_away_is_told_as_such(world: World) -> None:
    made = world.wait("a")
    world.keystore.stop()
    with pytest.raises(Ended):
        made.result(SECONDS)
    deadline = time.monotonic() + SECONDS
    with pytest.raises(grpc.RpcError) as failed:
        world.watches.decision("a", SECONDS, Cancellation())
    assert code(failed.value) is grpc.StatusCode.UNAVAILABLE
    assert time.monotonic() < deadline
    world.keystore.start()

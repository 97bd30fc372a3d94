"""Many who wait: what tells them of changes, what bounds them, and a restart among them."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from card_os.keys import KeyResult
from cloud_keystore.model.limits import Limits
from cloud_keystore.model.people import Role, User
from cloud_keystore.notify.wakeups import Wakeups
from cloud_keystore.observability.metrics import Metrics
from cloud_keystore.observability.traces import Traces
from cloud_keystore.operations.watching import LOOK_SECONDS, Watching
from cloud_keystore.rpc.door import PATIENCE_SECONDS, Door, patience
from cloud_keystore.rpc.limits import STREAM_SECONDS, Limiter, Workers
from cloud_keystore.rpc.refusals import Context
from cloud_keystore.rpc.watch import Watch
from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard.workstation.v1 import workstation_pb2_grpc
from cloudcard_tools.authenticator.phone import Phone
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.processes import Nursery
from reader_bridge.remote.operation import RemoteOperation
from reader_bridge.remote.watches import Watches
from reader_bridge.tasks import Cancellation
from support.keystore_process import KeystoreProcess, Workstation
from support.keystore_world import Enrolled, World
from support.screen import Screen

UNDER_WAY = 5
STREAM = "/cloudcard.test.Service/Stream"
CALL = "/cloudcard.test.Service/Call"


class Ticks:
    """A monotonic clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def pass_by(self) -> None:
        self.now += LOOK_SECONDS


class TestOneLookForAll:
    def test_a_decision_made_elsewhere_is_seen_once(
        self, world: World, ada: tuple[User, Enrolled], pc: Enrolled
    ) -> None:
        user, phone = ada
        serial = world.card(user)
        ticks = Ticks()
        watching = Watching(world.database, ticks)
        operation = world.ask(serial, pc)
        assert watching.topics() == set()  # what is older, whoever begins to wait sees himself
        world.decide(operation, phone)
        ticks.pass_by()
        assert watching.topics() == {operation.id, user.id}
        ticks.pass_by()
        assert watching.topics() == set()

    def test_a_new_request_wakes_the_phone_alone(
        self, world: World, ada: tuple[User, Enrolled], pc: Enrolled
    ) -> None:
        serial = world.card(ada[0])
        ticks = Ticks()
        watching = Watching(world.database, ticks)
        watching.topics()
        world.ask(serial, pc)
        ticks.pass_by()
        assert watching.topics() == {ada[0].id}

    def test_what_expires_or_is_withdrawn(
        self, world: World, ada: tuple[User, Enrolled], pc: Enrolled
    ) -> None:
        serial, other = world.card(ada[0]), world.card(ada[0])
        withdrawn, expires = world.ask(serial, pc), world.ask(other, pc)
        ticks = Ticks()
        watching = Watching(world.database, ticks)
        watching.topics()
        world.asking.cancel(withdrawn.id, pc.identity)
        world.clock.forward(minutes=3)
        world.sweep()
        ticks.pass_by()
        assert watching.topics() >= {withdrawn.id, expires.id, ada[0].id}

    def test_a_look_is_not_repeated_at_once_and_misses_nothing(
        self, world: World, ada: tuple[User, Enrolled], pc: Enrolled
    ) -> None:
        serial = world.card(ada[0])
        operation = world.ask(serial, pc)
        ticks = Ticks()
        watching = Watching(world.database, ticks)
        watching.topics()
        world.decide(operation, ada[1])
        assert watching.topics() == set()
        ticks.pass_by()
        assert operation.id in watching.topics()

    def test_it_wakes_those_of_this_process_alone(self) -> None:
        async def run() -> None:
            wakeups = Wakeups(asyncio.get_running_loop())
            told: list[str] = []
            wakeups.tell_others = told.extend
            with wakeups.subscribe("operation") as waiting:
                await asyncio.to_thread(wakeups.wake_own, {"operation"})
                async with asyncio.timeout(60):
                    await waiting.wait(60)
            assert told == []

        asyncio.run(run())


class TestLooks:
    """Streams at the database: a few at a time, beside calls."""

    def test_more_streams_than_there_is_room_for_are_woken_and_none_is_refused(
        self, world: World
    ) -> None:
        limits = Limits(threads=3, calls=2, looks=2)
        at_once: list[int] = []
        inside = threading.Semaphore(limits.looks)

        def look() -> int:
            assert inside.acquire(blocking=False)
            at_once.append(1)
            time.sleep(0.001)
            inside.release()
            return 1

        async def run() -> list[int]:
            asyncio.get_running_loop().set_default_executor(Workers(limits))
            limiter = Limiter(limits, time.monotonic, Metrics())
            door = Door(world.callers, limiter, Role.WORKSTATION)
            return await asyncio.gather(*(door.look(look) for _ in range(500)))

        assert sum(asyncio.run(run())) == len(at_once) == 500

    def test_calls_are_served_while_streams_look(self, world: World) -> None:
        """As after a restart, when all come back: signing has threads of its own."""
        limits = Limits(threads=2, calls=1, looks=1)
        gate = threading.Event()

        async def run() -> None:
            asyncio.get_running_loop().set_default_executor(Workers(limits))
            limiter = Limiter(limits, time.monotonic, Metrics())
            door = Door(world.callers, limiter, Role.WORKSTATION)
            looks = [asyncio.create_task(door.look(lambda: gate.wait(60))) for _ in range(1000)]
            await asyncio.sleep(0.05)
            async with asyncio.timeout(60):
                assert await asyncio.to_thread(lambda: "signed") == "signed"
            gate.set()
            assert all(await asyncio.gather(*looks))

        asyncio.run(run())

    def test_a_stream_waits_on_while_calls_take_all_room(self, world: World) -> None:
        limits = Limits(threads=1, calls=0, looks=1)
        gate = threading.Event()

        async def run() -> str:
            asyncio.get_running_loop().set_default_executor(Workers(limits))
            limiter = Limiter(limits, time.monotonic, Metrics())
            door = Door(world.callers, limiter, Role.WORKSTATION)
            call = asyncio.create_task(asyncio.to_thread(gate.wait, 60))
            await asyncio.sleep(0)
            look = asyncio.create_task(door.look(lambda: "seen"))
            await asyncio.sleep(0.05)
            assert not look.done()
            gate.set()
            await call
            async with asyncio.timeout(60):
                return await look

        assert asyncio.run(run()) == "seen"

    def test_streams_opened_at_once_do_not_look_at_once(self) -> None:
        drawn = [patience() for _ in range(200)]
        assert PATIENCE_SECONDS[0] <= min(drawn) < max(drawn) <= PATIENCE_SECONDS[1]
        assert max(drawn) - min(drawn) > (PATIENCE_SECONDS[1] - PATIENCE_SECONDS[0]) / 2


@asynccontextmanager
async def watched(limiter: Limiter) -> AsyncIterator[grpc.aio.Channel]:
    """A connection to a server under the watch, with a call, and a stream that never ends."""

    async def stream(_request: Empty, _context: Context) -> AsyncIterator[Empty]:
        yield Empty()
        await asyncio.Event().wait()

    async def call(_request: Empty, _context: Context) -> Empty:
        return Empty()

    codec = {
        "request_deserializer": Empty.FromString,
        "response_serializer": Empty.SerializeToString,
    }
    server = grpc.aio.server(interceptors=(Watch(Metrics(), Traces(), limiter, 1024),))
    handlers = {
        "Stream": grpc.unary_stream_rpc_method_handler(stream, **codec),
        "Call": grpc.unary_unary_rpc_method_handler(call, **codec),
    }
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("cloudcard.test.Service", handlers),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        await server.stop(0)


def test_one_call_more_than_the_keystore_holds_is_refused_and_told_when_to_come_back() -> None:
    async def run() -> None:
        limiter = Limiter(Limits(under_way=UNDER_WAY), time.monotonic, Metrics())
        async with watched(limiter) as channel:
            streams = [channel.unary_stream(STREAM)(b"") for _ in range(UNDER_WAY)]
            for each in streams:
                await each.read()
            for _ in range(50):
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await channel.unary_unary(CALL)(b"")
                assert retry_seconds(refused.value) == STREAM_SECONDS
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await channel.unary_stream(STREAM)(b"").read()
                assert retry_seconds(refused.value) == STREAM_SECONDS
            for each in streams:
                each.cancel()
            async with asyncio.timeout(60):  # the refused ones hold nothing: all places are free
                streams = []
                while len(streams) < UNDER_WAY:
                    stream = channel.unary_stream(STREAM)(b"")
                    if await is_open(stream):
                        streams.append(stream)
                    else:
                        await asyncio.sleep(0.01)
            with pytest.raises(grpc.aio.AioRpcError):
                await channel.unary_unary(CALL)(b"")

    asyncio.run(run())


async def is_open(stream: grpc.aio.UnaryStreamCall[bytes, bytes]) -> bool:
    """Whether there was a place for one more stream, which stays open while somebody has it."""
    try:
        await stream.read()
    except grpc.aio.AioRpcError:
        return False
    return True


def retry_seconds(error: grpc.aio.AioRpcError) -> float:
    """When to come back, as the refusal says."""
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    status = rpc_status.from_call(error)
    assert status is not None
    retry = error_details_pb2.RetryInfo()
    assert any(detail.Unpack(retry) for detail in status.details)
    return float(retry.retry_delay.ToTimedelta().total_seconds())


@pytest.fixture
def keystore(tmp_path: Path) -> Iterator[KeystoreProcess]:
    with Nursery(tmp_path / "logs") as nursery:
        yield KeystoreProcess(tmp_path, nursery)


def test_an_approval_during_a_restart_reaches_who_waits(keystore: KeystoreProcess) -> None:
    """The phone decides while nobody is there; both resume, and there is one signature."""
    user_id, ada = keystore.holder("ada")
    serial = keystore.card(user_id, ada)
    pc = keystore.workstation("pc")
    results: list[KeyResult] = []
    with identity.channel(pc) as channel, identity.channel(ada) as phone_channel:
        stub = workstation_pb2_grpc.WorkstationServiceStub(channel)
        asked = pb.CreateOperationRequest(
            request_id=os.urandom(16),
            card_serial=serial,
            key_ref=0x9A,
            algorithm=17,
            key_use=1,
            inputs=[b"\x11" * 32],
            passcode_proof=Workstation(stub, serial).proof(),
        )
        screen = Screen()
        operation = RemoteOperation(stub, Watches(channel), screen, Cancellation(), time.monotonic)
        reader = threading.Thread(target=lambda: results.append(operation.run(asked)))
        reader.start()
        prompt = screen.read()
        phone = Phone(ada, phone_channel)
        ringing = phone.find(prompt.operation_id)
        keystore.child.kill()
        states: list[str] = []

        def decide() -> None:
            deadline = time.monotonic() + 60
            # what is sent on the connection that was just cut fails
            while not states and time.monotonic() < deadline:
                with suppress(grpc.RpcError):
                    states.append(phone.approve(ringing, prompt.number))

        holder = threading.Thread(target=decide)
        holder.start()
        keystore.restart()
        holder.join(120)
        reader.join(120)
    assert states == ["approved"]
    assert len(results) == 1
    assert isinstance(results[0], bytes)

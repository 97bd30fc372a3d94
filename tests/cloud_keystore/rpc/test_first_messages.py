"""Calls that begin and bring no message end soon, whoever makes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import wraps

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2 as pb
from grpc_health.v1 import health_pb2_grpc
from grpc_status import rpc_status

from cloud_keystore.model.limits import Limits
from cloud_keystore.observability.metrics import Metrics
from cloud_keystore.observability.traces import Traces
from cloud_keystore.rpc.connections.first_messages import Messages
from cloud_keystore.rpc.limits import Limiter
from cloud_keystore.rpc.refusals import Context
from cloud_keystore.rpc.watch import Watch

HEALTH = "/grpc.health.v1.Health"
OURS = "/cloudcard.test.v1.Test"
SLOTS = 20
MESSAGE_SECONDS = 60.0


class Servicer(health_pb2_grpc.HealthServicer):
    """Answers at once."""

    async def Check(
        self, _request: pb.HealthCheckRequest, _context: Context
    ) -> pb.HealthCheckResponse:
        return pb.HealthCheckResponse(status=1)

    async def Watch(
        self, _request: pb.HealthCheckRequest, _context: Context
    ) -> AsyncIterator[pb.HealthCheckResponse]:
        for number in (1, 2):
            yield pb.HealthCheckResponse(status=number)

    async def Listen(self, requests: Messages, context: Context) -> None:
        """Answers by the context."""
        async for _ in requests:
            await context.write(pb.HealthCheckResponse(status=1))

    async def Converse(
        self, requests: AsyncIterator[pb.HealthCheckRequest], _context: Context
    ) -> AsyncIterator[pb.HealthCheckResponse]:
        async for _ in requests:
            yield pb.HealthCheckResponse(status=1)


@asynccontextmanager
async def served(limits: Limits, metrics: Metrics) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a server with room for SLOTS calls, health and a service of ours."""
    limiter, servicer = Limiter(limits, lambda: 0.0, metrics), Servicer()
    server = grpc.aio.server(
        interceptors=(Watch(metrics, Traces(), limiter, 1024),), maximum_concurrent_rpcs=SLOTS
    )
    readers = (pb.HealthCheckRequest.FromString, pb.HealthCheckResponse.SerializeToString)
    handlers = {
        "Check": grpc.unary_unary_rpc_method_handler(servicer.Check, *readers),
        "Watch": grpc.unary_stream_rpc_method_handler(servicer.Watch, *readers),
        "Converse": grpc.stream_stream_rpc_method_handler(servicer.Converse, *readers),
    }
    listening = grpc.stream_stream_rpc_method_handler(servicer.Listen, *readers)
    ours = {"Check": handlers["Check"], "Watch": handlers["Watch"], "Listen": listening}
    named = (HEALTH, {**handlers}), (OURS, ours)
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(name[1:], of) for name, of in named]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        await server.stop(None)


def in_a_loop(test: Callable[..., Coroutine[None, None, None]]) -> Callable[..., None]:
    """Run a test in an event loop of its own."""

    @wraps(test)
    def run(**fixtures: object) -> None:
        asyncio.run(test(**fixtures))

    return run


def refused_by(metrics: Metrics, limit: str) -> float | None:
    return metrics.registry.get_sample_value("cloudcard_limits_hit_total", {"limit": limit})


async def begin(channel: grpc.aio.Channel, method: str) -> grpc.aio.StreamStreamCall[bytes, bytes]:
    """A call whose headers have been sent, and nothing else."""
    call = channel.stream_stream(method)()
    await call.wait_for_connection()
    return call


@dataclass
class Clock:
    """That of the event loop, by which messages are late; a test moves it."""

    ahead: float = 0.0  # seconds

    def __post_init__(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time
        loop.time = lambda: now() + self.ahead  # type: ignore[method-assign]

    async def until_ended(self, *calls: grpc.aio.Call) -> set[grpc.StatusCode]:
        """How calls end whose messages never come."""
        ended = asyncio.gather(*(each.code() for each in calls))
        while not ended.done():
            self.ahead += MESSAGE_SECONDS
            await asyncio.sleep(0.01)
        return {*ended.result()}


async def answers(channel: grpc.aio.Channel, method: str) -> int:
    """How many messages a call gets that brings its own."""
    made = channel.unary_stream(
        method, pb.HealthCheckRequest.SerializeToString, pb.HealthCheckResponse.FromString
    )
    return len([each async for each in made(pb.HealthCheckRequest())])


async def is_served(channel: grpc.aio.Channel) -> bool:
    try:
        return await answers(channel, f"{OURS}/Check") == 1
    except grpc.aio.AioRpcError:
        return False


@pytest.mark.parametrize("method", [f"{HEALTH}/Check", f"{OURS}/Watch"])
@in_a_loop
async def test_calls_without_a_message_end_and_give_their_places_back(method: str) -> None:
    """One identity held 12,800 calls for an hour, and two of them stopped the service."""
    metrics, clock = Metrics(), Clock()
    async with served(
        Limits(message_seconds=MESSAGE_SECONDS, begun_of_one=SLOTS + 1), metrics
    ) as channel:
        begun = await asyncio.gather(*(begin(channel, method) for _ in range(SLOTS)))
        with pytest.raises(grpc.aio.AioRpcError) as full:
            await answers(channel, method)
        assert full.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await clock.until_ended(*begun) == {grpc.StatusCode.DEADLINE_EXCEEDED}
        assert refused_by(metrics, "message") == SLOTS
        assert await answers(channel, method) == (2 if method.endswith("Watch") else 1)


@in_a_loop
async def test_one_caller_begins_so_many_calls_at_once() -> None:
    """Whoever began new calls as the old ones ended had all places for ever."""
    metrics = Metrics()
    async with served(Limits(message_seconds=60, begun_of_one=5), metrics) as channel:
        begun = [await begin(channel, f"{OURS}/Check") for _ in range(SLOTS)]
        refused = begun[5:]
        codes = {await asyncio.wait_for(each.code(), 60) for each in refused}
        assert codes == {grpc.StatusCode.RESOURCE_EXHAUSTED}
        status = await rpc_status.aio.from_call(refused[0])
        info = error_details_pb2.ErrorInfo()
        assert status is not None
        assert status.details[0].Unpack(info)
        assert info.reason == "TOO_MANY_CALLS"
        assert not any(each.done() for each in begun[:5])
        for each in begun[:5]:
            each.cancel()
        assert refused_by(metrics, "begun") == SLOTS - 5
        async with asyncio.timeout(60):
            while not await is_served(channel):  # until the server has noticed
                await asyncio.sleep(0.01)


@in_a_loop
async def test_a_call_that_ends_without_a_message_is_the_callers_fault() -> None:
    """It was never answered, and kept its place while its connection lasted."""
    async with served(Limits(), Metrics()) as channel:
        for method in (f"{HEALTH}/Check", f"{OURS}/Watch"):
            call = await begin(channel, method)
            await call.done_writing()
            assert await asyncio.wait_for(call.code(), 60) is grpc.StatusCode.INVALID_ARGUMENT


@in_a_loop
async def test_a_conversation_has_that_long_for_each_message() -> None:
    clock = Clock()
    async with served(Limits(message_seconds=MESSAGE_SECONDS), Metrics()) as channel:
        call = await begin(channel, f"{HEALTH}/Converse")
        for _ in range(3):
            await call.write(b"")
            assert await call.read() == b"\x08\x01"
            clock.ahead += MESSAGE_SECONDS * 2 / 3
        assert await clock.until_ended(call) == {grpc.StatusCode.DEADLINE_EXCEEDED}
        ended = await begin(channel, f"{HEALTH}/Converse")
        await ended.done_writing()
        assert await asyncio.wait_for(ended.code(), 60) is grpc.StatusCode.OK


@in_a_loop
async def test_of_a_stream_of_ours_only_the_first_message_has_to_come_in_time() -> None:
    """Who is silent later is not among those whose calls have brought no message."""
    metrics, clock = Metrics(), Clock()
    limits = Limits(message_seconds=MESSAGE_SECONDS, begun_of_one=1)
    async with served(limits, metrics) as channel:
        call = await begin(channel, f"{OURS}/Listen")
        await call.write(b"")
        assert await call.read() == b"\x08\x01"
        silent = await begin(channel, f"{OURS}/Listen")
        assert await clock.until_ended(silent) == {grpc.StatusCode.DEADLINE_EXCEEDED}
        await call.write(b"")
        assert await call.read() == b"\x08\x01"
        await call.done_writing()
        assert await asyncio.wait_for(call.code(), 60) is grpc.StatusCode.OK
        assert metrics.registry.get_sample_value("cloudcard_rpc_under_way") == 0


@pytest.mark.parametrize(
    ("message", "end"),
    [
        (b"\xff", grpc.StatusCode.INVALID_ARGUMENT),  # no message
        (b"\n\xd0\x0f" + b"x" * 2000, grpc.StatusCode.INVALID_ARGUMENT),  # too large
    ],
)
@in_a_loop
async def test_how_a_stream_of_ours_ends(message: bytes, end: grpc.StatusCode) -> None:
    metrics = Metrics()
    async with served(Limits(), metrics) as channel:
        call = await begin(channel, f"{OURS}/Listen")
        await call.write(message)
        assert await asyncio.wait_for(call.code(), 60) is end
        assert await is_served(channel)
    # A caller can know the end before it is counted.
    counted = {"method": f"{OURS}/Listen", "code": end.name}
    assert metrics.registry.get_sample_value("cloudcard_rpc_calls_total", counted) == 1

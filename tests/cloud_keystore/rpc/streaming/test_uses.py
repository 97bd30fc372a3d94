"""Streams of uses: what is answered under which number, what a stream holds, and how it ends."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import pytest
from structlog.testing import capture_logs

from cloud_keystore.custody.use.using_sessions import Used, UseRequest
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.limits import RATES, Limits, Rate
from cloud_keystore.model.people import Role, User
from cloud_keystore.model.policies import Policy
from cloud_keystore.notify.wakeups import Wakeups
from cloud_keystore.observability.metrics import Metrics
from cloud_keystore.rpc.door import Door
from cloud_keystore.rpc.gathering import Gatherer
from cloud_keystore.rpc.limits import Limiter
from cloud_keystore.rpc.streaming import uses
from cloud_keystore.rpc.streaming.uses import UseStreams
from cloudcard.workstation.v1 import workstation_pb2 as pb
from support import stream_lines
from support.keystore_world import DIGEST, TERMS, Enrolled, World, verify
from support.stream_lines import SECONDS, Clock, CutOff, counted, in_a_loop, pem, until

TRACE = "0af7651916cd43dd8448eb211c80319c"
Run: TypeAlias = "Callable[[Sequence[UseRequest], Callable[[int, Used | Exception], None]], None]"


@dataclass
class Line(stream_lines.Line[pb.UseSessionsResponse]):
    """A stream of uses."""

    def ask(
        self,
        number: int,
        session_id: str,
        *inputs: bytes,
        request_id: bytes = b"",
        traceparent: str = "",
    ) -> None:
        asked = pb.UseSessionRequest(
            session_id=session_id,
            request_id=request_id or os.urandom(16),
            inputs=inputs or (DIGEST,),
        )
        self.sent.put_nowait(
            pb.UseSessionsRequest(number=number, use=asked, traceparent=traceparent)
        )

    async def several(self, count: int) -> dict[int, pb.UseSessionsResponse]:
        """So many outcomes by number."""
        found = [await self.outcome() for _ in range(count)]
        return {each.number: each for each in found}


@dataclass
class Place:
    """The streams of one process."""

    streams: UseStreams
    wakeups: Wakeups
    metrics: Metrics
    cut_off: list[str]

    def open(self, who: Enrolled) -> Line:
        line = Line(pem(who))
        line.begin(self.streams)
        return line

    def counted(self, name: str, **labels: str) -> float:
        return counted(self.metrics, name, **labels)


@asynccontextmanager
async def served(world: World, run: Run | None = None, **bursts: int) -> AsyncIterator[Place]:
    """Streams at which no time passes, and `run` or the world's sessions take the uses."""
    rates = {name: Rate(1, bursts.get(name, 1000)) for name in RATES}
    metrics, wakeups = Metrics(), Wakeups(asyncio.get_running_loop())
    limiter = Limiter(Limits(rates=rates, message_seconds=SECONDS), lambda: 0.0, metrics)
    cut_off: list[str] = []
    limiter.connections = CutOff(told=cut_off)
    door = Door(world.callers, limiter, Role.WORKSTATION)
    gatherer = Gatherer(run or world.sessions.use_all, world.sessions.write_results)
    yield Place(UseStreams(door, gatherer, wakeups, metrics), wakeups, metrics, cut_off)


@dataclass
class Held:
    """Holds groups of uses back until they are let go, and answers each with its request's id."""

    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(
        self, requests: Sequence[UseRequest], done: Callable[[int, Used | Exception], None]
    ) -> None:
        self.loop.call_soon_threadsafe(self.begun.set)
        asyncio.run_coroutine_threadsafe(self.go.wait(), self.loop).result(SECONDS)
        for place, each in enumerate(requests):
            done(place, Used((each.request_id,), 1, "workstation"))


@pytest.fixture
def session_id(world: World, serial: str, pc: Enrolled, ada: tuple[User, Enrolled]) -> str:
    """An open session."""
    world.set_policy(Policy(session=replace(TERMS, most_uses=50)))
    return world.session(serial, pc, ada[1], replace(TERMS, most_uses=50)).id


@in_a_loop
async def test_each_use_is_answered_under_its_number(
    world: World, serial: str, pc: Enrolled, session_id: str
) -> None:
    async with served(world) as place:
        line = place.open(pc)
        digests = {number: os.urandom(32) for number in (7, 0, 4_294_967_295)}
        for number, digest in digests.items():
            line.ask(number, session_id, digest)
        outcomes = await line.several(3)
        for number, digest in digests.items():
            verify(world, serial, 0x9A, outcomes[number].used.results[0], digest)
        assert {each.used.uses_left for each in outcomes.values()} == {47, 48, 49}
        line.sent.put_nowait(None)
        assert await line.reason() == "OK"


@in_a_loop
async def test_a_refusal_concerns_its_use_alone(
    world: World, pc: Enrolled, session_id: str
) -> None:
    async with served(world) as place:
        line = place.open(pc)
        line.ask(1, session_id, b"x" * 100)
        line.ask(2, "no such session")
        line.ask(3, session_id)
        outcomes = await line.several(3)
        said = {number: each.refusal for number, each in outcomes.items()}
        assert (said[1].code, said[1].reason) == (3, "MALFORMED_KEY_INPUT")
        assert "digest" in said[1].text
        assert not said[1].HasField("retry_delay")
        assert (said[2].code, said[2].reason) == (5, "SESSION_NOT_FOUND")
        assert outcomes[3].WhichOneof("outcome") == "used"
        assert place.counted("cloudcard_uses_total", code="OK") == 1
        assert place.counted("cloudcard_uses_total", code="NOT_FOUND") == 1
        assert place.counted("cloudcard_refusals_total", reason="MALFORMED_KEY_INPUT") == 1


@in_a_loop
async def test_each_use_is_counted_against_the_callers_limit_and_the_stream_stays(
    world: World, pc: Enrolled, session_id: str
) -> None:
    async with served(world, workstation=3) as place:  # the stream itself is one call
        line = place.open(pc)
        for number in range(4):
            line.ask(number, session_id)
        outcomes = await line.several(4)
        refused = [each.refusal for each in outcomes.values() if each.HasField("refusal")]
        assert [(each.code, each.reason) for each in refused] == [(8, "TOO_MANY_CALLS")] * 2
        assert {each.retry_delay.seconds for each in refused} == {1}
        assert not line.serving.done()
        assert place.counted("cloudcard_limits_hit_total", limit="workstation") == 2


@in_a_loop
async def test_a_repeated_request_gets_its_earlier_results_under_another_number(
    world: World, pc: Enrolled, session_id: str
) -> None:
    async with served(world) as place:
        line, request_id = place.open(pc), os.urandom(16)
        for number in (1, 1, 2):  # its numbers are the caller's own business
            line.ask(number, session_id, request_id=request_id)
        outcomes = [await line.outcome() for _ in range(3)]
        assert Counter(each.number for each in outcomes) == {1: 2, 2: 1}
        assert len({each.used.results[0] for each in outcomes}) == 1
        assert {each.used.uses_left for each in outcomes} == {49}


@in_a_loop
async def test_nobody_else_uses_a_session(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, session_id: str
) -> None:
    other = world.workstation("PC2")
    async with served(world) as place:
        line = place.open(other)
        line.ask(1, session_id)
        assert (await line.outcome()).refusal.reason == "SESSION_NOT_FOUND"
        assert await place.open(ada[1]).reason() == "IDENTITY_REJECTED"
        first = place.open(pc)
        first.ask(1, session_id)
        assert (await first.outcome()).used.uses_left == 49


@in_a_loop
async def test_who_is_removed_loses_the_stream(world: World, pc: Enrolled, session_id: str) -> None:
    async with served(world) as place:
        line = place.open(pc)
        line.ask(1, session_id)
        await line.outcome()
        world.identities.remove(Role.WORKSTATION, pc.identity.id, "gone", world.operator().identity)
        line.ask(2, session_id)
        assert await line.reason() == "IDENTITY_REJECTED"
        assert line.outcomes.empty()


@in_a_loop
async def test_a_renewed_workstation_keeps_its_sessions(
    world: World, pc: Enrolled, session_id: str
) -> None:
    renewed = world.renewed(pc)
    async with served(world) as place:
        for number, each in enumerate((renewed, pc)):  # the old stream can go on for a day
            line = place.open(each)
            line.ask(1, session_id)
            assert (await line.outcome()).used.uses_left == 49 - number


@in_a_loop
async def test_so_many_are_read_and_not_answered(
    world: World, pc: Enrolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uses, "MOST_UNDER_WAY", 3)
    async with served(world, held := Held()) as place:
        line = place.open(pc)
        line.takes.clear()
        for number in range(10):
            line.ask(number, "session")
        await held.begun.wait()
        await until(lambda: line.read == 3)
        held.go.set()
        await until(lambda: place.counted("cloudcard_uses_total", code="OK") == 3)
        assert line.read == 3  # an outcome that nobody takes holds its place
        line.takes.set()
        assert len(await line.several(10)) == 10


@in_a_loop
async def test_so_many_bytes_are_read_and_not_answered(
    world: World, pc: Enrolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uses, "MOST_BYTES", 2000)
    async with served(world, held := Held()) as place:
        line = place.open(pc)
        for number in range(6):
            line.ask(number, "session", bytes(900))
        await held.begun.wait()
        await until(lambda: line.read == 3)
        held.go.set()
        assert len(await line.several(6)) == 6


@in_a_loop
async def test_who_takes_no_outcomes_is_cut_off(world: World, pc: Enrolled) -> None:
    clock = Clock()
    async with served(world, held := Held()) as place:
        line = place.open(pc)
        line.takes.clear()
        held.go.set()
        line.ask(1, "session")
        await until(lambda: place.counted("cloudcard_uses_total", code="OK") == 1)
        assert place.counted("cloudcard_rpc_streams") == 1
        for _ in range(500):
            clock.ahead += SECONDS
            await asyncio.sleep(0.01)
            if line.serving.done():
                break
        assert line.serving.cancelled()
        assert place.cut_off == [line.peer()]
        assert place.counted("cloudcard_rpc_streams") == 0
        assert place.counted("cloudcard_limits_hit_total", limit="outcomes") == 1


@in_a_loop
async def test_what_was_read_is_answered_when_the_stream_ends(world: World, pc: Enrolled) -> None:
    """By its caller, by its time, and when the process stops."""
    for end, how in (("caller", "OK"), ("time", "OK"), ("stop", "STOPPING")):
        clock = Clock()
        async with served(world, held := Held()) as place:
            line = place.open(pc)
            line.ask(1, "session")
            await held.begun.wait()
            match end:
                case "caller":
                    line.sent.put_nowait(None)
                case "time":
                    clock.ahead += uses.STREAM_SECONDS
                    place.wakeups.wake_here([""])
                case "stop":
                    place.wakeups.close()
            for _ in range(5):
                await asyncio.sleep(0)
            if end != "caller":
                line.ask(2, "session")  # it is not read any more
            assert not line.serving.done()
            held.go.set()
            assert await line.reason() == how
            assert (line.read, line.outcomes.qsize()) == (1, 1)


@in_a_loop
async def test_bytes_that_are_no_message_end_it_after_what_was_read(
    world: World, pc: Enrolled
) -> None:
    async with served(world, held := Held()) as place:
        line = place.open(pc)
        line.ask(1, "session")
        line.sent.put_nowait(InvalidInput("this is no message"))
        await held.begun.wait()
        held.go.set()
        assert await line.reason() == "INVALID_INPUT"
        assert line.outcomes.qsize() == 1


@in_a_loop
async def test_each_use_is_logged_under_its_own_trace(
    world: World, pc: Enrolled, session_id: str
) -> None:
    async with served(world) as place:
        line = place.open(pc)
        with capture_logs() as logged:
            line.ask(1, session_id, traceparent=f"00-{TRACE}-b7ad6b7169203331-01")
            await line.outcome()
            line.ask(2, session_id, b"", traceparent="malformed")
            await line.outcome()
    facts = {"event": "use", "role": "workstation", "identity": pc.identity.id}
    first, second = ({k: v for k, v in each.items() if k != "ms"} for each in logged)
    assert first == {**facts, "code": "OK", "trace_id": TRACE, "log_level": "info"}
    assert second == {
        **facts,
        "code": "INVALID_ARGUMENT",
        "reason": "MALFORMED_KEY_INPUT",
        "trace_id": line.call.trace_id,
        "log_level": "info",
    }


@in_a_loop
async def test_a_fault_of_ours_tells_only_its_incident(world: World, pc: Enrolled) -> None:
    def run(_: Sequence[UseRequest], done: Callable[[int, Used | Exception], None]) -> None:
        done(0, ValueError("135790"))

    async with served(world, run) as place:
        line = place.open(pc)
        line.ask(1, "session")
        said = (await line.outcome()).refusal
        assert (said.code, said.reason) == (13, "INTERNAL")
        assert "135790" not in said.text

"""Streams that watch operations: what is told of each, what a stream holds, and how it ends."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.limits import RATES, Limits, Rate
from cloud_keystore.model.operations import Channel, Decision, Shown, State
from cloud_keystore.model.people import Identity, Role, User
from cloud_keystore.notify.wakeups import Wakeups
from cloud_keystore.observability.metrics import Metrics
from cloud_keystore.operations.asking import Asking
from cloud_keystore.people.callers import Callers
from cloud_keystore.rpc.door import Door
from cloud_keystore.rpc.limits import STREAM_SECONDS, Limiter
from cloud_keystore.rpc.streaming import watches
from cloud_keystore.rpc.streaming.messages import operation
from cloud_keystore.rpc.streaming.watches import MOST_NAMED, WatchStreams
from cloudcard.workstation.v1 import workstation_pb2 as pb
from support import stream_lines
from support.keystore_world import PC, Enrolled, World
from support.stream_lines import SECONDS, Clock, CutOff, counted, in_a_loop, pem, self_signed, until

PENDING, APPROVED = State.PENDING, State.APPROVED
NOWHERE = "0190b6a0-0000-7000-8000-000000000001"
LONG = 2 * 75.0  # seconds, after which a stream has looked at everything
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
OF_ONE = "watched operations of one"
# Of callers whom nobody checks
PEM, OTHER = (self_signed(ec.generate_private_key(ec.SECP256R1())) for _ in range(2))


class Line(stream_lines.Line[pb.WatchOperationsResponse]):
    """A stream that watches operations."""

    def watch(self, *ids: str, leave: Iterable[str] = ()) -> None:
        self.sent.put_nowait(pb.WatchOperationsRequest(watch=ids, leave=leave))

    async def told(self) -> tuple[str, State]:
        """Of which operation it is told, and its state."""
        said = await self.outcome()
        assert said.operation.id == said.operation_id
        return said.operation_id, State(said.operation.state)

    async def refusal(self) -> tuple[str, pb.Refusal]:
        said = await self.outcome()
        assert said.WhichOneof("outcome") == "refusal"
        return said.operation_id, said.refusal


@dataclass
class Place:
    """The streams of one process."""

    streams: WatchStreams
    wakeups: Wakeups
    metrics: Metrics
    cut_off: list[str]
    now: list[float]  # by the clock of the limits

    def open(self, certificate: bytes) -> Line:
        line = Line(certificate)
        line.begin(self.streams)
        return line

    @property
    def watched(self) -> float:
        return counted(self.metrics, "cloudcard_operations_watched")

    def is_empty(self) -> bool:
        """Whether nothing of a stream is left."""
        streams = counted(self.metrics, "cloudcard_rpc_streams")
        return (self.watched, streams, self.wakeups.listening) == (0, 0, {})


@asynccontextmanager
async def served(
    asking: Asking, callers: Callers, burst: int = 1000, **limits: int
) -> AsyncIterator[Place]:
    rates = {name: Rate(1, burst) for name in RATES}
    metrics, wakeups = Metrics(), Wakeups(asyncio.get_running_loop())
    now = [0.0]
    made = Limits(rates=rates, message_seconds=SECONDS, **limits)  # type: ignore[arg-type]
    limiter = Limiter(made, lambda: now[0], metrics)
    cut_off: list[str] = []
    limiter.connections = CutOff(told=cut_off)
    door = Door(callers, limiter, Role.WORKSTATION)
    streams = WatchStreams(door, asking, wakeups, metrics)
    yield Place(streams, wakeups, metrics, cut_off, now)


@dataclass
class Scripted:
    """Operations of which only the state is known, and a caller who has them all."""

    states: dict[str, State] = field(default_factory=dict)
    looked_at: list[Collection[str]] = field(default_factory=list)
    go: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.go.set()

    def look(self, operation_ids: Collection[str], _workstation: Identity) -> list[Shown]:
        self.looked_at.append(operation_ids)
        assert self.go.wait(SECONDS)
        return [
            Shown(each, self.states[each], "", "", NOW, NOW, NOW)
            for each in operation_ids
            if each in self.states
        ]

    def identify(self, _fingerprint: bytes, _role: Role | None) -> Identity:
        return PC

    def heard(self, _said: str, _caller: Identity) -> None:
        """Nobody asks what it said."""


def scripted(script: Scripted, **limits: int) -> AbstractAsyncContextManager[Place]:
    """Streams of a script."""
    return served(cast(Asking, script), cast(Callers, script), **limits)


def of(world: World) -> AbstractAsyncContextManager[Place]:
    """Streams of a keystore."""
    return served(world.asking, world.callers)


@in_a_loop
async def test_each_operation_is_told_at_first_and_when_it_changes(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    user, phone = ada
    approved, denied, quiet = (world.ask(world.card(user), pc) for _ in range(3))
    async with of(world) as place:
        line = place.open(pem(pc))
        line.watch(approved.id, denied.id)
        line.watch(quiet.id)
        told = {await line.told() for _ in range(3)}
        assert told == {(each.id, PENDING) for each in (approved, denied, quiet)}
        for each, decision in ((denied, Decision.DENY), (approved, Decision.APPROVE)):
            state = world.decide(each, phone, decision)
            place.wakeups.wake([each.id])
            assert await line.told() == (each.id, state)
        assert place.watched == 1
        line.sent.put_nowait(None)
        world.asking.cancel(quiet.id, pc.identity)
        place.wakeups.wake([quiet.id])
        assert await line.told() == (quiet.id, State.CANCELLED)
        assert await line.reason() == "OK"
        assert line.outcomes.empty()
        assert place.is_empty()


@in_a_loop
async def test_the_operation_is_what_the_workstation_has_to_show(
    world: World, serial: str, pc: Enrolled
) -> None:
    made = world.ask(serial, pc, channels=(Channel.PUSH, Channel.QR))
    async with of(world) as place:
        line = place.open(pem(pc))
        line.watch(made.id)
        qr_text = world.asking.qr_text(made.id, pc.identity)
        shown = operation(Shown.of(made, world.clock(), qr_text))
        assert (await line.outcome()).operation == shown
        assert (shown.number, shown.qr_text) == (made.number, qr_text)
        assert qr_text


@in_a_loop
async def test_nobody_watches_what_another_has_asked_for(
    world: World, serial: str, pc: Enrolled
) -> None:
    """Nor learns whether there is such an operation, or when somebody's phone rings."""
    foreign = world.ask(serial, pc)
    other = world.workstation("PC2")
    async with of(world) as place:
        line = place.open(pem(other))
        line.watch(foreign.id, foreign.user_id, NOWHERE, "")
        refused = dict([await line.refusal() for _ in range(4)])
        assert refused.keys() == {foreign.id, foreign.user_id, NOWHERE, ""}
        (said,) = {each.SerializeToString() for each in refused.values()}
        assert pb.Refusal.FromString(said).reason == "OPERATION_NOT_FOUND"
        assert not line.serving.done()
        assert (place.watched, place.wakeups.listening) == (0, {})


@in_a_loop
async def test_a_phone_watches_nothing(world: World, ada: tuple[User, Enrolled]) -> None:
    async with of(world) as place:
        assert await place.open(pem(ada[1])).reason() == "IDENTITY_REJECTED"


@in_a_loop
async def test_who_is_removed_is_told_nothing_more(world: World, serial: str, pc: Enrolled) -> None:
    made = world.ask(serial, pc)
    async with of(world) as place:
        line = place.open(pem(pc))
        line.watch(made.id)
        await line.told()
        operator = world.operator().identity
        world.identities.remove(Role.WORKSTATION, pc.identity.id, "gone", operator)
        place.wakeups.wake([made.id])  # it is withdrawn
        assert await line.reason() == "IDENTITY_REJECTED"
        assert line.outcomes.empty()
        assert place.is_empty()


@in_a_loop
async def test_a_renewed_workstation_goes_on(world: World, serial: str, pc: Enrolled) -> None:
    made = world.ask(serial, pc)
    renewed = world.renewed(pc)
    async with of(world) as place:
        for each in (renewed, pc):  # the old stream can go on for a day
            line = place.open(pem(each))
            line.watch(made.id)
            assert await line.told() == (made.id, PENDING)


@pytest.mark.parametrize(
    "ids",
    [[NOWHERE] * (MOST_NAMED + 1), [""] * 100_000, ["x" * 65]],
    ids=["257", "100,000", "a long one"],
)
@pytest.mark.parametrize("which", ["watch", "leave"])
@in_a_loop
async def test_a_message_that_names_too_much_ends_the_stream(which: str, ids: list[str]) -> None:
    async with scripted(script := Scripted({"a": PENDING})) as place:
        line = place.open(PEM)
        line.watch("a")
        await line.told()
        line.sent.put_nowait(pb.WatchOperationsRequest(**{which: ids}))
        assert await line.reason() == "INVALID_INPUT"
        assert len(script.looked_at) == 1
        assert place.is_empty()


@in_a_loop
async def test_bytes_that_are_no_message_end_the_stream() -> None:
    async with scripted(Scripted({"a": PENDING})) as place:
        line = place.open(PEM)
        line.watch("a")
        await line.told()
        line.sent.put_nowait(InvalidInput("this is no message"))
        assert await line.reason() == "INVALID_INPUT"
        assert place.is_empty()


@in_a_loop
async def test_what_is_left_is_told_no_more() -> None:
    async with scripted(script := Scripted({"a": PENDING, "b": PENDING})) as place:
        line = place.open(PEM)
        line.watch("a", "b")
        assert {await line.told() for _ in range(2)} == {("a", PENDING), ("b", PENDING)}
        line.watch(leave=["a", "never watched"])
        await until(lambda: place.watched == 1)
        script.states["a"] = script.states["b"] = APPROVED
        place.wakeups.wake(["a", "b"])
        assert await line.told() == ("b", APPROVED)
        assert place.wakeups.listening == {}
        line.watch("a", leave=["a"])  # what is in both is watched
        assert await line.told() == ("a", APPROVED)
        assert line.outcomes.empty()


@in_a_loop
async def test_what_is_left_while_it_is_looked_at_is_not_told() -> None:
    async with scripted(script := Scripted({"a": APPROVED, "b": APPROVED})) as place:
        script.go.clear()
        line = place.open(PEM)
        line.watch("a")
        await until(lambda: len(script.looked_at) == 1)
        line.watch("b", leave=["a"])
        await until(lambda: line.read == 2)
        script.go.set()
        assert await line.told() == ("b", APPROVED)
        assert line.outcomes.empty()
        assert place.watched == 0


@in_a_loop
async def test_what_is_watched_again_is_told_again() -> None:
    async with scripted(Scripted({"a": PENDING})) as place:
        line = place.open(PEM)
        for _ in range(3):
            line.watch("a", "a")
            assert await line.told() == ("a", PENDING)
        assert place.watched == 1


@in_a_loop
async def test_of_one_workstation_so_many_wait_over_all_its_streams() -> None:
    states = dict.fromkeys("abcdef", PENDING)
    async with scripted(Scripted(states), watched_of_one=4) as place:
        first, second = place.open(PEM), place.open(PEM)
        first.watch("a", "b")
        for _ in range(2):
            await first.told()
        second.watch("a", "b", "c")
        said = [await second.outcome() for _ in range(3)]
        (refused,) = (each for each in said if each.HasField("refusal"))
        assert (refused.operation_id, refused.refusal.reason) == ("c", "TOO_MANY_CALLS")
        assert refused.refusal.retry_delay.seconds == STREAM_SECONDS
        assert counted(place.metrics, "cloudcard_limits_hit_total", limit=OF_ONE) == 1
        first.sent.put_nowait(InvalidInput("it ends"))
        await first.reason()
        second.watch("c", "d")
        assert {(await second.told())[0] for _ in range(2)} == {"c", "d"}


@in_a_loop
async def test_of_all_together_so_many_wait() -> None:
    async with scripted(Scripted(dict.fromkeys("abc", PENDING)), watched=2) as place:
        line, other = place.open(PEM), place.open(OTHER)
        line.watch("a", "b")
        for _ in range(2):
            await line.told()
        other.watch("c")
        assert (await other.refusal())[1].reason == "OVERLOADED"
        line.watch(leave=["a"])
        await until(lambda: place.watched == 1)
        other.watch("c")
        assert await other.told() == ("c", PENDING)


@in_a_loop
async def test_who_adds_and_takes_back_without_end_is_read_at_the_callers_rate() -> None:
    """Each that is named counts as a call, and so does a message that adds nothing."""
    async with scripted(Scripted({"a": PENDING}), burst=6) as place:  # the stream is one call
        clock = Clock()
        line = place.open(PEM)
        line.watch("a", "a")
        line.watch(leave=["a"])
        line.watch()
        line.watch("a")
        for _ in range(10):
            line.watch(leave=["a"])
        await until(lambda: line.read == 5 and place.watched == 0)
        for _ in range(3):
            place.now[0] += 1
            clock.ahead += 1
            await until(lambda: line.read == 5 + place.now[0])
        assert not line.serving.done()
        assert counted(place.metrics, "cloudcard_limits_hit_total", limit="workstation") >= 4


@in_a_loop
async def test_so_many_are_read_and_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watches, "MOST_UNTOLD", 3)
    monkeypatch.setattr(watches, "LOOKED_AT", 1)
    states = {str(number): PENDING for number in range(10)}
    async with scripted(script := Scripted(states)) as place:
        line = place.open(PEM)
        line.takes.clear()
        for each in states:
            line.watch(each)
        await until(lambda: line.read >= 3 and len(script.looked_at) == 1)
        await asyncio.sleep(0.05)
        assert line.read <= 4  # one of them is on its way to the caller
        line.takes.set()
        assert {await line.told() for _ in range(10)} == set(states.items())


@in_a_loop
async def test_so_many_refusals_are_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watches, "MOST_UNTOLD", 3)
    async with scripted(Scripted(), watched_of_one=0) as place:
        line = place.open(PEM)
        line.takes.clear()
        for number in range(10):
            line.watch(str(number))
        await until(lambda: line.read >= 3)
        await asyncio.sleep(0.05)
        assert line.read <= 4
        line.takes.set()
        assert len({(await line.refusal())[0] for _ in range(10)}) == 10


@in_a_loop
async def test_who_takes_nothing_is_cut_off() -> None:
    clock = Clock()
    async with scripted(Scripted({"a": PENDING})) as place:
        line = place.open(PEM)
        line.takes.clear()
        line.watch("a")
        await until(lambda: place.watched == 1)
        for _ in range(500):
            clock.ahead += SECONDS
            await asyncio.sleep(0.01)
            if line.serving.done():
                break
        assert line.serving.cancelled()
        assert place.cut_off == [line.peer()]
        assert counted(place.metrics, "cloudcard_limits_hit_total", limit="outcomes") == 1
        assert place.is_empty()


@in_a_loop
async def test_a_lost_wake_up_costs_a_while() -> None:
    clock = Clock()
    async with scripted(script := Scripted({"a": PENDING, "b": PENDING})) as place:
        line = place.open(PEM)
        line.watch("a", "b")
        for _ in range(2):
            await line.told()
        script.states["a"] = State.EXPIRED
        looks = len(script.looked_at)
        await asyncio.sleep(0.05)
        assert len(script.looked_at) == looks
        clock.ahead += LONG
        line.watch()  # the event loop has to notice
        assert await line.told() == ("a", State.EXPIRED)
        assert not line.serving.done()


@in_a_loop
async def test_a_stream_with_nothing_to_watch_ends_after_a_while() -> None:
    clock = Clock()
    async with scripted(Scripted({"a": APPROVED})) as place:
        line = place.open(PEM)
        line.watch("a")
        await line.told()
        clock.ahead += LONG
        line.watch()
        assert await line.reason() == "OK"
        assert place.is_empty()


@in_a_loop
async def test_it_ends_when_the_process_stops() -> None:
    async with scripted(Scripted({"a": PENDING})) as place:
        line = place.open(PEM)
        line.watch("a")
        await line.told()
        place.wakeups.close()
        assert await line.reason() == "STOPPING"
        assert place.is_empty()


@in_a_loop
async def test_many_are_looked_at_together_and_what_was_woken_before_the_others() -> None:
    clock = Clock()
    ids = [str(number) for number in range(250)]
    async with scripted(script := Scripted(dict.fromkeys(ids, PENDING))) as place:
        line = place.open(PEM)
        line.watch(*ids)
        assert {await line.told() for _ in ids} == {(each, PENDING) for each in ids}
        assert max(map(len, script.looked_at)) <= watches.LOOKED_AT
        script.looked_at.clear()
        script.states["7"] = APPROVED
        clock.ahead += LONG
        place.wakeups.wake_here(["7"])
        assert await line.told() == ("7", APPROVED)
        assert script.looked_at[0] == ["7"]
        await until(lambda: sum(map(len, script.looked_at)) == 250)
        assert len(script.looked_at) <= 4


Move = tuple[str, str]


def moves() -> SearchStrategy[list[Move]]:
    """What callers and holders do, in any order."""
    ids = st.sampled_from("abcde")
    return st.lists(st.tuples(st.sampled_from(["watch", "leave", "approve", "lose"]), ids))


@settings(max_examples=30, deadline=None)
@given(moves=moves())
def test_whatever_happens_in_any_order_each_end_is_told_once(moves: list[Move]) -> None:
    """The last that is told of what is watched is its state, and nothing else is kept."""

    async def run() -> None:
        clock, script = Clock(), Scripted(dict.fromkeys("abcde", PENDING))
        watched, asked = set[str](), Counter[str]()
        async with scripted(script, burst=100_000) as place:
            line = place.open(PEM)
            for what, each in moves:
                if what == "watch":
                    line.watch(each)
                    watched.add(each)
                    asked[each] += 1
                elif what == "leave":
                    line.watch(leave=[each])
                    watched.discard(each)
                else:
                    script.states[each] = APPROVED
                    if what == "approve":
                        place.wakeups.wake_here([each])
                await asyncio.sleep(0)
            sent = sum(what in ("watch", "leave") for what, _ in moves)
            await until(lambda: line.read == sent)
            clock.ahead += LONG  # what was lost is found
            line.watch()
            waiting = {each for each in watched if script.states[each] is PENDING}
            await until(lambda: place.watched == len(waiting))
            line.sent.put_nowait(None)
            for each in waiting:
                script.states[each] = State.DENIED
            place.wakeups.wake_here(waiting)
            assert await line.reason() == "OK"
            assert place.is_empty()
            told: dict[str, list[State]] = {}
            while not line.outcomes.empty():
                each, state = await line.told()
                told.setdefault(each, []).append(state)
            assert {each: told[each][-1] for each in watched} == {
                each: script.states[each] for each in watched
            }
            for each, states in told.items():
                assert sum(state is not PENDING for state in states) <= asked[each]
                assert len(states) <= asked[each] + 1

    asyncio.run(run())

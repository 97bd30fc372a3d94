"""The client in Python: it reads and says what the native one does (tools/bench/main.c)."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import grpc
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_der_public_key

from card_os.uses import REQUEST_ID_BYTES
from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard.workstation.v1.workstation_pb2_grpc import WorkstationServiceStub
from cloudcard_tools.bench.signing.inputs import INPUTS, is_signed
from cloudcard_tools.shared.reaching import DIRECTLY
from reader_bridge.remote.uses import timed

if TYPE_CHECKING:
    from cloudcard.workstation.v1.workstation_pb2_grpc import WorkstationServiceAsyncStub


Stream: TypeAlias = "grpc.aio.StreamStreamCall[pb.UseSessionsRequest, pb.UseSessionsResponse]"


class WrongAnswer(Exception):
    """The keystore has answered something else than was asked for."""


@dataclass(frozen=True, slots=True)
class Session:
    """An open session."""

    id: str
    workstation: int
    key: PublicKeyTypes


@dataclass(frozen=True, slots=True)
class Plan:
    """A run, as its line says."""

    kind: str
    input: str
    batch: int
    in_flight: int
    seconds: float
    least: int
    checks: int

    @classmethod
    def parse(cls, words: Sequence[str]) -> Plan:
        """The plan in the words of a line. Raises ValueError."""
        kind, name, batch, in_flight, seconds, least, checks = words
        return cls(kind, name, int(batch), int(in_flight), float(seconds), int(least), int(checks))


class Place:
    """A workstation's connection, and its stream while one is open."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.stub: WorkstationServiceAsyncStub = WorkstationServiceStub(channel)
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[pb.UseSessionResponse]] = {}
        self._writing = asyncio.Lock()
        self._stream: Stream | None = None
        self._listener: asyncio.Task[None] | None = None

    def open_stream(self) -> None:
        """Open a stream, on which outcomes come in any order."""
        self._stream = self.stub.UseSessions()
        self._listener = asyncio.create_task(self._listen(self._stream))

    async def close_stream(self) -> None:
        """End the stream, if there is one. Raises WrongAnswer and grpc.RpcError."""
        if self._stream is not None and self._listener is not None:
            await self._stream.done_writing()
            await self._listener
        self._stream = self._listener = None

    async def stream(self, use: pb.UseSessionRequest) -> pb.UseSessionResponse:
        """Use a session over the stream. Raises WrongAnswer and grpc.RpcError."""
        if self._stream is None:
            raise WrongAnswer("there is no stream")
        number = next(self._numbers)
        # The outcome may come before the write returns, and who listens then forgets the number.
        outcome: asyncio.Future[pb.UseSessionResponse] = asyncio.get_running_loop().create_future()
        self._waiting[number] = outcome
        async with self._writing:
            await self._stream.write(pb.UseSessionsRequest(number=number, use=use))
        return await outcome

    async def _listen(self, stream: Stream) -> None:
        """Hand each outcome to the one who waits for it. Nobody waits for those that are missing at
        the end.
        """
        try:
            async for response in stream:
                waiting = self._waiting.pop(response.number)
                if response.WhichOneof("outcome") == "used":
                    waiting.set_result(response.used)
                else:
                    waiting.set_exception(WrongAnswer(f"a use is refused: {response.refusal}"))
        finally:
            for each in self._waiting.values():
                each.set_exception(WrongAnswer("a stream has ended before its answers"))


@dataclass
class Run:
    """One run, and what comes of it."""

    plan: Plan
    places: Sequence[Place]
    sessions: Sequence[Session]
    _turns: Iterator[int] = field(default_factory=itertools.count)
    _end: float = 0
    _signatures: int = 0
    _checked: int = 0
    _durations: list[float] = field(default_factory=list)

    async def measure(self) -> Mapping[str, float]:
        """Call as planned. Raises WrongAnswer and grpc.RpcError."""
        spent, begun = time.process_time(), time.perf_counter()
        self._end = begun + self.plan.seconds
        async with asyncio.TaskGroup() as group:
            for _ in range(self.plan.in_flight):
                group.create_task(self._call_again())
        elapsed, spent = time.perf_counter() - begun, time.process_time() - spent
        self._durations.sort()
        return {
            "answered": len(self._durations),
            "checked": self._checked,
            "elapsed_s": elapsed,
            "cpu_s": spent,
            "p50_ms": self._part(50),
            "p99_ms": self._part(99),
        }

    def _part(self, percent: int) -> float:
        """The duration in ms within which so many calls of 100 were answered."""
        return 1000 * self._durations[len(self._durations) * percent // 100]

    async def _call_again(self) -> None:
        """One of the calls in flight, each answer followed by the next call."""
        while True:
            turn = next(self._turns)
            begun = time.perf_counter()
            await self._call(turn)
            ended = time.perf_counter()
            self._durations.append(ended - begun)
            if ended >= self._end and turn + self.plan.in_flight >= self.plan.least:
                return

    async def _call(self, turn: int) -> None:
        if self.plan.kind == "empty":
            await self.places[turn % len(self.places)].stub.Ping(pb.PingRequest())
            return
        session = self.sessions[turn % len(self.sessions)]
        place = self.places[session.workstation]
        inputs = [INPUTS[self.plan.input]() for _ in range(self.plan.batch)]
        request_id = timed(os.urandom(REQUEST_ID_BYTES))
        use = pb.UseSessionRequest(session_id=session.id, request_id=request_id, inputs=inputs)
        call = place.stream if self.plan.kind == "stream" else place.stub.UseSession
        self._check(session, inputs, (await call(use)).results)

    def _check(self, session: Session, inputs: Sequence[bytes], results: Sequence[bytes]) -> None:
        if len(results) != len(inputs):
            raise WrongAnswer(f"an answer has {len(results)} results, not {len(inputs)}")
        for block, result in zip(inputs, results, strict=True):
            if self._signatures % self.plan.checks == 0:
                self._checked += 1
                if not is_signed(session.key, block, result):
                    raise WrongAnswer("an answer has a result that is no signature of its input")
            self._signatures += 1


@dataclass
class Town:
    """What the lines say that there is."""

    workstations: list[tuple[str, ...]] = field(default_factory=list)
    sessions: dict[str, list[Session]] = field(default_factory=dict)

    def add_workstation(self, *words: str) -> None:
        """A workstation: its address, and the files of its identity."""
        self.workstations.append(words)

    def add_session(self, workstation: str, algorithm: str, session_id: str, key: str) -> None:
        """A session at a workstation."""
        public = load_der_public_key(bytes.fromhex(key))
        session = Session(session_id, int(workstation), public)
        self.sessions.setdefault(algorithm, []).append(session)

    def run(self, *words: str) -> None:
        """Connect, wait for a line, do as the words say, and say as JSON what came of it. Ends
        the program if an answer is wrong.
        """
        try:
            print(json.dumps(asyncio.run(self._run(Plan.parse(words)))))
        except* (WrongAnswer, grpc.RpcError) as failures:
            sys.exit(str(failures.exceptions[0]))

    async def _run(self, plan: Plan) -> Mapping[str, float]:
        sessions = self.sessions.get("p256" if plan.input == "p256" else "rsa2048", [])
        async with AsyncExitStack() as stack:
            channels = [
                await stack.enter_async_context(_channel(*each)) for each in self.workstations
            ]
            places = [Place(each) for each in channels]
            await asyncio.gather(*(each.stub.Ping(pb.PingRequest()) for each in places))
            if plan.kind == "stream":
                for place in places:
                    place.open_stream()
            print("ready", flush=True)
            await asyncio.to_thread(sys.stdin.readline)
            told = await Run(plan, places, sessions).measure()
            await asyncio.gather(*(each.close_stream() for each in places))
            return told


def _channel(address: str, *files: str) -> grpc.aio.Channel:
    ca, certificate, key = (Path(each).read_bytes() for each in files)
    credentials = grpc.ssl_channel_credentials(ca, key, certificate)
    return grpc.aio.secure_channel(address, credentials, options=DIRECTLY)


def main() -> None:
    """Do what standard input says."""
    town = Town()
    acts: Mapping[str, Callable[..., None]] = {
        "workstation": town.add_workstation,
        "session": town.add_session,
        "run": town.run,
    }
    while line := sys.stdin.readline():
        name, *words = line.rstrip("\n").split("\t")
        acts[name](*words)

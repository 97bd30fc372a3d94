"""Many workstations that wait at once, in a process of its own.

`python -m cloudcard_tools.bench.waiting_client` reads what to do as JSON from standard input, opens
a stream for each operation, says so in a line of JSON, waits for a line, has some of them approved
while the others wait, and prints what it measured as JSON. It keeps its streams until the next
line.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

import grpc

from cloudcard.approval.v1 import approval_pb2
from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard.workstation.v1 import workstation_pb2_grpc
from cloudcard_tools import identity
from cloudcard_tools.authenticator.phone import Phone
from cloudcard_tools.bench.waiting_seed import INPUT, NUMBER, Seeded

Stream: TypeAlias = "grpc.aio.UnaryStreamCall[pb.WatchOperationRequest, pb.WatchOperationResponse]"

OPENING_AT_ONCE = 16
PENDING = approval_pb2.OPERATION_STATE_PENDING
APPROVED = approval_pb2.OPERATION_STATE_APPROVED
OPTIONS = (("grpc.use_local_subchannel_pool", 1),)  # each workstation has a connection of its own


class NotAsExpected(Exception):
    """An operation went another way, so there is nothing to measure."""


@dataclass(frozen=True, slots=True)
class Task:
    """What to wait for, and how many of it to have approved."""

    address: str
    workstations: tuple[str, ...]  # folders of their identities
    phone: str  # folder of the holder's identity
    operations: str  # a file with a JSON list of `Seeded`
    samples: int
    per_second: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """An operation that waits, and the stream that will tell."""

    stub: workstation_pb2_grpc.WorkstationServiceAsyncStub
    operation_id: str
    stream: Stream

    async def signature(self) -> float:
        """Wait for the approval, then use the key; returns when the signature was here."""
        message = await self.stream.read()
        if not isinstance(message, pb.WatchOperationResponse):
            raise NotAsExpected(f"a stream ended early: {await self.stream.details()}")
        if message.operation.state != APPROVED:
            raise NotAsExpected(f"an operation came to state {message.operation.state}")
        request = pb.PerformOperationRequest(operation_id=self.operation_id, inputs=[INPUT])
        performed = await self.stub.PerformOperation(request)
        if not performed.results or not performed.results[0]:
            raise NotAsExpected("an approved use has brought no signature")
        return time.perf_counter()


def read(text: str) -> Task:
    """A task from the JSON of `asdict`."""
    said = json.loads(text)
    return Task(**{**said, "workstations": tuple(said["workstations"])})


def encode(task: Task) -> str:
    """A task as one line."""
    return json.dumps(asdict(task))


async def run(task: Task) -> None:
    """Do all of it, told by the lines of standard input."""
    channels = [_channel(task.address, Path(folder)) for folder in task.workstations]
    stubs = [workstation_pb2_grpc.WorkstationServiceStub(channel) for channel in channels]
    begun = time.perf_counter()
    listed = json.loads(Path(task.operations).read_text())
    waiting = await _open([Seeded(**each) for each in listed], stubs)
    _say({"opened": len(waiting), "seconds": time.perf_counter() - begun})
    await asyncio.to_thread(sys.stdin.readline)
    phone = identity.load(Path(task.phone))
    with identity.channel(phone) as channel:
        holder = Phone(phone, channel)
        step = len(waiting) / task.samples
        chosen = [waiting[int(step * number)] for number in range(task.samples)]
        asked = [await asyncio.to_thread(holder.find, each.operation_id) for each in chosen]

        async def approve(number: int) -> float:
            signature = asyncio.create_task(chosen[number].signature())

            def decide() -> float:
                started = time.perf_counter()
                holder.approve(asked[number], NUMBER)
                return started

            started = await asyncio.to_thread(decide)
            return await signature - started

        async def ping(number: int) -> float:
            started = time.perf_counter()
            await stubs[number % len(stubs)].Ping(pb.PingRequest())
            return time.perf_counter() - started

        idle = await _paced(ping, task.samples, 2 * task.per_second)
        latencies = await _paced(approve, task.samples, task.per_second)
    still = sum(not each.stream.done() for each in waiting) - _ended(chosen)
    _say(
        {
            "waiting": still,
            "p50_ms": _percentile(latencies, 50),
            "p99_ms": _percentile(latencies, 99),
            "noop_p50_ms": _percentile(idle, 50),
            "noop_p99_ms": _percentile(idle, 99),
        }
    )
    await asyncio.to_thread(sys.stdin.readline)
    for each in channels:
        await each.close()


async def _open(
    operations: Sequence[Seeded],
    stubs: Sequence[workstation_pb2_grpc.WorkstationServiceAsyncStub],
) -> list[Waiting]:
    left = iter(operations)
    waiting: list[Waiting] = []

    async def opener() -> None:
        for each in left:
            waiting.append(await _watch(stubs[each.workstation], each.operation_id))

    async with asyncio.TaskGroup() as tasks:
        for _ in range(OPENING_AT_ONCE):
            tasks.create_task(opener())
    return waiting


async def _watch(
    stub: workstation_pb2_grpc.WorkstationServiceAsyncStub, operation_id: str
) -> Waiting:
    stream = stub.WatchOperation(pb.WatchOperationRequest(operation_id=operation_id))
    first = await stream.read()
    if not isinstance(first, pb.WatchOperationResponse) or first.operation.state != PENDING:
        raise NotAsExpected(f"an operation does not wait: {await stream.details()}")
    return Waiting(stub, operation_id, stream)


async def _paced(
    act: Callable[[int], Awaitable[float]], count: int, per_second: float
) -> list[float]:
    """Begin each act at its time, whether or not the one before has ended; what each took."""
    begun = time.perf_counter()
    taken: list[float] = []

    async def one(number: int) -> None:
        await asyncio.sleep(begun + number / per_second - time.perf_counter())
        taken.append(await act(number))

    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            tasks.create_task(one(number))
    return taken


def _ended(chosen: Sequence[Waiting]) -> int:
    """How many approved operations have streams whose end has not been read yet."""
    return sum(not each.stream.done() for each in chosen)


def _percentile(seconds: Sequence[float], percent: int) -> float:
    """In milliseconds."""
    return 1000 * sorted(seconds)[len(seconds) * percent // 100]


def _channel(address: str, folder: Path) -> grpc.aio.Channel:
    credentials = grpc.ssl_channel_credentials(
        (folder / "ca.pem").read_bytes(),
        (folder / "key.pem").read_bytes(),
        (folder / "certificate.pem").read_bytes(),
    )
    return grpc.aio.secure_channel(address, credentials, options=OPTIONS)


def _say(facts: dict[str, float]) -> None:
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    asyncio.run(run(read(sys.stdin.readline())))

"""A client of the keystore that calls one method repeatedly, in a process of its own.

`main` reads its task as JSON from standard input, prints `ready` when it is connected, waits for
a line, and prints its measurement as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections import deque
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import TypeAlias

import grpc

from card_os.uses import REQUEST_ID_BYTES
from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard_tools.shared.reaching import DIRECTLY
from reader_bridge.remote.uses import Uses

Call: TypeAlias = "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]"

SERVICE = "/cloudcard.workstation.v1.WorkstationService/"
REQUEST_ID = b"\x12\x10"  # field 2 of UseSessionRequest, 16 bytes


@dataclass(frozen=True, slots=True)
class Task:
    """What to call, and for how long."""

    folder: str  # of the workstation's identity
    addresses: tuple[str, ...]
    sessions: tuple[str, ...]  # used in turn; without sessions, the empty call is measured
    inputs: tuple[str, ...]  # of each use, in hexadecimal
    in_flight: int
    seconds: float
    streamed: bool = False  # over one stream for each address, by the library for programs


def read(text: str) -> Task:
    """A task from the JSON of `asdict`."""
    said = json.loads(text)
    lists = {name: tuple(said[name]) for name in ("addresses", "sessions", "inputs")}
    return Task(**{**said, **lists})


async def run(task: Task) -> dict[str, float]:
    """The number of calls that ended in time, and their durations."""
    if task.streamed:
        return await asyncio.to_thread(_run_streamed, task)
    channels = [
        grpc.aio.secure_channel(address, _credentials(task), options=DIRECTLY)
        for address in task.addresses
    ]
    name = "UseSession" if task.sessions else "Ping"
    calls: list[Call] = [channel.unary_unary(SERVICE + name) for channel in channels]
    await asyncio.gather(*(channel.channel_ready() for channel in channels))
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    begin = time.perf_counter()
    end = begin + task.seconds
    durations: list[float] = []

    async def caller(number: int) -> None:
        call = calls[number % len(calls)]
        common = b""
        if task.sessions:
            session = task.sessions[number % len(task.sessions)]
            inputs = [bytes.fromhex(each) for each in task.inputs]
            common = pb.UseSessionRequest(session_id=session, inputs=inputs).SerializeToString()
        while (started := time.perf_counter()) < end:
            unique = REQUEST_ID + os.urandom(REQUEST_ID_BYTES) if task.sessions else b""
            await call(common + unique)
            ended = time.perf_counter()
            if ended < end or not durations:
                durations.append(ended - started)

    await asyncio.gather(*(caller(number) for number in range(task.in_flight)))
    for channel in channels:
        await channel.close()
    return _measured(durations)


def _run_streamed(task: Task) -> dict[str, float]:
    inputs = [bytes.fromhex(each) for each in task.inputs]
    durations: list[float] = []
    with ExitStack() as stack:
        streams = []
        for address in task.addresses:
            channel = grpc.secure_channel(address, _credentials(task), options=DIRECTLY)
            stack.enter_context(channel)
            grpc.channel_ready_future(channel).result()
            most = max(1, task.in_flight // len(task.addresses))
            streams.append(stack.enter_context(Uses(channel, most)))
        print("ready", flush=True)
        sys.stdin.readline()
        end = time.perf_counter() + task.seconds

        def ended(started: float, use: Future[pb.UseSessionResponse]) -> None:
            use.result()
            now = time.perf_counter()
            if now < end or not durations:
                durations.append(now - started)

        last: deque[Future[pb.UseSessionResponse]] = deque(maxlen=task.in_flight)
        for number in count():
            if (started := time.perf_counter()) >= end:
                break
            session = task.sessions[number % len(task.sessions)]
            use = streams[number % len(streams)].use(session, inputs)
            use.add_done_callback(partial(ended, started))
            last.append(use)
        for use in last:
            use.result()
    return _measured(durations)


def _credentials(task: Task) -> grpc.ChannelCredentials:
    folder = Path(task.folder)
    return grpc.ssl_channel_credentials(
        (folder / "ca.pem").read_bytes(),
        (folder / "key.pem").read_bytes(),
        (folder / "certificate.pem").read_bytes(),
    )


def _measured(durations: list[float]) -> dict[str, float]:
    durations.sort()
    return {
        "calls": len(durations),
        "p50_ms": 1000 * durations[len(durations) // 2],
        "p99_ms": 1000 * durations[len(durations) * 99 // 100],
    }


def encode(task: Task) -> str:
    """A task as one line."""
    return json.dumps(asdict(task))


def main() -> None:
    """Do the task on standard input."""
    print(json.dumps(asyncio.run(run(read(sys.stdin.readline())))))

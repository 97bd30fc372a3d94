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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

import grpc

from card_os.uses import REQUEST_ID_BYTES
from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard_tools.shared.reaching import DIRECTLY

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


def read(text: str) -> Task:
    """A task from the JSON of `asdict`."""
    said = json.loads(text)
    lists = {name: tuple(said[name]) for name in ("addresses", "sessions", "inputs")}
    return Task(**{**said, **lists})


async def run(task: Task) -> dict[str, float]:
    """The number of calls that ended in time, and their durations."""
    folder = Path(task.folder)
    credentials = grpc.ssl_channel_credentials(
        (folder / "ca.pem").read_bytes(),
        (folder / "key.pem").read_bytes(),
        (folder / "certificate.pem").read_bytes(),
    )
    channels = [
        grpc.aio.secure_channel(address, credentials, options=DIRECTLY)
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

"""A client that holds many waiting operations and times approvals among them. It is a process of
its own, which reads its task as JSON from standard input and prints its measurement as JSON.
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

from card_os.piv.names import KeyRef
from card_os.uses import REQUEST_ID_BYTES
from cloudcard.approval.v1 import approval_pb2
from cloudcard.authenticator.v1 import authenticator_pb2 as phone_pb
from cloudcard.authenticator.v1 import authenticator_pb2_grpc
from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard.workstation.v1 import workstation_pb2_grpc
from cloudcard_tools.authenticator.approving import Approver
from cloudcard_tools.authenticator.phone import STATEMENT_DOMAIN
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.reaching import DIRECTLY

STREAMS_OF_CONNECTION = 200  # what the keystore allows
OPENING = 64  # streams that are opened at once
PATIENCE_SECONDS = 120.0
AGAIN_SECONDS = 0.2
DIGEST = bytes(32)
# Each channel gets a connection of its own.
OWN = (("grpc.use_local_subchannel_pool", 1), *DIRECTLY)

Stub: TypeAlias = "workstation_pb2_grpc.WorkstationServiceAsyncStub"  # exists for mypy only


@dataclass(frozen=True, slots=True)
class Task:
    """Which operations wait, and what is approved meanwhile."""

    waiting: dict[str, list[str]]  # operations by the folder of their workstation's identity
    workstation: str  # the one that asks for the operations which are approved
    phone: str
    card_serial: str
    passcode_proof: str  # in hexadecimal
    samples: int
    pause: float  # seconds between samples


def encode(task: Task) -> str:
    """A task as one line."""
    return json.dumps(asdict(task))


async def run(task: Task) -> dict[str, float]:
    """Open half of the streams, then the others, then approve one operation after the other."""
    opening = asyncio.Semaphore(OPENING)
    places: list[tuple[Stub, str]] = []
    for folder, operations in task.waiting.items():
        for start in range(0, len(operations), STREAMS_OF_CONNECTION):
            stub = workstation_pb2_grpc.WorkstationServiceStub(channel(Path(folder)))
            places += [(stub, each) for each in operations[start : start + STREAMS_OF_CONNECTION]]
    watching: list[asyncio.Task[None]] = []
    for until in (len(places) // 2, len(places)):
        opened: list[asyncio.Event] = []
        for stub, operation in places[len(watching) : until]:
            event = asyncio.Event()
            opened.append(event)
            watching.append(asyncio.create_task(_hold(stub, operation, opening, event)))
        await asyncio.gather(*(event.wait() for event in opened))
        print(json.dumps({"waiting": until}), flush=True)
        await asyncio.to_thread(sys.stdin.readline)
    durations = await _approve(task)
    still = sum(not each.done() for each in watching)
    for each in watching:
        each.cancel()
    durations.sort()
    return {
        "still_waiting": still,
        "p50_ms": 1000 * durations[len(durations) // 2],
        "p99_ms": 1000 * durations[len(durations) * 99 // 100],
    }


def channel(folder: Path) -> grpc.aio.Channel:
    """A connection under an identity."""
    known = identity.load(folder)
    credentials = grpc.ssl_channel_credentials(
        (folder / "ca.pem").read_bytes(),
        (folder / "key.pem").read_bytes(),
        (folder / "certificate.pem").read_bytes(),
    )
    return grpc.aio.secure_channel(known.address, credentials, options=OWN)


async def _hold(
    stub: Stub, operation: str, opening: asyncio.Semaphore, opened: asyncio.Event
) -> None:
    """Watch an operation as a reader does: a stream that is refused or breaks is opened again."""
    request = pb.WatchOperationRequest(operation_id=operation)
    while True:
        async with opening:
            stream = stub.WatchOperation(request)
            try:
                await stream.read()
                opened.set()
            except grpc.aio.AioRpcError:
                await asyncio.sleep(AGAIN_SECONDS)
                continue
        try:
            while await stream.read() is not grpc.aio.EOF:
                pass
        except grpc.aio.AioRpcError:
            await asyncio.sleep(AGAIN_SECONDS)
        else:
            return


async def _approve(task: Task) -> list[float]:
    """The seconds from the phone's decision to the signature at the workstation, for each
    approval.
    """
    stub = workstation_pb2_grpc.WorkstationServiceStub(channel(Path(task.workstation)))
    holder = authenticator_pb2_grpc.AuthenticatorServiceStub(channel(Path(task.phone)))
    approver = Approver(identity.load(Path(task.phone)))
    durations = []
    for _ in range(task.samples):
        await asyncio.sleep(task.pause)
        durations.append(await _one(task, stub, holder, approver))
    return durations


async def _one(
    task: Task,
    stub: Stub,
    holder: authenticator_pb2_grpc.AuthenticatorServiceAsyncStub,
    approver: Approver,
) -> float:
    asked = pb.CreateOperationRequest(
        request_id=os.urandom(REQUEST_ID_BYTES),
        card_serial=task.card_serial,
        key_ref=KeyRef.AUTHENTICATION,
        algorithm=approval_pb2.ALGORITHM_ECC_P256,
        key_use=approval_pb2.KEY_USE_SIGN,
        inputs=[DIGEST],
        passcode_proof=bytes.fromhex(task.passcode_proof),
    )
    operation = (await stub.CreateOperation(asked)).operation
    stream = stub.WatchOperation(pb.WatchOperationRequest(operation_id=operation.id))
    await stream.read()
    ringing = await holder.GetRequest(phone_pb.GetRequestRequest(operation_id=operation.id))
    decision = phone_pb.DecideRequest(
        operation_id=operation.id, decision=phone_pb.DECISION_APPROVE, number=operation.number
    )
    digits = operation.number.encode("ascii")
    head = bytes((phone_pb.DECISION_APPROVE, len(digits)))
    approver.decide(decision, STATEMENT_DOMAIN + head + digits + ringing.request.payload)
    began = time.perf_counter()
    deciding = asyncio.ensure_future(holder.Decide(decision))
    await stream.read()
    performing = pb.PerformOperationRequest(operation_id=operation.id, inputs=[DIGEST])
    await stub.PerformOperation(performing)
    ended = time.perf_counter()
    await deciding
    stream.cancel()
    return ended - began


def read(text: str) -> Task:
    """A task from the JSON of `encode`."""
    return Task(**json.loads(text))


def main() -> None:
    """Do the task on standard input."""
    print(json.dumps(asyncio.run(run(read(sys.stdin.readline())))))

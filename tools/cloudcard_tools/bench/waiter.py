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
from itertools import groupby
from operator import itemgetter
from pathlib import Path

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
from cloudcard_tools.bench.watching import Alone, Stub, Together, Watching
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.reaching import DIRECTLY

CONNECTIONS = 2  # of a workstation whose operations wait by a call each
DIGEST = bytes(32)
# Each channel gets a connection of its own.
OWN = (("grpc.use_local_subchannel_pool", 1), *DIRECTLY)


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
    together: bool  # whether those of a workstation wait over one call


def encode(task: Task) -> str:
    """A task as one line."""
    return json.dumps(asdict(task))


async def run(task: Task) -> dict[str, float]:
    """Let half of the operations wait, then the others, then approve one after the other."""
    watching = {folder: _watching(Path(folder), task.together) for folder in task.waiting}
    places = [(folder, each) for folder, some in task.waiting.items() for each in some]
    half = len(places) // 2
    for until, some in ((half, places[:half]), (len(places), places[half:])):
        for folder, operations in groupby(some, itemgetter(0)):
            await watching[folder].watch([each for _, each in operations])
        print(json.dumps({"waiting": until}), flush=True)
        await asyncio.to_thread(sys.stdin.readline)
    durations = await _approve(task)
    return {
        "still_waiting": sum(each.waiting() for each in watching.values()),
        **{
            f"{name}_{figure}_ms": 1000 * of[len(of) * percent // 100]
            for name, of in ((name, sorted(of)) for name, of in durations.items())
            for figure, percent in (("p50", 50), ("p99", 99))
        },
    }


def _watching(folder: Path, together: bool) -> Watching:
    """What watches the operations of a workstation; its connections are its own."""
    if together:
        return Together(_stub(folder))
    return Alone([_stub(folder) for _ in range(CONNECTIONS)])


def _stub(folder: Path) -> Stub:
    return workstation_pb2_grpc.WorkstationServiceStub(channel(folder))


def channel(folder: Path) -> grpc.aio.Channel:
    """A connection under an identity."""
    known = identity.load(folder)
    credentials = grpc.ssl_channel_credentials(
        (folder / "ca.pem").read_bytes(),
        (folder / "key.pem").read_bytes(),
        (folder / "certificate.pem").read_bytes(),
    )
    return grpc.aio.secure_channel(known.address, credentials, options=OWN)


async def _approve(task: Task) -> dict[str, list[float]]:
    """The seconds from the phone's decision to the signature at the workstation, for each approval,
    which wait in both ways by turns.
    """
    folder = Path(task.workstation)
    stub = _stub(folder)
    ways: dict[str, Watching] = {"together": Together(stub), "alone": Alone([stub])}
    holder = authenticator_pb2_grpc.AuthenticatorServiceStub(channel(Path(task.phone)))
    approver = Approver(identity.load(Path(task.phone)))
    durations: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(task.samples):
        for name, way in ways.items():
            await asyncio.sleep(task.pause)
            durations[name].append(await _one(task, stub, way, holder, approver))
    return durations


async def _one(
    task: Task,
    stub: Stub,
    way: Watching,
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
    await way.watch([operation.id])
    ringing = await holder.GetRequest(phone_pb.GetRequestRequest(operation_id=operation.id))
    decision = phone_pb.DecideRequest(
        operation_id=operation.id, decision=phone_pb.DECISION_APPROVE, number=operation.number
    )
    digits = operation.number.encode("ascii")
    head = bytes((phone_pb.DECISION_APPROVE, len(digits)))
    approver.decide(decision, STATEMENT_DOMAIN + head + digits + ringing.request.payload)
    began = time.perf_counter()
    deciding = asyncio.ensure_future(holder.Decide(decision))
    await way.decided(operation.id)
    performing = pb.PerformOperationRequest(operation_id=operation.id, inputs=[DIGEST])
    await stub.PerformOperation(performing)
    ended = time.perf_counter()
    await deciding
    return ended - began


def read(text: str) -> Task:
    """A task from the JSON of `encode`."""
    return Task(**json.loads(text))


def main() -> None:
    """Do the task on standard input."""
    print(json.dumps(asyncio.run(run(read(sys.stdin.readline())))))

"""The two ways in which a workstation waits for its operations, for benches."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol, TypeAlias

import grpc

from cloudcard.approval.v1 import approval_pb2
from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard.workstation.v1 import workstation_pb2_grpc

CALLS_OF_CONNECTION = 200  # what the keystore allows
OPENING = 64  # calls that are opened at once
NAMED = 256  # operations in a message
AGAIN_SECONDS = 0.2  # after a call that is refused or breaks

PENDING = approval_pb2.OPERATION_STATE_PENDING
Stub: TypeAlias = "workstation_pb2_grpc.WorkstationServiceAsyncStub"  # exists for mypy only


class Watching(Protocol):
    """Watches the operations of one workstation."""

    async def watch(self, operations: Sequence[str]) -> None:
        """Begin to watch some more; return when all of them have been told."""

    async def decided(self, operation: str) -> None:
        """Return when one that is watched waits no longer."""

    def waiting(self) -> int:
        """How many wait."""


class Alone:
    """Each by a call of its own, which is opened again if it breaks."""

    def __init__(self, stubs: Sequence[Stub]) -> None:
        self._stubs = stubs
        self._opening = asyncio.Semaphore(OPENING)
        self._calls: dict[str, asyncio.Task[None]] = {}

    async def watch(self, operations: Sequence[str]) -> None:
        told = [asyncio.Event() for _ in operations]
        for each, event in zip(operations, told, strict=True):
            stub = self._stubs[len(self._calls) // CALLS_OF_CONNECTION % len(self._stubs)]
            self._calls[each] = asyncio.create_task(self._hold(stub, each, event))
        await asyncio.gather(*(each.wait() for each in told))

    async def decided(self, operation: str) -> None:
        await self._calls.pop(operation)

    def waiting(self) -> int:
        return sum(not each.done() for each in self._calls.values())

    async def _hold(self, stub: Stub, operation: str, told: asyncio.Event) -> None:
        request = pb.WatchOperationRequest(operation_id=operation)
        while True:
            try:
                async with self._opening:
                    call = stub.WatchOperation(request)
                    await call.read()
                told.set()
                while await call.read() is not grpc.aio.EOF:
                    pass
            except grpc.aio.AioRpcError:
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                return


class Together:
    """All over one call, which is opened again if it breaks."""

    def __init__(self, stub: Stub) -> None:
        self._stub = stub
        self._states: dict[str, int] = {}
        self._news: dict[str, asyncio.Future[None]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def watch(self, operations: Sequence[str]) -> None:
        told = [self._told(each) for each in operations]
        self._states |= dict.fromkeys(operations, PENDING)
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        else:
            await self._ask(operations)
        await asyncio.gather(*told)

    async def decided(self, operation: str) -> None:
        while self._states[operation] == PENDING:
            await self._told(operation)
        del self._states[operation]

    def waiting(self) -> int:
        return sum(state == PENDING for state in self._states.values())

    def _told(self, operation: str) -> asyncio.Future[None]:
        return self._news.setdefault(operation, asyncio.get_running_loop().create_future())

    async def _ask(self, operations: Sequence[str]) -> None:
        for start in range(0, len(operations), NAMED):
            some = operations[start : start + NAMED]
            # If the call has broken, all are asked for again over the next one.
            with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                await self._call.write(pb.WatchOperationsRequest(watch=some))

    async def _read(self) -> None:
        while True:
            self._call = self._stub.WatchOperations()
            await self._ask([each for each, state in self._states.items() if state == PENDING])
            try:
                while isinstance(said := await self._call.read(), pb.WatchOperationsResponse):
                    self._take(said)
            except grpc.aio.AioRpcError:
                await asyncio.sleep(AGAIN_SECONDS)

    def _take(self, said: pb.WatchOperationsResponse) -> None:
        self._states[said.operation_id] = said.operation.state  # 0 if it is refused
        news = self._news.pop(said.operation_id, None)
        if news is not None:
            news.set_result(None)

"""A keystore on the loopback that follows a script: real gRPC, lost answers and restarts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from queue import SimpleQueue
from typing import TypeVar

import grpc
from google.protobuf.message import Message

from cloudcard.approval.v1 import approval_pb2
from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard.workstation.v1 import workstation_pb2_grpc

PENDING = approval_pb2.OPERATION_STATE_PENDING
APPROVED = approval_pb2.OPERATION_STATE_APPROVED
SUCCEEDED = approval_pb2.OPERATION_STATE_SUCCEEDED
EXPIRES = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
OPERATION_ID = "0190b6a0-0000-7000-8000-000000000001"

SECONDS = 60.0

Response = TypeVar("Response", bound=Message)


class LostAnswer:
    """What was asked is done, but its answer never arrives."""


Context = grpc.ServicerContext
Reply = Message | grpc.StatusCode | grpc.Status | LostAnswer
Streamed = pb.UseSessionResponse | pb.Refusal | grpc.StatusCode | None


@dataclass
class Script(workstation_pb2_grpc.WorkstationServiceServicer):
    """Replies per call, in order, the last one for ever; records what was asked."""

    create: list[Reply] = field(default_factory=list)
    perform: list[Reply] = field(default_factory=list)
    passcode: list[Reply] = field(default_factory=list)
    card: list[Reply] = field(default_factory=list)
    read: list[Reply] = field(default_factory=list)
    together: bool = True
    """Whether operations are watched over one stream; else the keystore is one of before."""
    states: list[approval_pb2.OperationState.ValueType | grpc.StatusCode | None] = field(
        default_factory=lambda: [APPROVED]
    )
    """What watchers see, over all streams; a status or None (a clean end) ends a stream."""
    use: list[Reply] = field(default_factory=list)
    streamed: list[Streamed] = field(default_factory=list)
    """What each use over a stream gets; a status or None (a clean end) ends the stream."""
    streams: int = 0
    """How many were begun."""
    watches: int = 0
    """How many that watch operations were begun."""
    asked: list[Message] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)
    """Set: watchers who have seen all states but the last are let go on."""
    watched: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.create = self.create or [pb.CreateOperationResponse(operation=operation())]
        self.use = self.use or [pb.UseSessionResponse(results=[b"signature"])]
        self.streamed = self.streamed or [pb.UseSessionResponse(results=[b"streamed"])]
        self.perform = self.perform or [pb.PerformOperationResponse(results=[b"signature"])]
        self.hold.set()

    def GetCard(self, request: pb.GetCardRequest, context: Context) -> pb.GetCardResponse:
        return self._reply(self.card, request, context, pb.GetCardResponse)

    def ReadObject(self, request: pb.ReadObjectRequest, context: Context) -> pb.ReadObjectResponse:
        return self._reply(self.read, request, context, pb.ReadObjectResponse)

    def GetPasscodeStatus(
        self, request: pb.GetPasscodeStatusRequest, context: Context
    ) -> pb.GetPasscodeStatusResponse:
        return self._reply(self.passcode, request, context, pb.GetPasscodeStatusResponse)

    def VerifyPasscode(
        self, request: pb.VerifyPasscodeRequest, context: Context
    ) -> pb.VerifyPasscodeResponse:
        return self._reply(self.passcode, request, context, pb.VerifyPasscodeResponse)

    def ChangePasscode(
        self, request: pb.ChangePasscodeRequest, context: Context
    ) -> pb.ChangePasscodeResponse:
        return self._reply(self.passcode, request, context, pb.ChangePasscodeResponse)

    def ResetPasscode(
        self, request: pb.ResetPasscodeRequest, context: Context
    ) -> pb.ResetPasscodeResponse:
        return self._reply(self.passcode, request, context, pb.ResetPasscodeResponse)

    def CreateOperation(
        self, request: pb.CreateOperationRequest, context: Context
    ) -> pb.CreateOperationResponse:
        return self._reply(self.create, request, context, pb.CreateOperationResponse)

    def PerformOperation(
        self, request: pb.PerformOperationRequest, context: Context
    ) -> pb.PerformOperationResponse:
        return self._reply(self.perform, request, context, pb.PerformOperationResponse)

    def CancelOperation(
        self, request: pb.CancelOperationRequest, context: Context
    ) -> pb.CancelOperationResponse:
        self.asked.append(request)
        return pb.CancelOperationResponse()

    def WatchOperation(
        self, request: pb.WatchOperationRequest, context: Context
    ) -> Iterator[pb.WatchOperationResponse]:
        self.asked.append(request)
        for state in self._seen(context, context.is_active):
            if state is None:
                return
            yield pb.WatchOperationResponse(operation=pb.Operation(id=OPERATION_ID, state=state))

    def WatchOperations(
        self, requests: Iterator[pb.WatchOperationsRequest], context: Context
    ) -> Iterator[pb.WatchOperationsResponse]:
        if not self.together:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
        self.watches += 1
        watched: SimpleQueue[str | None] = SimpleQueue()
        left: set[str] = set()

        def read() -> None:
            with suppress(grpc.RpcError):
                for request in requests:
                    left.update(request.leave)
                    for each in request.watch:
                        left.discard(each)
                        watched.put(each)
            watched.put(None)

        threading.Thread(target=read, daemon=True).start()
        for each in iter(watched.get, None):
            self.asked.append(pb.WatchOperationRequest(operation_id=each))
            goes_on = partial(lambda each: context.is_active() and each not in left, each)
            for state in self._seen(context, goes_on):
                if state is None:
                    return
                seen = pb.Operation(id=each, state=state)
                yield pb.WatchOperationsResponse(operation_id=each, operation=seen)

    def _seen(
        self, context: Context, goes_on: Callable[[], bool]
    ) -> Iterator[approval_pb2.OperationState.ValueType | None]:
        """What a watcher sees, as long as it watches; None if the stream ends."""
        while self.states:
            if len(self.states) == 1:
                self.watched.set()
                deadline = time.monotonic() + SECONDS
                while not self.hold.wait(0.01) and goes_on():
                    assert time.monotonic() < deadline
                if not goes_on():
                    return
            state = self.states[0] if len(self.states) == 1 else self.states.pop(0)
            if isinstance(state, grpc.StatusCode):
                context.abort(state, "the script says so")
            yield state
            if state != PENDING:
                return

    def UseSession(self, request: pb.UseSessionRequest, context: Context) -> pb.UseSessionResponse:
        return self._reply(self.use, request, context, pb.UseSessionResponse)

    def UseSessions(
        self, requests: Iterator[pb.UseSessionsRequest], context: Context
    ) -> Iterator[pb.UseSessionsResponse]:
        self.streams += 1
        for request in requests:
            self.asked.append(request)
            reply = self.streamed[0] if len(self.streamed) == 1 else self.streamed.pop(0)
            match reply:
                case None:
                    return
                case grpc.StatusCode():
                    context.abort(reply, "the script says so")
                case pb.Refusal():
                    yield pb.UseSessionsResponse(number=request.number, refusal=reply)
                case pb.UseSessionResponse():
                    self.hold.wait(SECONDS)
                    yield pb.UseSessionsResponse(number=request.number, used=reply)

    def kinds(self) -> list[str]:
        """The names of the calls so far."""
        return [
            type(each).__name__.removesuffix("Request").removesuffix("Operation")
            for each in self.asked
        ]

    def _reply(
        self, script: list[Reply], request: Message, context: Context, kind: type[Response]
    ) -> Response:
        self.asked.append(request)
        reply = script[0] if len(script) == 1 else script.pop(0)
        match reply:
            case grpc.Status():
                context.abort_with_status(reply)
            case grpc.StatusCode():
                context.abort(reply, "the script says so")
            case LostAnswer():
                context.abort(grpc.StatusCode.UNAVAILABLE, "as if the connection had broken")
        assert isinstance(reply, kind)
        return reply


class Keystore:
    """A server for a script, which can be stopped and started again at the same port."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self._server, self._port = self._make("127.0.0.1:0")
        self._server.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    def stop(self) -> None:
        """End at once, cutting what is open."""
        self._server.stop(0).wait(SECONDS)

    def start(self) -> None:
        """Begin again, once gRPC has given up the port."""
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                self._server, _ = self._make(self.address)
                break
            except RuntimeError:
                assert time.monotonic() < deadline
                time.sleep(0.02)
        self._server.start()

    def channel(self) -> grpc.Channel:
        """An insecure channel that looks for the server often."""
        return grpc.insecure_channel(
            self.address,
            options=[
                ("grpc.initial_reconnect_backoff_ms", 50),
                ("grpc.max_reconnect_backoff_ms", 100),
                ("grpc.enable_retries", 0),
                ("grpc.use_local_subchannel_pool", 1),
            ],
        )

    def _make(self, address: str) -> tuple[grpc.Server, int]:
        server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
        workstation_pb2_grpc.add_WorkstationServiceServicer_to_server(self.script, server)
        return server, server.add_insecure_port(address)


def operation(
    state: approval_pb2.OperationState.ValueType = PENDING, number: str = "42", qr: str = ""
) -> pb.Operation:
    """An operation as a workstation is told of it."""
    made = pb.Operation(id=OPERATION_ID, state=state, number=number, qr_text=qr)
    made.create_time.FromDatetime(EXPIRES - timedelta(seconds=120))
    made.qr_expire_time.FromDatetime(EXPIRES - timedelta(seconds=60))
    made.expire_time.FromDatetime(EXPIRES)
    return made

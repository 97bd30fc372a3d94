"""One operation at the keystore, for a use of a key or a session, from request to result.

Its steps are create, show, watch and perform. Each can be repeated without harm, so nothing is lost
if the keystore is killed and restarted in between.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC
from typing import Protocol, TypeAlias, TypeVar

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from card_os.keys import KeyResult, Refusal
from cloudcard.approval.v1 import approval_pb2
from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard.workstation.v1 import workstation_pb2_grpc
from reader_bridge.prompter import Outcome, Prompt, Prompter
from reader_bridge.remote import check_code
from reader_bridge.remote.refusals import TRANSIENT, code, refusal, retry_seconds
from reader_bridge.remote.stub import CALL_SECONDS
from reader_bridge.remote.watches import Metadata, State, Watches
from reader_bridge.tasks import Cancellation

Clock: TypeAlias = Callable[[], float]
Request = TypeVar("Request")
Response = TypeVar("Response")
Asked = TypeVar("Asked", contravariant=True)
Answer = TypeVar("Answer", covariant=True)

DEADLINE_SECONDS = 130.0  # the holder has 120
ASK_SECONDS = 15.0  # shorter, because the holder has not been asked yet
WITHDRAW_SECONDS = 1.5
TRACEPARENT = "traceparent"  # W3C Trace Context, 3.2
FIRST_PAUSE = 0.1  # seconds between tries, doubled up to the longest
LONGEST_PAUSE = 1.0

USABLE = (approval_pb2.OPERATION_STATE_APPROVED, approval_pb2.OPERATION_STATE_SUCCEEDED)
FINAL: Mapping[State, tuple[Refusal, Outcome]] = {
    approval_pb2.OPERATION_STATE_DENIED: (Refusal.DENIED, Outcome.DENIED),
    approval_pb2.OPERATION_STATE_EXPIRED: (Refusal.EXPIRED, Outcome.EXPIRED),
    approval_pb2.OPERATION_STATE_CANCELLED: (Refusal.CANCELLED, Outcome.CANCELLED),
    approval_pb2.OPERATION_STATE_FAILED: (Refusal.UNAVAILABLE, Outcome.FAILED),
}
USES: Mapping[approval_pb2.KeyUse.ValueType, str] = {
    approval_pb2.KEY_USE_SIGN: "sign",
    approval_pb2.KEY_USE_DECRYPT: "decrypt",
    approval_pb2.KEY_USE_AGREE: "agree",
}
OUTCOMES: Mapping[Refusal, Outcome] = {
    Refusal.DENIED: Outcome.DENIED,
    Refusal.CANCELLED: Outcome.CANCELLED,
    Refusal.UNAVAILABLE: Outcome.UNAVAILABLE,
}


def spread(seconds: float) -> float:
    """A random time from `seconds` to twice as long. So readers that were cut off together, or told
    together when to call again, do not all call at once.
    """
    return seconds * random.uniform(1, 2)  # noqa: S311 (no secret)


def _seconds(operation: pb.Operation, end: Timestamp) -> float:
    """From an operation's creation to an end, both by the keystore's clock: this computer's can
    differ from it.
    """
    lasts = (end.ToDatetime() - operation.create_time.ToDatetime()).total_seconds()
    return min(max(0.0, lasts), DEADLINE_SECONDS)


class Call(Protocol[Asked, Answer]):
    """A method of the keystore. Raises grpc.RpcError."""

    def __call__(self, asked: Asked, /, *, timeout: float, metadata: Metadata | None) -> Answer: ...


class Stopped(Exception):
    """The result is no longer needed, or the keystore was out of reach for too long."""

    def __init__(self, why: Refusal) -> None:
        super().__init__(why.name)
        self.why = why


class RemoteOperation:
    """One operation, from its creation to its result. An instance is used once."""

    def __init__(
        self,
        stub: workstation_pb2_grpc.WorkstationServiceStub,
        watches: Watches,
        prompter: Prompter,
        cancellation: Cancellation,
        clock: Clock,
        traceparent: str = "",
        workstation: str = "",
    ) -> None:
        self._stub = stub
        self._watches = watches
        self._prompter = prompter
        self._cancellation = cancellation
        self._clock = clock
        self._workstation = workstation
        self._metadata = ((TRACEPARENT, traceparent),) if traceparent else None
        self._deadline = clock() + DEADLINE_SECONDS
        self.withdrawn = False
        """Whether somebody at the workstation's screen has cancelled it."""
        self.refused: grpc.RpcError | None = None
        """The call that the keystore has refused, if it has."""

    def run(self, asked: pb.CreateOperationRequest) -> KeyResult:
        """The result of a use, or why there is none. An unfinished operation is withdrawn."""
        performed = self._run(asked)
        if isinstance(performed, Refusal):
            return performed
        return performed.results[0] if performed.results else Refusal.UNAVAILABLE

    def run_batch(self, asked: pb.CreateOperationRequest) -> Sequence[bytes] | Refusal:
        """The results of a use for each input, or why there are none."""
        performed = self._run(asked)
        if isinstance(performed, Refusal):
            return performed
        return performed.results

    def open_session(self, asked: pb.CreateOperationRequest) -> pb.Session | None:
        """The session that is asked for; None if it was refused or failed."""
        performed = self._run(asked)
        if isinstance(performed, Refusal) or not performed.HasField("session"):
            return None
        return performed.session

    def use_session(
        self,
        asked: pb.UseSessionRequest,
        call: Call[pb.UseSessionRequest, pb.UseSessionResponse],
    ) -> pb.UseSessionResponse:
        """Use a session. Raises Stopped or grpc.RpcError."""
        return self._repeat(call, asked, ASK_SECONDS)

    def _run(self, asked: pb.CreateOperationRequest) -> pb.PerformOperationResponse | Refusal:
        try:
            operation = self._repeat(self._stub.CreateOperation, asked, ASK_SECONDS).operation
        except Stopped as stopped:
            # If only the answer was lost, the operation exists and rings until it expires. But its
            # approval cannot be used, because that requires this request's input.
            return stopped.why
        except grpc.RpcError as error:
            self.refused = error
            return refusal(error)
        result: pb.PerformOperationResponse | Refusal = Refusal.UNAVAILABLE
        outcome = Outcome.UNAVAILABLE  # if the prompter fails
        ended = False
        try:
            self._show(operation, asked)
            result, outcome = self._finish(operation.id, asked.inputs)
            ended = True
        except Stopped as stopped:
            result, outcome = stopped.why, OUTCOMES[stopped.why]
        except grpc.RpcError as error:
            self.refused = error
            result = refusal(error)
            outcome = OUTCOMES.get(refusal(error), Outcome.FAILED)
        finally:
            if not ended:
                self._withdraw(operation.id)
            self._prompter.clear(operation.id, outcome)
        return result

    def _finish(
        self, operation_id: str, inputs: Sequence[bytes]
    ) -> tuple[pb.PerformOperationResponse | Refusal, Outcome]:
        """Wait for the decision, and use it."""
        state = self._decision(operation_id)
        if state in USABLE:
            request = pb.PerformOperationRequest(operation_id=operation_id, inputs=inputs)
            try:
                return self._repeat(self._stub.PerformOperation, request), Outcome.APPROVED
            except grpc.RpcError as error:
                if code(error) is not grpc.StatusCode.FAILED_PRECONDITION:
                    raise
                state = self._decision(operation_id)  # it has ended in another way meanwhile
                if state in USABLE:
                    raise
        return FINAL.get(state, (Refusal.UNAVAILABLE, Outcome.FAILED))

    def _show(self, operation: pb.Operation, asked: pb.CreateOperationRequest) -> None:
        prompt = Prompt(
            operation_id=operation.id,
            card_serial=asked.card_serial,
            number=operation.number,
            qr_text=operation.qr_text,
            expire_time=operation.expire_time.ToDatetime(tzinfo=UTC),
            check_code=check_code.of_request(asked),
            workstation=self._workstation,
            program=asked.application,
            key=f"{asked.key_ref:02X}",
            use=USES.get(asked.key_use, ""),
            inputs=len(asked.inputs),
            session_uses=asked.session.most_uses,
            session_seconds=asked.session.seconds,
            seconds=_seconds(operation, operation.expire_time),
            qr_seconds=_seconds(operation, operation.qr_expire_time),
        )
        self._prompter.show(prompt, self._cancel)

    def _decision(self, operation_id: str) -> State:
        """The first state that is not PENDING; what is interrupted is watched again."""
        for left in self._tries():
            try:
                state = self._watches.decision(
                    operation_id, left, self._cancellation, self._metadata
                )
                if state is not None:
                    return state
            except grpc.RpcError as error:
                self._pause_or_raise(error, left)
        raise Stopped(Refusal.UNAVAILABLE)

    def _repeat(
        self,
        call: Call[Request, Response],
        request: Request,
        patience: float = DEADLINE_SECONDS,
    ) -> Response:
        """Repeat a call until it succeeds; it must be safe to repeat."""
        for left in self._tries(patience):
            try:
                return call(request, timeout=min(CALL_SECONDS, left), metadata=self._metadata)
            except grpc.RpcError as error:
                self._pause_or_raise(error, left)
        raise Stopped(Refusal.UNAVAILABLE)

    def _pause_or_raise(self, error: grpc.RpcError, left: float) -> None:
        """Return when the call can be repeated; raise its error if it must not be."""
        asked = retry_seconds(error)
        if asked is None and code(error) not in TRANSIENT:
            raise error
        if asked is not None and asked >= left:
            raise Stopped(Refusal.UNAVAILABLE)
        if self._cancellation.wait(min(spread(max(0.0, asked or 0.0)), left)):
            raise Stopped(Refusal.CANCELLED)

    def _tries(self, patience: float = DEADLINE_SECONDS) -> Iterator[float]:
        """Yield the seconds left once for each attempt, with growing pauses. Raises Stopped."""
        pause = FIRST_PAUSE
        deadline = min(self._deadline, self._clock() + patience)
        while (left := deadline - self._clock()) > 0:
            if self._cancellation.requested:
                raise Stopped(Refusal.CANCELLED)
            yield left
            if self._cancellation.wait(min(spread(pause), left)):
                raise Stopped(Refusal.CANCELLED)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _cancel(self) -> None:
        self.withdrawn = True
        self._cancellation.request()

    def _withdraw(self, operation_id: str) -> None:
        """Cancel the operation, so that the phone stops ringing. If this fails, it expires."""
        request = pb.CancelOperationRequest(operation_id=operation_id)
        with suppress(grpc.RpcError):
            self._stub.CancelOperation(request, timeout=WITHDRAW_SECONDS, metadata=self._metadata)

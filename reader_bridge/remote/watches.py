"""What becomes of the operations of a workstation, all watched over one stream to the keystore.

A keystore without such streams is asked by a call for each.
"""

from __future__ import annotations

from functools import partial
from typing import TypeAlias

import grpc

from cloudcard.approval.v1 import approval_pb2
from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard.workstation.v1 import workstation_pb2_grpc
from reader_bridge.remote.refusals import StreamFailed
from reader_bridge.remote.streams import Ended, Kind, Streams
from reader_bridge.tasks import Cancellation

Metadata: TypeAlias = tuple[tuple[str, str], ...]
State: TypeAlias = approval_pb2.OperationState.ValueType


class Watches:
    """Waits for decisions, over one stream that is opened when it is needed. Used from any thread;
    an operation is watched by one of them at a time.

    `channel` leads to the keystore, under the workstation's certificate.
    """

    def __init__(self, channel: grpc.Channel) -> None:
        self._service = workstation_pb2_grpc.WorkstationServiceStub(channel)
        self._streams = Streams(Kind("watched operations", self._service.WatchOperations, _decided))

    def decision(
        self,
        operation_id: str,
        seconds: float,
        cancellation: Cancellation,
        metadata: Metadata | None = None,
    ) -> State | None:
        """The first state of an operation that is not PENDING; None if the keystore has said
        nothing more. Raises grpc.RpcError, also after `seconds` or if it is cancelled.
        """
        asked = pb.WatchOperationsRequest(watch=[operation_id])
        decided = self._streams.ask(operation_id, asked)
        leave = partial(
            self._streams.leave, operation_id, pb.WatchOperationsRequest(leave=[operation_id])
        )
        try:
            with cancellation.running(partial(leave, grpc.StatusCode.CANCELLED)):
                return decided.result(seconds)
        except TimeoutError:
            leave(grpc.StatusCode.DEADLINE_EXCEEDED)
            return decided.result()  # it can have come in the last moment
        except Ended as ended:
            if ended.code() is not grpc.StatusCode.UNIMPLEMENTED:
                raise
        return self._alone(operation_id, seconds, cancellation, metadata)

    def _alone(
        self,
        operation_id: str,
        seconds: float,
        cancellation: Cancellation,
        metadata: Metadata | None,
    ) -> State | None:
        """Watch an operation by a call of its own."""
        request = pb.WatchOperationRequest(operation_id=operation_id)
        stream = self._service.WatchOperation(request, timeout=seconds, metadata=metadata)
        with cancellation.running(stream.cancel):
            for message in stream:
                if message.operation.state != approval_pb2.OPERATION_STATE_PENDING:
                    stream.cancel()
                    return message.operation.state
        return None


def _decided(response: pb.WatchOperationsResponse) -> tuple[str, State | StreamFailed] | None:
    """Which operation waits no longer, and its state."""
    match response.WhichOneof("outcome"):
        case "operation" if response.operation.state == approval_pb2.OPERATION_STATE_PENDING:
            return None
        case "operation":
            return response.operation_id, response.operation.state
        case "refusal":
            return response.operation_id, StreamFailed.of(response.refusal)
        case _:  # of a newer keystore
            return None

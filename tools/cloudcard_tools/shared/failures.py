"""What goes wrong in a command that calls the keystore, as one line that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from cloudcard_tools.shared.failure import Failure as Failure


class Refused(Failure):
    """The keystore refused. `reason` is its machine-readable word."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(text)
        self.reason = reason


@contextmanager
def failures() -> Iterator[None]:
    """Turn a failed call to the keystore into a Failure."""
    try:
        yield
    except grpc.RpcError as error:
        if not isinstance(error, grpc.Call):
            raise
        raise explain(error) from None


def explain(call: grpc.Call) -> Failure:
    """What a failed call means to a person."""
    match call.code():
        case grpc.StatusCode.UNAVAILABLE if not reason(call):
            return Failure(
                f"the keystore is out of reach ({call.details()}): is `cloudcard serve` running?"
            )
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return Failure("the keystore does not answer in time: try again")
    return Refused(str(call.details()), reason(call))


def reason(call: grpc.Call) -> str:
    """The reason of a refusal, such as CARD_NOT_FOUND; empty if the status has none."""
    status = rpc_status.from_call(call)
    info = error_details_pb2.ErrorInfo()
    if status is not None:
        for detail in status.details:
            if detail.Unpack(info):
                return str(info.reason)
    return ""

"""What a failed call to the keystore means to the card."""

from __future__ import annotations

from collections.abc import Mapping

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from card_os.keys import Refusal
from cloudcard.workstation.v1 import workstation_pb2 as pb

REFUSALS: Mapping[grpc.StatusCode, Refusal] = {
    grpc.StatusCode.RESOURCE_EXHAUSTED: Refusal.DENIED,
    grpc.StatusCode.FAILED_PRECONDITION: Refusal.DENIED,
    grpc.StatusCode.PERMISSION_DENIED: Refusal.DENIED,
    grpc.StatusCode.INVALID_ARGUMENT: Refusal.MALFORMED,
    grpc.StatusCode.NOT_FOUND: Refusal.UNKNOWN_KEY,
}

# Reasons that say more than their status
REASONS: Mapping[str, Refusal] = {
    "PASSCODE_NEEDED": Refusal.PASSCODE_NEEDED,
    "ADMINISTRATOR_NEEDED": Refusal.PASSCODE_NEEDED,
    "CARD_FULL": Refusal.FULL,
    "NO_RESULT": Refusal.UNAVAILABLE,
    "TOO_MANY_CALLS": Refusal.UNAVAILABLE,
    "OVERLOADED": Refusal.UNAVAILABLE,
    "JOURNAL_BUDGET_SPENT": Refusal.UNAVAILABLE,
}

# The card answers that no try is left: of what the standard has, "reset operation blocked" fits
# (NIST SP 800-73-4 part 2, 3.2.3).
PUK_REFUSED = "PUK_REFUSED"

# The call can have failed for a reason outside the keystore: it can be repeated if that does no
# harm. A keystore that shuts down ends its calls with any of these.
TRANSIENT = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNKNOWN,
    }
)


CODES: Mapping[int, grpc.StatusCode] = {each.value[0]: each for each in grpc.StatusCode}


class StreamFailed(grpc.RpcError):
    """What was asked over a stream has failed; it tells what the status of a failed call tells."""

    def __init__(
        self,
        code: grpc.StatusCode,
        text: str,
        reason: str = "",
        retry_seconds: float | None = None,
    ) -> None:
        super().__init__(text)
        self._code = code
        self._text = text
        self.reason = reason
        self.retry_seconds = retry_seconds

    @classmethod
    def of(cls, said: pb.Refusal) -> StreamFailed:
        """The keystore's refusal."""
        retry = said.retry_delay.ToTimedelta() if said.HasField("retry_delay") else None
        code = CODES.get(said.code, grpc.StatusCode.UNKNOWN)
        seconds = None if retry is None else retry.total_seconds()
        return cls(code, said.text, said.reason, seconds)

    def code(self) -> grpc.StatusCode:
        """The status code."""
        return self._code

    def details(self) -> str:
        """What it says to a person."""
        return self._text


def code(error: grpc.RpcError) -> grpc.StatusCode:
    """The status of a failed call."""
    known = isinstance(error, grpc.Call | StreamFailed)
    return error.code() if known else grpc.StatusCode.UNKNOWN


def refusal(error: grpc.RpcError) -> Refusal:
    """Why there is no result; UNAVAILABLE if the error is not a refusal by the keystore."""
    known = REASONS.get(reason(error))
    return known or REFUSALS.get(code(error), Refusal.UNAVAILABLE)


def retry_seconds(error: grpc.RpcError) -> float | None:
    """After how many seconds the keystore, which did nothing, wants the same call again; None if it
    does not.
    """
    if isinstance(error, StreamFailed):
        return error.retry_seconds
    retry = error_details_pb2.RetryInfo()
    if _unpack(error, retry):
        return float(retry.retry_delay.ToTimedelta().total_seconds())
    return None


def reason(error: grpc.RpcError) -> str:
    """The keystore's reason for its refusal; empty if the status comes without one."""
    if isinstance(error, StreamFailed):
        return error.reason
    info = error_details_pb2.ErrorInfo()
    return str(info.reason) if _unpack(error, info) else ""


def said(error: grpc.RpcError) -> str:
    """What the keystore says that a person should do."""
    return str(error.details() or "") if isinstance(error, grpc.Call) else str(error)


def _unpack(error: grpc.RpcError, into: Message) -> bool:
    """Read one kind of detail of a failed call; False if it has none."""
    status = rpc_status.from_call(error) if isinstance(error, grpc.Call) else None
    return status is not None and any(detail.Unpack(into) for detail in status.details)

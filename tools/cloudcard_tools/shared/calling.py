"""Calls to the keystore: each has a deadline, and a failed one becomes one line of text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import grpc

from cloudcard_tools.shared.failures import Failure, OutOfReach, Refused
from reader_bridge.remote.refusals import reason

Request = TypeVar("Request")
Response = TypeVar("Response")
Diagnose: TypeAlias = Callable[[], OutOfReach]

SECONDS = 15.0  # for the answer, where a call does not say how long


@contextmanager
def explained(diagnose: Diagnose | None = None) -> Iterator[None]:
    """Turn a failed call to the keystore into a Failure. `diagnose` finds out why the keystore is
    out of reach.
    """
    try:
        yield
    except grpc.RpcError as error:
        if not isinstance(error, grpc.Call):
            raise
        raise explain(error, diagnose) from None


def explain(error: grpc.RpcError, diagnose: Diagnose | None = None) -> Failure:
    """What a failed call means to a person."""
    if not isinstance(error, grpc.Call):
        return OutOfReach(f"the call to the keystore ended ({error}): try again")
    why = reason(error)
    match error.code():
        case grpc.StatusCode.UNAVAILABLE if not why:
            if diagnose is not None:
                return diagnose()
            return OutOfReach(
                f"the keystore is out of reach ({error.details()}): is `cloudcard serve` running?"
            )
        case grpc.StatusCode.DEADLINE_EXCEEDED if not why:
            return OutOfReach("the keystore does not answer in time: try again", "NO_ANSWER")
        case grpc.StatusCode.CANCELLED if not why:
            return OutOfReach("the call to the keystore was cut off: try again")
        case grpc.StatusCode.UNIMPLEMENTED if not why:
            return Refused(
                "the keystore is older than this program, and cannot do this: use the same "
                "version of both",
                "UNIMPLEMENTED",
            )
    said = error.details() or f"the keystore says {error.code().name} and no more"
    return Refused(said, why or error.code().name)


def in_time(channel: grpc.Channel) -> grpc.Channel:
    """The channel, with a deadline for each unary call that sets none. Streams have no deadline."""
    return grpc.intercept_channel(channel, _InTime())


def listed(
    call: grpc.UnaryStreamMultiCallable[Request, Response], request: Request
) -> Iterator[Response]:
    """The responses of a list, which has the deadline of one call."""
    return call(request, timeout=SECONDS)


class _InTime(grpc.UnaryUnaryClientInterceptor):
    def intercept_unary_unary(
        self,
        continuation: Callable[[grpc.ClientCallDetails, Request], grpc._CallFuture[Response]],
        client_call_details: grpc.ClientCallDetails,
        request: Request,
    ) -> grpc._CallFuture[Response]:
        """Make the call, within SECONDS unless it sets a timeout of its own."""
        said = client_call_details
        if said.timeout is not None:
            return continuation(said, request)
        return continuation(
            _Details(
                said.method,
                SECONDS,
                said.metadata,
                said.credentials,
                said.wait_for_ready,
                said.compression,
            ),
            request,
        )


@dataclass(frozen=True)
class _Details(grpc.ClientCallDetails):
    method: str
    timeout: float | None
    metadata: grpc._Metadata | None
    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None
    compression: grpc.Compression | None

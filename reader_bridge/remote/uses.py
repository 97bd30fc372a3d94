"""Uses of open sessions over one stream to the keystore, many at once.

The reader asks here for its slots' uses, and so can a program at a workstation for its own
(docs/signing.md). A keystore without streams is asked by single calls.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import count
from typing import TypeAlias

import grpc

from card_os.uses import REQUEST_ID_BYTES
from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard.workstation.v1 import workstation_pb2_grpc
from reader_bridge.remote.refusals import TRANSIENT, StreamFailed, code, retry_seconds
from reader_bridge.remote.streams import Ended, Kind, Streams, future

Metadata: TypeAlias = tuple[tuple[str, str], ...]
Used: TypeAlias = "Future[pb.UseSessionResponse]"

MOST_UNDER_WAY = 128  # of a program; the keystore reads 256 of a stream before it has answered
USE_SECONDS = 30.0
CALL_SECONDS = 10.0
PAUSE_SECONDS = 0.1  # before a use is repeated, unless the keystore says when
REPEATERS = 8  # threads, which only uses need that did not get their result at once
MOST_NUMBERS = 1 << 32  # after which they begin again
TRACEPARENT = "traceparent"  # W3C Trace Context, 3.2
TIME_BYTES = 6  # of a request_id


class Uses:
    """Uses of the sessions of a workstation, over one stream that is opened when it is needed. Used
    from any thread.

    `channel` leads to the keystore, under the workstation's certificate.
    """

    def __init__(self, channel: grpc.Channel, most_under_way: int = MOST_UNDER_WAY) -> None:
        self._service = workstation_pb2_grpc.WorkstationServiceStub(channel)
        self._streams = Streams(Kind("uses", self._service.UseSessions, _outcome))
        self._numbers = count(1)
        self._places = threading.BoundedSemaphore(most_under_way)
        self._repeaters = ThreadPoolExecutor(REPEATERS, "repeated uses")
        self._closed = threading.Event()

    def __enter__(self) -> Uses:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def use(
        self,
        session_id: str,
        inputs: Sequence[bytes],
        request_id: bytes = b"",
        seconds: float = USE_SECONDS,
    ) -> Used:
        """Begin a use of a session's key for each input, and return its future results. It blocks
        while as many uses as allowed are under way.

        What is lost with a connection, or refused for now, is asked for again, with the same
        `request_id`, until it has taken `seconds`: the key is used once all the same. The future
        raises grpc.RpcError, of which `reader_bridge.remote.refusals` tells the reason.
        """
        asked = pb.UseSessionRequest(
            session_id=session_id,
            request_id=request_id or timed(os.urandom(REQUEST_ID_BYTES)),
            inputs=inputs,
        )
        until = time.monotonic() + seconds
        self._places.acquire()
        try:
            first = self._ask(asked)
        except BaseException:  # the channel is closed
            self._places.release()
            raise
        made: Used = future()
        made.add_done_callback(lambda _: self._places.release())
        first.add_done_callback(partial(self._first_ended, made, asked, until))
        return made

    def call(
        self, asked: pb.UseSessionRequest, timeout: float, metadata: Metadata | None = None
    ) -> pb.UseSessionResponse:
        """Use a session once, like the method of the stub; `metadata` has the trace. If the stream
        ends meanwhile, or there is none, it is a call of its own. Raises grpc.RpcError; if there is
        no answer in time, the stream is given up.
        """
        until = time.monotonic() + timeout
        try:
            return self._ask(asked, dict(metadata or ()).get(TRACEPARENT, "")).result(timeout)
        except TimeoutError:
            self._streams.end()  # what has not left yet must not be done when nobody waits for it
            raise StreamFailed(grpc.StatusCode.DEADLINE_EXCEEDED, "no answer in time") from None
        except Ended:
            left = max(0.0, until - time.monotonic())
            return self._service.UseSession(asked, timeout=left, metadata=metadata)

    def close(self) -> None:
        """End the stream; uses under way fail."""
        self._closed.set()
        self._streams.end()
        self._repeaters.shutdown(wait=False)

    def _ask(self, asked: pb.UseSessionRequest, traceparent: str = "") -> Used:
        """Ask once. The future raises Ended if there is no stream; then it is not known whether the
        key was used: asked for again with the same request_id, it is used once.
        """
        number = next(self._numbers) % MOST_NUMBERS
        request = pb.UseSessionsRequest(number=number, use=asked, traceparent=traceparent)
        return self._streams.ask(number, request)

    def _first_ended(
        self, made: Used, asked: pb.UseSessionRequest, until: float, first: Used
    ) -> None:
        error = first.exception()
        if error is None:
            made.set_result(first.result())
        elif isinstance(error, grpc.RpcError) and is_repeatable(error):
            try:
                self._repeaters.submit(self._repeat, made, asked, until, error)
            except RuntimeError:  # it was closed
                made.set_exception(error)
        else:
            made.set_exception(error)

    def _repeat(
        self, made: Used, asked: pb.UseSessionRequest, until: float, error: grpc.RpcError
    ) -> None:
        """Ask again until there is an answer that stays."""
        while is_repeatable(error):
            pause = 0.0 if isinstance(error, Ended) else retry_seconds(error) or PAUSE_SECONDS
            if time.monotonic() + pause >= until or self._closed.wait(pause):
                break
            try:
                left = max(0.0, until - time.monotonic())
                made.set_result(self.call(asked, min(left, CALL_SECONDS)))
            except grpc.RpcError as again:
                error = again
            except ValueError:  # the channel is closed
                break
            else:
                return
        made.set_exception(error)


def _outcome(response: pb.UseSessionsResponse) -> tuple[int, pb.UseSessionResponse | StreamFailed]:
    """Which use a response is about, and what has become of it."""
    match response.WhichOneof("outcome"):
        case "used":
            return response.number, response.used
        case "refusal":
            return response.number, StreamFailed.of(response.refusal)
        case _:  # of a newer keystore
            failed = StreamFailed(grpc.StatusCode.UNKNOWN, "no known outcome")
            return response.number, failed


def is_repeatable(error: grpc.RpcError) -> bool:
    """Whether a use that has failed can get its result by being asked for again."""
    return retry_seconds(error) is not None or code(error) in TRANSIENT or isinstance(error, Ended)


def timed(request_id: bytes) -> bytes:
    """A random request_id as the keystore wants it for a use: it begins with the time in
    milliseconds, so that the rows of uses that are made at the same time are beside each other.
    """
    return (time.time_ns() // 1_000_000).to_bytes(TIME_BYTES) + request_id[TIME_BYTES:]

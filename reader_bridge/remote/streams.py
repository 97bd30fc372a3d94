"""What is asked over one stream to the keystore, many requests at once, each answered by itself.

A stream is opened when something is asked, and another one after it has ended. A keystore of before
has no such stream, and is not asked for one each time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Generic, Protocol, TypeVar

import grpc

from reader_bridge.remote.refusals import StreamFailed, code, reason, retry_seconds

UNSERVED_SECONDS = 600.0  # for which a keystore without streams is asked for none

Key = TypeVar("Key", bound=Hashable)
Request = TypeVar("Request")
Response = TypeVar("Response")
Answer = TypeVar("Answer")
Said = TypeVar("Said", covariant=True)


class Ended(StreamFailed):
    """The stream has ended before it answered. It is not known whether it was done."""

    def __init__(
        self, why: grpc.StatusCode, reason: str = "", seconds: float | None = None
    ) -> None:
        super().__init__(why, "the stream has ended", reason, seconds)


class Call(Protocol[Said]):
    """A call that gives responses until it ends, and then raises grpc.RpcError if it has failed."""

    def __iter__(self) -> Iterator[Said]: ...

    def cancel(self) -> object: ...


@dataclass(frozen=True, slots=True)
class Kind(Generic[Key, Request, Response, Answer]):
    """What a stream is for."""

    name: str
    begin: Callable[[Iterator[Request]], Call[Response]]
    # What a response answers, and how; None if that has to be waited for still
    read: Callable[[Response], tuple[Key, Answer | StreamFailed] | None]


class Streams(Generic[Key, Request, Response, Answer]):
    """One stream after the other. Used from any thread."""

    def __init__(self, kind: Kind[Key, Request, Response, Answer]) -> None:
        self._kind = kind
        self._lock = threading.Lock()  # guards `_stream`
        self._stream: _Stream[Key, Request, Response, Answer] | None = None
        self._unserved_until = 0.0

    def ask(self, key: Key, request: Request) -> Future[Answer]:
        """Ask once. What the future raises is StreamFailed; Ended if there is no stream."""
        made: Future[Answer] = future()
        with self._lock:
            if time.monotonic() < self._unserved_until:
                made.set_exception(Ended(grpc.StatusCode.UNIMPLEMENTED))
            elif self._stream is None or not self._stream.ask(key, request, made):
                self._stream = _Stream(self._kind, self._note, key, request, made)
        return made

    def leave(self, key: Key, request: Request, why: grpc.StatusCode) -> None:
        """Wait for an answer no longer, and send what tells that; its future fails."""
        with self._lock:
            stream = self._stream
        if stream is not None:
            stream.leave(key, request, why)

    def end(self) -> None:
        """End the present stream; what is not answered gets Ended."""
        with self._lock:
            stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _note(self, why: grpc.StatusCode) -> None:
        """Take note of how a stream has ended."""
        if why is grpc.StatusCode.UNIMPLEMENTED:
            self._unserved_until = time.monotonic() + UNSERVED_SECONDS


class _Stream(Generic[Key, Request, Response, Answer]):
    """One stream, as long as it lasts."""

    def __init__(
        self,
        kind: Kind[Key, Request, Response, Answer],
        ended: Callable[[grpc.StatusCode], None],
        key: Key,
        request: Request,
        made: Future[Answer],
    ) -> None:
        self._read = kind.read
        self._ended = ended
        self._lock = threading.Lock()  # guards `_waiting`
        # None when it has ended. The first is there before the call, which can end at once.
        self._waiting: dict[Key, Future[Answer]] | None = {key: made}
        self._requests: SimpleQueue[Request | None] = SimpleQueue()
        self._requests.put(request)
        self._call = kind.begin(iter(self._requests.get, None))
        threading.Thread(target=self._listen, name=kind.name, daemon=True).start()

    def ask(self, key: Key, request: Request, made: Future[Answer]) -> bool:
        """Ask for what `made` will get; False if the stream has ended."""
        with self._lock:
            if self._waiting is None:
                return False
            self._waiting[key] = made
        self._requests.put(request)
        return True

    def leave(self, key: Key, request: Request, why: grpc.StatusCode) -> None:
        made = self._taken(key)
        if made is not None:
            self._requests.put(request)
            made.set_exception(StreamFailed(why, "it is not waited for any longer"))

    def close(self) -> None:
        self._call.cancel()

    def _listen(self) -> None:
        ended = partial(Ended, grpc.StatusCode.UNAVAILABLE)
        try:
            for response in self._call:
                self._take(response)
        except grpc.RpcError as error:
            ended = partial(Ended, code(error), reason(error), retry_seconds(error))
        finally:
            self._ended(ended().code())
            with self._lock:
                left, self._waiting = self._waiting or {}, None
            self._requests.put(None)  # gRPC's thread waits for what to send
            for made in left.values():
                made.set_exception(ended())

    def _take(self, response: Response) -> None:
        answered = self._read(response)
        if answered is None:
            return
        key, answer = answered
        made = self._taken(key)
        if made is None:
            return
        if isinstance(answer, StreamFailed):
            made.set_exception(answer)
        else:
            made.set_result(answer)

    def _taken(self, key: Key) -> Future[Answer] | None:
        with self._lock:
            return (self._waiting or {}).pop(key, None)


def future() -> Future[Answer]:
    """A future that nobody can cancel: what is asked for cannot be taken back."""
    made: Future[Answer] = Future()
    made.set_running_or_notify_cancel()
    return made

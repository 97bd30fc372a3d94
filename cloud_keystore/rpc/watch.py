"""Watches every call: gives it a trace id, counts and times it, and writes one log entry."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias, cast

import grpc
import structlog
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError, Message
from structlog.typing import FilteringBoundLogger

from cloud_keystore.model import tracing
from cloud_keystore.model.errors import InvalidInput, Overloaded
from cloud_keystore.model.tracing import TRACE_ID, TraceParent
from cloud_keystore.observability.metrics import Metrics
from cloud_keystore.observability.traces import Traces
from cloud_keystore.rpc import calls
from cloud_keystore.rpc.calls import CALL, Call
from cloud_keystore.rpc.connections.first_messages import (
    Handler,
    Listening,
    Messages,
    Streaming,
    Unary,
    first_in_time,
    in_time,
)
from cloud_keystore.rpc.limits import Limiter
from cloud_keystore.rpc.refusals import Context, refuse

log: FilteringBoundLogger = structlog.get_logger()

OURS = "/cloudcard."
LONGEST_NAME = 64  # characters of what a caller names
UNREAD = Empty()  # in place of a request that cannot be read
TOO_LARGE = Empty()  # and of one that is too large

Read: TypeAlias = Callable[[bytes], Message]


@dataclass(frozen=True, slots=True)
class Watch(grpc.aio.ServerInterceptor):
    """Watches the services of cloudcard; other services, such as health, are not watched."""

    metrics: Metrics
    traces: Traces
    limiter: Limiter
    largest_message: int  # bytes; gRPC itself takes more, so that the refusal gets its reason
    _handlers: dict[str, Handler] = field(default_factory=dict)  # by method: each is made once
    # Bound once: `log` would be bound anew for each entry.
    _log: FilteringBoundLogger = field(default_factory=log.bind)

    async def intercept_service(  # type: ignore[override]  # the base knows no messages' types
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        details: grpc.HandlerCallDetails,
    ) -> Handler:
        """The handler of a method; for services of cloudcard, one that is watched."""
        method = str(details.method)
        handler = self._handlers.get(method)
        if handler is None:
            handler = await continuation(details)
            if handler is None:
                return handler
            handler = self._handlers[method] = self._made(handler, method)
        if method.startswith(OURS):
            # Each call is a task of its own, in which its handler runs too: what is set here ends
            # with it.
            parent = _parent(details) or tracing.new(os.urandom(24))
            CALL.set(Call(method, parent.trace_id, parent=parent))
            TRACE_ID.set(parent.trace_id)
            structlog.contextvars.bind_contextvars(trace_id=parent.trace_id)
        return handler

    def _made(self, handler: Handler, method: str) -> Handler:
        if not method.startswith(OURS):
            return in_time(handler, self.limiter)
        if handler.request_streaming:
            listening = self._listening(cast(Listening, handler.stream_stream), method)
            return grpc.stream_stream_rpc_method_handler(
                first_in_time(listening, self.limiter),
                _reading(handler.request_deserializer, self.largest_message),
                handler.response_serializer,
            )
        if handler.response_streaming:
            watched = grpc.unary_stream_rpc_method_handler(
                self._stream(cast(Streaming, handler.unary_stream), method),
                _reading(handler.request_deserializer, self.largest_message),
                handler.response_serializer,
            )
        else:
            watched = grpc.unary_unary_rpc_method_handler(
                self._unary(cast(Unary, handler.unary_unary), method),
                _reading(handler.request_deserializer, self.largest_message),
                handler.response_serializer,
            )
        return in_time(watched, self.limiter)

    def _unary(self, serve: Unary, method: str) -> Unary:
        duration = self.metrics.call_seconds.labels(method)

        async def watched(request: Message, context: Context) -> Message:
            with self._watched(method, request):
                started = time.perf_counter()
                try:
                    with self.limiter.call():
                        return await serve(_read(request, self.largest_message), context)
                except (Overloaded, InvalidInput) as error:
                    await refuse(context, error)
                finally:
                    duration.observe(time.perf_counter() - started)

        return watched

    def _stream(self, serve: Streaming, method: str) -> Streaming:
        async def watched(request: Message, context: Context) -> AsyncIterator[Message]:
            with self._watched(method, request):
                try:
                    with self.limiter.call():
                        async for message in serve(_read(request, self.largest_message), context):
                            yield message
                except (Overloaded, InvalidInput) as error:
                    await refuse(context, error)

        return watched

    def _listening(self, serve: Listening, method: str) -> Listening:
        async def watched(messages: Messages, context: Context) -> None:
            with self._watched(method, UNREAD):
                try:
                    with self.limiter.call():
                        await serve(_each_read(messages, self.largest_message), context)
                except (Overloaded, InvalidInput) as error:
                    await refuse(context, error)

        return watched

    @contextmanager
    def _watched(self, method: str, request: Message) -> Iterator[None]:
        call = calls.current()
        call.card_serial = getattr(request, "card_serial", "")[:LONGEST_NAME]
        call.operation_id = getattr(request, "operation_id", "")[:LONGEST_NAME]
        started = time.perf_counter()
        self.metrics.calls_under_way.inc()
        try:
            with self.traces.span(method, call.parent):
                yield
        except (asyncio.CancelledError, GeneratorExit):
            call.code = "CANCELLED"
            raise
        except NotImplementedError:
            call.code = "UNIMPLEMENTED"
            raise
        finally:
            self.metrics.calls_under_way.dec()
            self.metrics.calls.labels(method, call.code).inc()
            if call.reason:
                self.metrics.refusals.labels(call.reason).inc()
            self._log.info(
                "call",
                method=method,
                code=call.code,
                ms=round((time.perf_counter() - started) * 1000, 1),
                **call.facts(),
            )


def _parent(details: grpc.HandlerCallDetails) -> TraceParent | None:
    """The caller's span; None if the header is missing, malformed or sent twice (Trace Context,
    3.2).
    """
    said = [value for key, value in details.invocation_metadata or () if key == tracing.TRACEPARENT]
    return tracing.parse(said[0]) if len(said) == 1 else None


def _reading(read: Read | None, largest: int) -> Read:
    """A deserializer that returns UNREAD for bytes that are no message, and TOO_LARGE for too many.
    gRPC would report an exception as an internal error, and the caller would not know that its
    request is wrong.
    """

    def reading(raw: bytes) -> Message:
        if len(raw) > largest:
            return TOO_LARGE
        try:
            return UNREAD if read is None else read(raw)
        except DecodeError:
            return UNREAD

    return reading


def _read(request: Message, largest: int) -> Message:
    if request is TOO_LARGE:
        raise InvalidInput(f"the message is too large: at most {largest} bytes are taken")
    if request is UNREAD:
        raise InvalidInput("the request is no message of this method: check the client's version")
    return request


async def _each_read(messages: Messages, largest: int) -> Messages:
    async for message in messages:
        yield _read(message, largest)

"""Awaits the message of a call that has begun, for a bounded time.

gRPC waits for the message before it calls a handler of unary calls, for as long as the connection
lasts, and nobody is told of the call. A handler of calls with streams of requests is called at
once. To the caller both are the same, so each handler becomes one that reads its message itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from typing import TypeAlias, cast

import grpc
from google.protobuf.message import Message

from cloud_keystore.model.errors import IdentityRejected, InvalidInput, KeystoreError
from cloud_keystore.rpc.connections.addresses import network_of
from cloud_keystore.rpc.limits import Limiter
from cloud_keystore.rpc.peer import certificate_sha256
from cloud_keystore.rpc.refusals import Context, refuse

Handler: TypeAlias = "grpc.RpcMethodHandler[Message, Message]"
Messages: TypeAlias = AsyncIterator[Message]
Unary: TypeAlias = Callable[[Message, Context], Awaitable[Message]]
Streaming: TypeAlias = Callable[[Message, Context], Messages]
Conversing: TypeAlias = Callable[[Messages, Context], Messages]
Listening: TypeAlias = Callable[[Messages, Context], Awaitable[None]]  # it writes by the context


def in_time(handler: Handler, limiter: Limiter) -> Handler:
    """A handler whose calls end if they do not bring their message in time, or if too many of the
    caller's calls have brought none yet; with streams of requests, each message.
    """
    readers = (handler.request_deserializer, handler.response_serializer)
    if handler.request_streaming:
        conversing = _conversing(cast(Conversing, handler.stream_stream), limiter)
        return grpc.stream_stream_rpc_method_handler(conversing, *readers)
    if handler.response_streaming:
        streaming = _streaming(cast(Streaming, handler.unary_stream), limiter)
        return grpc.stream_stream_rpc_method_handler(streaming, *readers)
    unary = _unary(cast(Unary, handler.unary_unary), limiter)
    return grpc.stream_unary_rpc_method_handler(unary, *readers)


def first_in_time(serve: Listening, limiter: Limiter) -> Listening:
    """A handler of a stream of requests of which only the first has to come in time: who has sent
    one can be silent for as long as the handler allows.
    """

    async def reading(_messages: Messages, context: Context) -> None:
        await serve(_first_and_others(context, limiter), context)

    return reading


def _unary(serve: Unary, limiter: Limiter) -> Callable[[Messages, Context], Awaitable[Message]]:
    async def reading(_messages: Messages, context: Context) -> Message:
        return await serve(await _first(context, limiter), context)

    return reading


def _streaming(serve: Streaming, limiter: Limiter) -> Conversing:
    async def reading(_messages: Messages, context: Context) -> Messages:
        async for message in serve(await _first(context, limiter), context):
            yield message

    return reading


def _conversing(serve: Conversing, limiter: Limiter) -> Conversing:
    async def reading(_messages: Messages, context: Context) -> Messages:
        async for message in serve(_each(context, limiter), context):
            yield message

    return reading


async def _first(context: Context, limiter: Limiter) -> Message:
    message = await _next(context, limiter)
    if message is None:
        await refuse(context, InvalidInput("the call has no message: send one"))
    return message


async def _each(context: Context, limiter: Limiter) -> Messages:
    while (message := await _next(context, limiter)) is not None:
        yield message


async def _first_and_others(context: Context, limiter: Limiter) -> Messages:
    message = await _next(context, limiter)
    while message is not None:
        yield message
        read = await _read(context)
        message = None if read is grpc.aio.EOF else cast(Message, read)


async def _next(context: Context, limiter: Limiter) -> Message | None:
    """The next message; None if the caller sends no more."""
    try:
        message = await limiter.begun.message(_caller(context, limiter), _read(context))
    except KeystoreError as error:
        await refuse(context, error)
    return None if message is grpc.aio.EOF else cast(Message, message)


async def _read(context: Context) -> object:
    return await context.read()


def _caller(context: Context, limiter: Limiter) -> Hashable:
    """Whose call it is: an identity, or a place if there is no certificate."""
    peer = context.peer()
    known = limiter.connections.caller(peer)
    if known is not None:
        return known
    try:
        return certificate_sha256(context)
    except IdentityRejected:
        return network_of(peer)

"""A connection to the keystore for programs that run for long: it renews their identity, and goes
over to the new certificate while they call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn, Protocol, TypeAlias, TypeVar, cast

import grpc

from cloudcard_tools.enrolment import renewing
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.identity import Identity
from reader_bridge.remote.operation import spread

# How often a program looks whether its identity is due, or was renewed by another program.
LOOK_SECONDS = 3600.0

Request = TypeVar("Request")
Response = TypeVar("Response")
Changed: TypeAlias = Callable[[grpc.ChannelConnectivity], None]


@contextmanager
def living(own: Identity) -> Iterator[grpc.Channel]:
    """A connection under an identity, which is renewed when it is time. Raises IdentityUnusable."""
    renewing.keep(own)
    channel, ended = LivingChannel(own), threading.Event()

    def look() -> None:
        while not ended.wait(spread(LOOK_SECONDS)):
            # What is wrong with the files is told when the program starts again, or by its calls.
            with suppress(Failure):
                channel.look()

    threading.Thread(target=look, name="identity", daemon=True).start()
    try:
        yield channel
    finally:
        ended.set()
        channel.close()


class LivingChannel(grpc.Channel):
    """Calls go to the present one of several channels; what was begun on the one before goes on."""

    def __init__(self, own: Identity) -> None:
        self._own = own
        self._one = threading.Lock()
        _, self._certificate = own.pair()
        self._channels = [identity.channel(own)]
        self._subscribed: dict[Changed, bool] = {}

    @property
    def present(self) -> grpc.Channel:
        """The channel that new calls take."""
        return self._channels[-1]

    def look(self) -> None:
        """Renew the identity if it is time, and open another channel if it was renewed. Raises
        IdentityUnusable.
        """
        renewing.keep(self._own)
        _, certificate = self._own.pair()
        if certificate == self._certificate:
            return
        opened = identity.channel(self._own)
        with self._one:
            self._certificate = certificate
            *older, before = self._channels
            self._channels = [before, opened]
            for callback, try_to_connect in self._subscribed.items():
                before.unsubscribe(callback)
                opened.subscribe(callback, try_to_connect)
        for each in older:
            each.close()

    def subscribe(self, callback: Changed, try_to_connect: bool = False) -> None:
        """Tell a callback how the present channel is."""
        with self._one:
            self._subscribed[callback] = try_to_connect
            self.present.subscribe(callback, try_to_connect)

    def unsubscribe(self, callback: Changed) -> None:
        """Tell a callback no more."""
        with self._one:
            self._subscribed.pop(callback, None)
            self.present.unsubscribe(callback)

    def unary_unary(
        self,
        method: str,
        request_serializer: Callable[[Request], bytes] | None = None,
        response_deserializer: Callable[[bytes], Response] | None = None,
        _registered_method: bool | None = False,
    ) -> grpc.UnaryUnaryMultiCallable[Request, Response]:
        """A method with one request and one response."""
        coders = request_serializer, response_deserializer
        call = _Call(self, lambda channel: channel.unary_unary(method, *coders))
        return cast("grpc.UnaryUnaryMultiCallable[Request, Response]", call)

    def unary_stream(
        self,
        method: str,
        request_serializer: Callable[[Request], bytes] | None = None,
        response_deserializer: Callable[[bytes], Response] | None = None,
        _registered_method: bool | None = False,
    ) -> grpc.UnaryStreamMultiCallable[Request, Response]:
        """A method with one request and many responses."""
        coders = request_serializer, response_deserializer
        call = _Call(self, lambda channel: channel.unary_stream(method, *coders))
        return cast("grpc.UnaryStreamMultiCallable[Request, Response]", call)

    def stream_stream(
        self,
        method: str,
        request_serializer: Callable[[Request], bytes] | None = None,
        response_deserializer: Callable[[bytes], Response] | None = None,
        _registered_method: bool | None = False,
    ) -> grpc.StreamStreamMultiCallable[Request, Response]:
        """A method with many requests and many responses."""
        coders = request_serializer, response_deserializer
        call = _Call(self, lambda channel: channel.stream_stream(method, *coders))
        return cast("grpc.StreamStreamMultiCallable[Request, Response]", call)

    def stream_unary(self, *_: object, **__: object) -> NoReturn:
        """No method of the keystore takes many requests and gives one response."""
        raise NotImplementedError

    def close(self) -> None:
        """End all calls."""
        for each in self._channels:
            each.close()

    def __enter__(self) -> LivingChannel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Callable(Protocol):
    with_call: Callable[..., object]
    future: Callable[..., object]
    __call__: Callable[..., object]


class _Call:
    """A method of whichever channel is the present one."""

    def __init__(self, living: LivingChannel, make: Callable[[grpc.Channel], object]) -> None:
        self._living = living
        self._make = make
        self._made: tuple[grpc.Channel, _Callable] | None = None

    def __call__(self, *arguments: object, **named: object) -> object:
        return self._present()(*arguments, **named)

    def with_call(self, *arguments: object, **named: object) -> object:
        return self._present().with_call(*arguments, **named)

    def future(self, *arguments: object, **named: object) -> object:
        return self._present().future(*arguments, **named)

    def _present(self) -> _Callable:
        channel, made = self._living.present, self._made
        if made is None or made[0] is not channel:
            made = self._made = channel, cast(_Callable, self._make(channel))
        return made[1]

"""The network's side of the border for groups of requests, which its event loop awaits: a thread
that waits for custody would fight with the loop for the interpreter's lock.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast

from cloud_keystore.border import frames
from cloud_keystore.border.answers import LOST, Answers, Done, unread
from cloud_keystore.border.calling import CONNECT_SECONDS, NOT_REACHED, check_own, is_quiet
from cloud_keystore.border.encoding import Codec, Unreadable, pack
from cloud_keystore.border.table import Method
from cloud_keystore.model.errors import StorageUnavailable

Request = TypeVar("Request")
Response = TypeVar("Response")


class _Talk(asyncio.Protocol):
    """A connection, over which one call is made at a time."""

    def __init__(self, asked: Method, connection: socket.socket, secret: bytes) -> None:
        self._connection = connection
        self._secret = secret
        self._answers = Answers(asked, Codec(callers=False))
        self._incoming = frames.Incoming(frames.MOST_ANSWERED)
        self._done: Done | None = None
        self._ending: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(frames.framed(self._secret))

    def connection_lost(self, _error: Exception | None) -> None:
        self._transport = None
        self._fail(StorageUnavailable(LOST))

    @property
    def is_idle(self) -> bool:
        """Whether it can be asked something: custody has not closed it, and owes no answer."""
        return (
            self._transport is not None
            and self._ending is None
            and self._incoming.is_empty
            and is_quiet(self._connection)
        )

    @property
    def is_over(self) -> bool:
        """Whether it is closed."""
        return self._transport is None

    def close(self) -> None:
        """Hang up; whoever waits is told so."""
        if self._transport is not None:
            self._transport.abort()

    def ask(self, call: bytes, done: Done) -> asyncio.Future[None]:
        """Make a call, which the future ends with."""
        self._ending, self._done = asyncio.get_running_loop().create_future(), done
        ending = self._ending
        if self._transport is None:
            self._fail(StorageUnavailable(LOST))
        else:
            self._transport.write(frames.framed(call))
        return ending

    def data_received(self, data: bytes) -> None:
        self._incoming.feed(data)
        try:
            while (frame := self._incoming.next()) is not None:
                self._take(frame)
        # Also one of `done`: what else would come is not for the next call.
        except Exception as error:
            self._fail(unread(error) if isinstance(error, Unreadable) else error)
            self.close()

    def _take(self, frame: bytes) -> None:
        if self._done is None or self._ending is None:
            raise Unreadable("an answer to nothing")
        ended = self._answers.take(frame, self._done)
        if ended is None:
            return
        ending, self._ending, self._done = self._ending, None, None
        if ending.done():
            return  # nobody waits any more
        try:
            self._answers.value(ended)
        except Exception as error:
            ending.set_exception(error)
        else:
            ending.set_result(None)

    def _fail(self, error: Exception) -> None:
        ending, self._ending, self._done = self._ending, None, None
        if ending is not None and not ending.done():
            ending.set_exception(error)


@dataclass(slots=True)
class Groups(Generic[Request, Response]):
    """Asks custody for groups of requests, by one method. Used in one event loop."""

    path: str
    secret: bytes = field(repr=False)
    asked: Method  # which takes `requests` and `done`
    _arguments: Codec = field(default_factory=lambda: Codec(callers=True))
    _open: list[_Talk] = field(default_factory=list)

    def ask(
        self, requests: Sequence[Request], done: Callable[[int, Response | Exception], None]
    ) -> asyncio.Future[None]:
        """Ask for a group: `done` gets the outcome of each request, and the future ends after all
        of them. It raises what the method does, StorageUnavailable if custody ends meanwhile or
        cannot be reached, and Failed for a fault of its own.
        """
        plain = self._arguments.plain(requests, self.asked.parameters["requests"])
        call = pack([self.asked.name, None, "", {"requests": plain}])
        for talk in self._open:
            if talk.is_idle:
                return talk.ask(call, cast(Done, done))
        return asyncio.ensure_future(self._ask_anew(call, cast(Done, done)))

    @property
    def is_open(self) -> bool:
        """Whether there is a connection."""
        return any(not each.is_over for each in self._open)

    def close(self) -> None:
        """Close the connections, which is done when the event loop goes on."""
        for each in self._open:
            each.close()

    async def _ask_anew(self, call: bytes, done: Done) -> None:
        talk = await self._connected()
        self._open = [talk, *(each for each in self._open if not each.is_over)]
        await talk.ask(call, done)

    async def _connected(self) -> _Talk:
        loop, connection = asyncio.get_running_loop(), socket.socket(socket.AF_UNIX)
        try:
            connection.setblocking(False)
            async with asyncio.timeout(CONNECT_SECONDS):
                await loop.sock_connect(connection, self.path)
            check_own(connection)
            _, talk = await loop.create_unix_connection(
                lambda: _Talk(self.asked, connection, self.secret), sock=connection
            )
        except BaseException as error:
            connection.close()
            if isinstance(error, OSError):
                raise StorageUnavailable(NOT_REACHED) from error
            raise
        return talk

"""The network's side of the border: use cases that ask custody, one connection for each thread."""

from __future__ import annotations

import dataclasses
import socket
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, LifoQueue
from typing import TypeVar, cast

from cloud_keystore.border import frames
from cloud_keystore.border.answering import is_own
from cloud_keystore.border.answers import LOST, Answers, Done, Ended, unread
from cloud_keystore.border.encoding import Codec, Unreadable, pack
from cloud_keystore.border.presented import PRESENTED
from cloud_keystore.border.table import Method
from cloud_keystore.model.errors import StorageUnavailable
from cloud_keystore.model.tracing import TRACE_ID

T = TypeVar("T")

CONNECT_SECONDS = 5.0
NOT_REACHED = "the keystore's custody is not reached: ask again"
MOST_NAMES = 10_000  # callers that are remembered by name, for the log


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection, and what comes over it."""

    socket: socket.socket
    incoming: frames.Incoming = field(
        default_factory=lambda: frames.Incoming(frames.MOST_ANSWERED), repr=False
    )


@dataclass(slots=True)
class Line:
    """Asks custody over a Unix socket. Used from any thread."""

    path: str
    secret: bytes = field(repr=False)
    _idle: LifoQueue[Connected] = field(default_factory=LifoQueue)
    _arguments: Codec = field(default_factory=lambda: Codec(callers=True))
    _results: Codec = field(default_factory=lambda: Codec(callers=False))
    _names: OrderedDict[bytes, tuple[str, str]] = field(default_factory=OrderedDict)

    def named(self, fingerprint: bytes) -> tuple[str, str]:
        """Role and identifier of the caller with this certificate; empty if not known."""
        return self._names.get(fingerprint, ("", ""))

    def ask(self, asked: Method, *args: object, **kwargs: object) -> object:
        """Call a method. Raises what the method does, StorageUnavailable if custody ends meanwhile
        or cannot be reached, and Failed for a fault of its own.
        """
        bound = asked.signature.bind(*args, **kwargs).arguments
        given = {
            name: self._arguments.plain(bound[name], kind)
            for name, kind in asked.parameters.items()
            if name in bound
        }
        presented = PRESENTED.get()
        fingerprint = presented.fingerprint if asked.needs_caller and presented else None
        call = pack([asked.name, fingerprint, TRACE_ID.get(), given])
        done = cast("Done | None", bound.get("done"))
        answers = Answers(asked, self._results)
        connection = self._connection()
        connection.socket.settimeout(asked.seconds)
        try:
            frames.send(connection.socket, call)
            ended = _ended(connection, answers, done)
        # Also an exception of `done`: what else would come is not for the next call.
        except BaseException as error:
            connection.socket.close()
            if isinstance(error, OSError):
                raise StorageUnavailable(LOST) from None
            if isinstance(error, Unreadable):
                raise unread(error) from None
            raise
        self._idle.put(connection)
        if fingerprint is not None and ended.caller:
            self._note(fingerprint, ended.role, ended.caller)
        return answers.value(ended)

    def close(self) -> None:
        """Close the connections that are idle."""
        with suppress(Empty):
            while True:
                self._idle.get_nowait().socket.close()

    def _connection(self) -> Connected:
        """An idle connection that custody has not closed, or a new one."""
        with suppress(Empty):
            while True:
                idle = self._idle.get_nowait()
                if idle.incoming.is_empty and is_quiet(idle.socket):
                    return idle
                idle.socket.close()
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(CONNECT_SECONDS)
            connection.connect(self.path)
            check_own(connection)
            frames.send(connection, self.secret)
        except OSError as error:
            connection.close()
            raise StorageUnavailable(NOT_REACHED) from error
        return Connected(connection)

    def _note(self, fingerprint: bytes, role: str, caller: str) -> None:
        self._names[fingerprint] = role, caller
        if len(self._names) > MOST_NAMES:
            with suppress(KeyError):
                self._names.popitem(last=False)


class _Remote:
    """An object whose methods are those of a use case in custody."""

    def __init__(self, field_name: str, line: Line, methods: Mapping[str, Method]) -> None:
        for name, asked in methods.items():
            owner, _, method = name.partition(".")
            if owner == field_name:
                setattr(self, method, _asking(line, asked))


def _ended(connection: Connected, answers: Answers, done: Done | None) -> Ended:
    """How a call has ended; raises OSError, Unreadable, and what `done` raises."""
    while (frame := connection.incoming.receive(connection.socket)) is not None:
        if (ended := answers.take(frame, done)) is not None:
            return ended
    raise ConnectionResetError


def _asking(line: Line, asked: Method) -> Callable[..., object]:
    def ask(*args: object, **kwargs: object) -> object:
        return line.ask(asked, *args, **kwargs)

    return ask


def remote(use_cases: type[T], methods: Mapping[str, Method], line: Line) -> T:
    """The use cases of a table, each a remote one."""
    fields = dataclasses.fields(use_cases)  # type: ignore[arg-type]  # of a dataclass
    parts = {each.name: _Remote(each.name, line, methods) for each in fields}
    return cast("Callable[..., T]", use_cases)(**parts)


def check_own(connection: socket.socket) -> None:
    """Raises PermissionError if the process at the other end is of another user: the secret is not
    for it.
    """
    if not is_own(connection):
        raise PermissionError


def is_quiet(connection: socket.socket) -> bool:
    """Whether nothing has come over a connection that nobody waits at, not even its end."""
    connection.setblocking(False)
    try:
        connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False

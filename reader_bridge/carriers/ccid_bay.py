"""Where a card and a computer meet in our USB reader: two threads, one state machine."""

from __future__ import annotations

import select
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Protocol

from card_os.trace.lines import Power
from reader_bridge.carriers.carrier import Command, Event
from reader_bridge.ccid.reader import Apdu, Effect, Order, Reader, Say


class Host(Protocol):
    """The computer at the other end."""

    def tell(self, effects: Sequence[Effect]) -> None:
        """What the computer should hear. It must not raise, and must return soon."""


class Bay:
    """Holds the reader's state for the computer's thread and the card's."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self._lock = threading.Lock()  # guards everything below, and the reader
        self._host: Host | None = None
        self._listens = threading.Event()  # its driver has said something
        self._link: CcidLink | None = None

    def attach(self, host: Host) -> bool:
        """Let a computer use the reader; False if another does."""
        with self._lock:
            if self._host is not None:
                return False
            self._host = host
            self.reader.attached()
            return True

    def detach(self, host: Host) -> None:
        """The computer has gone, and the card leaves."""
        with self._lock:
            if self._host is host:
                self._listens.clear()
                self._drop()
                self._host = None

    def wait_for_host(self, seconds: float) -> bool:
        """Wait until a computer's driver uses the reader; False if none does so soon."""
        return self._listens.wait(seconds)

    def run(self, step: Callable[[], Sequence[Effect]], listens: bool = False) -> None:
        """Do a step of the reader's, and what follows from it."""
        with self._lock:
            self._follow(step())
            if listens:
                self._listens.set()

    def insert(self, atr: bytes, sock: socket.socket, end: socket.socket) -> CcidLink | None:
        """Put a card in; None if no computer is there any more. Raises ValueError if it has no ATR.

        The card's thread waits at `sock`, whose other end is `end`.
        """
        with self._lock:
            if not self._listens.is_set():
                return None
            self._drop()
            effects = self.reader.insert(atr)
            self._link = CcidLink(self, sock, end)
            self._follow(effects)
            return self._link

    def remove(self, link: CcidLink) -> None:
        """The card of this link has gone, if it has not been taken out before."""
        with self._lock:
            if link is self._link:
                self._drop()

    def respond(self, link: CcidLink, response: bytes) -> None:
        """The card has answered."""
        with self._lock:
            if link is self._link:
                self._follow(self.reader.respond(response))

    def sweep(self) -> None:
        """Take a card out that nobody serves any more."""
        with self._lock:
            if self._link is not None and self._link.is_left():
                self._drop()

    def _drop(self) -> None:
        """Take the card out, if one is in."""
        if self._link is None:
            return
        link, self._link = self._link, None
        link.end()
        self._follow(self.reader.remove())

    def _follow(self, effects: Sequence[Effect]) -> None:
        told: list[Effect] = []
        for effect in effects:
            match effect:
                case Apdu(raw):
                    self._put(Command(raw))
                case Power():
                    self._put(effect)
                case Order.WITHDRAW:
                    # A card cannot go back to before a command. It leaves, and comes back fresh.
                    if self._link is not None:
                        self._link.end()
                case Say() | Order.NOTIFY:
                    told.append(effect)
        if told and self._host is not None:
            self._host.tell(told)

    def _put(self, event: Event) -> None:
        if self._link is not None:
            self._link.put(event)


class CcidLink:
    """A card in our USB reader, for the thread that serves it."""

    beat_seconds: float | None = None  # the computer's thread asks it for more time

    def __init__(self, bay: Bay, sock: socket.socket, end: socket.socket) -> None:
        self._bay = bay
        self._sock = sock
        self._end = end
        self._events: deque[Event] = deque()

    def fileno(self) -> int:
        """Readable for each event, and in the end."""
        return self._sock.fileno()

    def events(self) -> Iterator[Event]:
        """Commands and changes of power."""
        try:
            while self._sock.recv(1):
                yield self._events.popleft()
        finally:
            self._bay.remove(self)

    def respond(self, response: bytes, /) -> None:
        """Send the response to the last command."""
        self._bay.respond(self, response)

    def beat(self) -> None:
        """Say nothing: the computer's thread does."""

    def put(self, event: Event) -> None:
        """Tell the card's thread something. Called by the computer's thread."""
        self._events.append(event)
        with suppress(OSError):  # the card is just leaving
            self._end.send(b"\0")

    def end(self) -> None:
        """Tell the card's thread that this is all."""
        self._end.close()

    def is_left(self) -> bool:
        """Whether the card's thread has gone, which never sends anything."""
        return bool(select.select([self._end], [], [], 0)[0])

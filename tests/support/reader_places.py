"""The places where a card finds a reader, without pcscd: vpcd's port, and our handler's socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol, TypeAlias

from card_os.card import Card
from reader_bridge import connection
from reader_bridge.carriers.carrier import Carrier, Link
from reader_bridge.carriers.handler_socket import HandlerLink, HandlerSocket
from reader_bridge.carriers.vpcd_port import VpcdLink, VpcdPort
from reader_bridge.records import Hello
from reader_bridge.tasks import CancellableKeys
from support.handler_end import HandlerEnd
from support.vpcd_end import SECONDS, Reader


class ReaderEnd(Protocol):
    """What a reader can do; the bodies are vpcd's controls, and commands."""

    sock: socket.socket

    def send(self, body: bytes) -> None: ...
    def receive(self) -> bytes: ...
    def ask(self, body: bytes) -> bytes: ...
    def hang_up(self) -> None: ...


class Place(Protocol):
    """A reader that can come and go at one place."""

    carrier: Carrier

    def listening(self) -> AbstractContextManager[socket.socket]: ...
    def accept(self, listener: socket.socket) -> ReaderEnd: ...


class VpcdPlace:
    """A port of this computer."""

    def __init__(self, _folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self._address = probe.getsockname()
        self.carrier = VpcdPort(self._address[1])

    @contextmanager
    def listening(self) -> Iterator[socket.socket]:
        with socket.create_server(self._address) as listener:
            listener.settimeout(SECONDS)
            yield listener

    def accept(self, listener: socket.socket) -> ReaderEnd:
        return Reader(listener.accept()[0])


class HandlerPlace:
    """A socket in a folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "reader.sock"
        self.carrier = HandlerSocket(self.path)

    @contextmanager
    def listening(self) -> Iterator[socket.socket]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(str(self.path))
            listener.listen()
            listener.settimeout(SECONDS)
            try:
                yield listener
            finally:
                self.path.unlink()

    def accept(self, listener: socket.socket) -> ReaderEnd:
        return HandlerEnd(listener.accept()[0])


PLACES: Mapping[str, Callable[[Path], Place]] = {"vpcd": VpcdPlace, "handler": HandlerPlace}


Pair: TypeAlias = tuple[ReaderEnd, Link, socket.socket]


def vpcd_pair(atr: bytes) -> Pair:
    """Both ends of a connection to vpcd, and the socket of ours."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        return Reader(listener.accept()[0]), VpcdLink(theirs, atr), theirs


def handler_pair(atr: bytes) -> Pair:
    """Both ends of a connection to our handler, after the greeting, and the socket of ours."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.send(Hello(atr).encode())
    end = HandlerEnd(ours)
    theirs.recv(1024)
    return end, HandlerLink(theirs), theirs


PAIRS: Mapping[str, Callable[[bytes], Pair]] = {
    "vpcd": vpcd_pair,
    "handler": handler_pair,
}


class Served:
    """A card served on a thread, and how that ended."""

    def __init__(self, link: Link, sock: socket.socket, card: Card, keys: CancellableKeys) -> None:
        self.card = card
        self.error: BaseException | None = None
        self._keys = keys
        self._link, self._sock = link, sock
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            with self._sock:
                connection.serve(self._link, self.card, self._keys)
        except BaseException as error:
            self.error = error

    def wait_for_end(self) -> BaseException | None:
        """The error by which serving ended, None if in good order."""
        self.thread.join(SECONDS)
        assert not self.thread.is_alive()
        return self.error


@contextmanager
def served(via: str, card: Card, keys: CancellableKeys) -> Iterator[tuple[ReaderEnd, Served]]:
    """A card in a reader without pcscd; in the end the reader hangs up."""
    reader, link, sock = PAIRS[via](card.atr)
    running = Served(link, sock, card, keys)
    try:
        yield reader, running
    finally:
        reader.hang_up()
        running.wait_for_end()

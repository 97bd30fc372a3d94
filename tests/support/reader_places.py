"""The places where a card finds a reader, without pcscd: one for each carrier."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol, TypeAlias

from card_os.card import Card
from reader_bridge import connection
from reader_bridge.carriers.carrier import Carrier, Link, SlotState
from reader_bridge.carriers.handler_socket import HandlerLink, HandlerSocket
from reader_bridge.carriers.qemu_socket import QemuSocket
from reader_bridge.carriers.usbip_server import UsbipServer
from reader_bridge.carriers.vpcd_port import VpcdLink, VpcdPort
from reader_bridge.ccid import reader as usb
from reader_bridge.ccid.messages import CardStatus, Request
from reader_bridge.records import Hello
from reader_bridge.tasks import CancellableKeys
from support.ccid_end import UsbipEnd, pipe
from support.handler_end import HandlerEnd
from support.qemu_end import QemuEnd
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
    absent: SlotState  # what is said while the reader is not there

    def close(self) -> None: ...
    def listening(self) -> AbstractContextManager[socket.socket]: ...
    def accept(self, listener: socket.socket) -> ReaderEnd: ...


class VpcdPlace:
    """A port of this computer."""

    absent = SlotState.PCSCD_NOT_RUNNING

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

    def close(self) -> None: ...


class SocketPlace:
    """A socket in a folder."""

    absent = SlotState.PCSCD_NOT_RUNNING
    kind: socket.SocketKind

    def __init__(self, folder: Path) -> None:
        self.path = folder / "reader.sock"

    def close(self) -> None: ...

    @contextmanager
    def listening(self) -> Iterator[socket.socket]:
        with socket.socket(socket.AF_UNIX, self.kind) as listener:
            listener.bind(str(self.path))
            listener.listen()
            listener.settimeout(SECONDS)
            try:
                yield listener
            finally:
                self.path.unlink()


class HandlerPlace(SocketPlace):
    """Our handler's."""

    kind = socket.SOCK_SEQPACKET

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.carrier = HandlerSocket(self.path)

    def accept(self, listener: socket.socket) -> ReaderEnd:
        return HandlerEnd(listener.accept()[0])


class QemuPlace(SocketPlace):
    """A virtual machine's."""

    kind = socket.SOCK_STREAM

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.carrier = QemuSocket(str(self.path))

    def accept(self, listener: socket.socket) -> ReaderEnd:
        return QemuEnd(listener.accept()[0])


class UsbipPlace:
    """Our USB reader, which computers come to."""

    absent = SlotState.NOT_ATTACHED

    def __init__(self, _folder: Path) -> None:
        self._server = UsbipServer(port=0)
        self.carrier = self._server.slot(0)
        self._server.open()

    @contextmanager
    def listening(self) -> Iterator[socket.socket]:
        with socket.socket() as nobody:
            yield nobody

    def accept(self, _listener: socket.socket) -> ReaderEnd:
        return imported(self._server)

    def close(self) -> None:
        self._server.close()


DIALLED: Mapping[str, Callable[[Path], Place]] = {  # where a card calls, and may be hung up on
    "vpcd": VpcdPlace,
    "handler": HandlerPlace,
    "qemu": QemuPlace,
}
PLACES: Mapping[str, Callable[[Path], Place]] = {**DIALLED, "usbip": UsbipPlace}


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


def qemu_pair(atr: bytes) -> Pair:
    """Both ends of a connection to QEMU, after the greeting, and the socket of ours."""
    with TemporaryDirectory() as folder:
        place = QemuPlace(Path(folder))
        with place.listening() as listener, ThreadPoolExecutor(1) as other:
            accepted = other.submit(place.accept, listener)
            sock = place.carrier.endpoint()
            link = place.carrier.insert(sock, atr, lambda _state: None, threading.Event())
            return accepted.result(SECONDS), link, sock


def pipe_pair(atr: bytes) -> Pair:
    """A computer's end of a pipe to our USB reader, the card's link, and its socket."""
    end, bay = pipe(usb.Reader())
    assert end.status() is CardStatus.ABSENT
    sock, other = socket.socketpair()
    link = bay.insert(atr, sock, other)
    assert link is not None
    return end, link, sock


def usbip_pair(atr: bytes) -> Pair:
    """A computer that has imported our USB reader, the card's link, and its socket."""
    server = UsbipServer(port=0)
    server.open()
    end = imported(server)
    end.leave = server.close
    assert end.status() is CardStatus.ABSENT
    carrier = server.slot(0)
    sock = carrier.endpoint()
    return end, carrier.insert(sock, atr, lambda _state: None, threading.Event()), sock


def imported(server: UsbipServer, slot: int = 0) -> UsbipEnd:
    """A computer that has imported the reader, as soon as the one before has let it go."""
    deadline = time.monotonic() + SECONDS
    while True:
        end = UsbipEnd(socket.create_connection(("127.0.0.1", server.port)), slot)
        if end.imported:
            # What its driver asks first, and what it does with the answer.
            end.say(Request.GET_SLOT_STATUS)
            end.hear()
            return end
        end.hang_up()
        assert time.monotonic() < deadline


DIRECT: Mapping[str, Callable[[bytes], Pair]] = {  # whose reader only speaks when it is its turn
    "vpcd": vpcd_pair,
    "handler": handler_pair,
}
POWERED: Mapping[str, Callable[[bytes], Pair]] = {  # whose reader tells of resets
    **DIRECT,
    "pipe": pipe_pair,
    "usbip": usbip_pair,
}
PAIRS: Mapping[str, Callable[[bytes], Pair]] = {**POWERED, "qemu": qemu_pair}


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

"""The reader's end of vpcd's protocol, for tests."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from card_os.card import Card
from card_os.keys import KeyRequest, KeyResult, KeyService
from reader_bridge import connection
from reader_bridge.tasks import CancellableKeys, Cancellation
from reader_bridge.vpcd import encode

SECONDS = 10.0
VERIFY = bytes.fromhex("00200080 08 313233343536FFFF")
STATUS = bytes.fromhex("00200080")
SIGN = bytes.fromhex("0087119A 26 7C24 8200 8120") + b"\x11" * 32 + b"\x00"
GET_ATR, RESET, POWER_ON, POWER_OFF = b"\x04", b"\x02", b"\x01", b"\x00"
OK = b"\x90\x00"


class Reader:
    """vpcd: always begins, and waits for the answer."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.settimeout(SECONDS)
        self._received = sock.makefile("rb")

    def send(self, body: bytes) -> None:
        self.sock.sendall(encode(body))

    def receive(self) -> bytes:
        """The next message; empty at the end."""
        return self._received.read(int.from_bytes(self._received.read(2)))

    def ask(self, body: bytes) -> bytes:
        self.send(body)
        return self.receive()

    def hang_up(self) -> None:
        self._received.close()
        self.sock.close()


class Served:
    """A card served on a thread, and how that ended."""

    def __init__(self, sock: socket.socket, card: Card, keys: CancellableKeys) -> None:
        self.card = card
        self.error: BaseException | None = None
        self._keys = keys
        self._sock = sock
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            with self._sock:
                connection.serve(self._sock, self.card, self._keys)
        except BaseException as error:
            self.error = error

    def wait_for_end(self) -> BaseException | None:
        """The error by which serving ended, None if in good order."""
        self.thread.join(SECONDS)
        assert not self.thread.is_alive()
        return self.error


@contextmanager
def served(card: Card, keys: CancellableKeys) -> Iterator[tuple[Reader, Served]]:
    """A card in a reader without pcscd; in the end the reader hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    reader, running = Reader(ours), Served(theirs, card, keys)
    try:
        yield reader, running
    finally:
        reader.hang_up()
        running.wait_for_end()


class Ready:
    """Keys that answer at once, from a key service without cancellation."""

    def __init__(self, keys: KeyService) -> None:
        self._keys = keys

    def perform(self, request: KeyRequest, _cancellation: Cancellation) -> KeyResult:
        return self._keys.perform(request)

    def reset(self) -> None:
        """Keeps nothing that ends with the card's session."""


class Person:
    """Keys that wait until the test decides, or the request is cancelled."""

    def __init__(self, keys: KeyService) -> None:
        self._keys = keys
        self.asked = threading.Semaphore(0)
        self.decided = threading.Event()
        self.cancelled = threading.Event()

    def perform(self, request: KeyRequest, cancellation: Cancellation) -> KeyResult:
        self.asked.release()
        with cancellation.running(self._stop):
            assert self.decided.wait(SECONDS)
        return self._keys.perform(request)

    def reset(self) -> None:
        """Keeps nothing that ends with the card's session."""

    def _stop(self) -> None:
        self.cancelled.set()
        self.decided.set()

    def wait_until_asked(self) -> None:
        assert self.asked.acquire(timeout=SECONDS)

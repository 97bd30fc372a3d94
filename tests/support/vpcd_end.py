"""The reader's end of vpcd's protocol, for tests."""

from __future__ import annotations

import socket
import threading

from card_os.keys import KeyRequest, KeyResult, KeyService
from reader_bridge.tasks import Cancellation
from reader_bridge.vpcd import encode

SECONDS = 60.0
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

    def __init__(self, keys: KeyService, patience: float = SECONDS) -> None:
        self._keys = keys
        self._patience = patience
        self.asked = threading.Semaphore(0)
        self.decided = threading.Event()
        self.cancelled = threading.Event()

    def perform(self, request: KeyRequest, cancellation: Cancellation) -> KeyResult:
        self.asked.release()
        with cancellation.running(self._stop):
            assert self.decided.wait(self._patience)
        return self._keys.perform(request)

    def reset(self) -> None:
        """Keeps nothing that ends with the card's session."""

    def _stop(self) -> None:
        self.cancelled.set()
        self.decided.set()

    def wait_until_asked(self) -> None:
        assert self.asked.acquire(timeout=SECONDS)

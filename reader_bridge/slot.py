"""Keeps a card in a slot: one thread that connects to vpcd, serves, and connects again."""

from __future__ import annotations

import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from enum import Enum
from typing import TypeAlias

import structlog

from card_os.card import Card
from reader_bridge import connection
from reader_bridge.pcscd import Hold
from reader_bridge.tasks import CancellableKeys

log = structlog.get_logger()

# vpcd listens on every address and asks nobody who he is; we at least never leave this computer.
LOOPBACK = "127.0.0.1"
SILENCE_SECONDS = 2.0  # vpcd asks for the ATR every 0.4 s (Windows: 1 s), or serves another card
FIRST_PAUSE = 0.05  # seconds between tries, doubled up to the longest
LONGEST_PAUSE = 1.0
REFUSALS = 5  # in a row, in 0.75 s, before pcscd is said not to run: it may just be starting
# Windows' virtual reader does not notice a card that is back sooner.
REINSERT_SECONDS = 1.5 if sys.platform == "win32" else 0.0
STOP_SECONDS = connection.CANCEL_SECONDS + 1.0

_ABORT = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)  # struct linger: on, 0 s


class SlotState(Enum):
    """What is to be known of a slot; said once per change."""

    INSERTED = "inserted"  # the reader has seen the card
    REMOVED = "removed"  # the reader hung up
    PORT_BUSY = "port_busy"  # the reader serves another card
    PCSCD_NOT_RUNNING = "pcscd_not_running"  # nobody listens


OnChange: TypeAlias = Callable[[SlotState], None]


class Slot:
    """A card in the virtual reader at a port of this computer, until it is stopped.

    `on_change` is called on the slot's thread. Raises ValueError for what is no port.
    """

    def __init__(
        self,
        port: int,
        card: Card,
        keys: CancellableKeys,
        on_change: OnChange,
        hold: Hold | None = None,
        tape: connection.Tape | None = None,
    ) -> None:
        if not 0 < port <= 0xFFFF:
            raise ValueError(f"{port} is no TCP port")
        self.port = port
        self._card = card
        self._keys = keys
        self._on_change = on_change
        self._hold = hold
        self._tape = tape
        self._state: SlotState | None = None
        self._refusals = 0
        self._stopping = threading.Event()
        self._lock = threading.Lock()  # over `_socket`, which `stop` shuts down
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name=f"slot at {port}", daemon=True)

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()

    def stop(self) -> None:
        """Remove the card: an open request is cancelled, the connection and the thread end."""
        self._stopping.set()
        with self._lock:
            if self._socket is not None:
                _shut_down(self._socket)
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        pauses = _pauses()
        while not self._stopping.is_set():
            if self._hold is not None:
                self._hold.renew()
            try:
                served = self._connect_and_serve()
            except Exception:  # a bug; the next connection begins afresh
                log.exception("slot failed", port=self.port)
                served = False
            if served:
                pauses = _pauses()
            self._stopping.wait(next(pauses) + (REINSERT_SECONDS if served else 0.0))

    def _connect_and_serve(self) -> bool:
        """One connection from its beginning to its end; whether the reader said anything."""
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
            with self._lock:
                self._socket = sock
            try:
                return self._try(sock)
            finally:
                with self._lock:
                    self._socket = None

    def _try(self, sock: socket.socket) -> bool:
        try:
            connect(sock, self.port)
        except TimeoutError:  # its queue of connections is full
            self._say(SlotState.PORT_BUSY)
            return False
        except OSError:
            self._refusals += 1
            if self._refusals >= REFUSALS:
                self._say(SlotState.PCSCD_NOT_RUNNING)
            return False
        self._refusals = 0
        if not self._wait_for_reader(sock):
            return False
        self._say(SlotState.INSERTED)
        with suppress(connection.ReaderGone, OSError):  # as good as an orderly end
            connection.serve(sock, self._card, self._keys, self._tape)
        self._say(SlotState.REMOVED)
        return True

    def _wait_for_reader(self, sock: socket.socket) -> bool:
        """Wait for the first byte; False if the connection ends before.

        A second card is accepted by the kernel, but not by vpcd before the first has left. So a
        reader that says nothing is busy, and to stay in the queue is to be the next.
        """
        sock.settimeout(SILENCE_SECONDS)
        while not self._stopping.is_set():
            try:
                if not sock.recv(1, socket.MSG_PEEK):
                    return False
            except TimeoutError:
                self._say(SlotState.PORT_BUSY)
                sock.settimeout(None)
                continue
            except OSError:
                return False
            sock.settimeout(None)
            return True
        return False

    def _say(self, state: SlotState) -> None:
        if state is not self._state and not self._stopping.is_set():
            self._state = state
            self._on_change(state)


def connect(sock: socket.socket, port: int) -> None:
    """Connect to vpcd on this computer; raises OSError, TimeoutError among them."""
    sock.settimeout(SILENCE_SECONDS)
    sock.connect((LOOPBACK, port))
    if sock.getsockname() == sock.getpeername():
        # vpcd's ports are among those that the kernel gives to clients. One which is given its own
        # destination is connected to itself (RFC 9293, 3.5), and in pcscd's way.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
        raise ConnectionRefusedError("connected to itself")
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.settimeout(None)


def _shut_down(sock: socket.socket) -> None:
    """Wake the thread that reads."""
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # not connected yet, or no more: the thread does not sleep long


def _pauses() -> Iterator[float]:
    pause = FIRST_PAUSE
    while True:
        yield pause
        pause = min(2 * pause, LONGEST_PAUSE)

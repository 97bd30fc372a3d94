"""Keeps a card in a slot: a thread connects to vpcd, serves the card, and connects again."""

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
from reader_bridge import connection, peer
from reader_bridge.pcscd import Hold
from reader_bridge.tasks import CancellableKeys

log = structlog.get_logger()

# vpcd listens on every address without authentication; the agent itself connects only to this
# computer.
LOOPBACK = "127.0.0.1"
# vpcd asks for the ATR every 0.4 s (Windows: 1 s), unless it serves another card.
SILENCE_SECONDS = 2.0
FIRST_PAUSE = 0.05  # seconds between tries, doubled up to the longest
LONGEST_PAUSE = 1.0
# Refused or ended connections in a row, which take 0.75 s, before they are reported: pcscd may be
# starting.
REFUSALS = 5
# Windows' virtual reader does not notice a card that comes back sooner.
REINSERT_SECONDS = 1.5 if sys.platform == "win32" else 0.0
STOP_SECONDS = connection.CANCEL_SECONDS + 1.0

_ABORT = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)  # struct linger: on, 0 s


class SlotState(Enum):
    """The state of a slot, reported once at each change."""

    INSERTED = "inserted"  # the reader has seen the card
    REMOVED = "removed"  # the reader hung up
    PORT_BUSY = "port_busy"  # the reader serves another card
    PCSCD_NOT_RUNNING = "pcscd_not_running"  # nobody listens
    HANGS_UP = "hangs_up"  # somebody listens, and ends each connection before a word
    STRANGER = "stranger"  # the program at the port is another user's, and does not get the card


OnChange: TypeAlias = Callable[[SlotState], None]


class Slot:
    """A card in the virtual reader at a port of this computer, until it is stopped.

    `on_change` is called on the slot's thread. Raises ValueError if `port` is not a TCP port.
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
            raise ValueError(f"{port} is not a TCP port: it must be 1 to 65535")
        self.port = port
        self._card = card
        self._keys = keys
        self._on_change = on_change
        self._hold = hold
        self._tape = tape
        self._state: SlotState | None = None
        self._refusals = 0
        self._stopping = threading.Event()
        self._lock = threading.Lock()  # guards `_socket`, which `stop` shuts down
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name=f"slot at {port}", daemon=True)

    def start(self) -> None:
        """Start the thread, which connects to the reader."""
        self._thread.start()

    def stop(self) -> None:
        """Remove the card: cancel an open request, and end the connection and the thread."""
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
            except Exception:  # a bug; the next connection starts afresh
                log.exception("slot failed", port=self.port)
                served = False
            if served:
                pauses = _pauses()
            self._stopping.wait(next(pauses) + (REINSERT_SECONDS if served else 0.0))

    def _connect_and_serve(self) -> bool:
        """Serve one connection from start to end; return whether the reader sent anything."""
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
        except TimeoutError:  # vpcd's queue of connections is full
            self._say(SlotState.PORT_BUSY)
            return False
        except OSError:
            self._refuse(SlotState.PCSCD_NOT_RUNNING)
            return False
        if not self._wait_for_reader(sock):
            self._refuse(SlotState.HANGS_UP)
            return False
        try:
            if not peer.is_reader(sock):
                self._say(SlotState.STRANGER)
                return False
        except OSError:
            self._refuse(SlotState.HANGS_UP)
            return False
        self._refusals = 0
        self._say(SlotState.INSERTED)
        with suppress(connection.ReaderGone, OSError):  # the same as an orderly end
            connection.serve(sock, self._card, self._keys, self._tape)
        self._say(SlotState.REMOVED)
        return True

    def _refuse(self, state: SlotState) -> None:
        self._refusals += 1
        if self._refusals >= REFUSALS:
            self._say(state)

    def _wait_for_reader(self, sock: socket.socket) -> bool:
        """Wait for the first byte; return False if the connection ends first.

        The kernel accepts the connection of a second card, but vpcd accepts it only when the first
        card has left. A silent reader is therefore busy, and a card that stays connected is next.
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
    """Connect to vpcd on this computer. Raises OSError, or its subclass TimeoutError."""
    sock.settimeout(SILENCE_SECONDS)
    sock.connect((LOOPBACK, port))
    if sock.getsockname() == sock.getpeername():
        # vpcd's ports are in the range that the kernel gives to clients. A socket that is given its
        # own destination as source connects to itself (RFC 9293, 3.5), and blocks pcscd's port.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
        raise ConnectionRefusedError("connected to itself")
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.settimeout(None)


def _shut_down(sock: socket.socket) -> None:
    """Shut a socket down, which wakes the thread that reads from it."""
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # not connected: the thread wakes soon by itself


def _pauses() -> Iterator[float]:
    pause = FIRST_PAUSE
    while True:
        yield pause
        pause = min(2 * pause, LONGEST_PAUSE)

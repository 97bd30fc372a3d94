"""Keeps a card in a slot: a thread connects to the reader, serves the card, and connects again."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress

import structlog

from card_os.card import Card
from reader_bridge import connection
from reader_bridge.carriers.carrier import Carrier, NotInserted, OnChange, SlotState
from reader_bridge.pcscd import Hold
from reader_bridge.tasks import CancellableKeys

log = structlog.get_logger()

FIRST_PAUSE = 0.05  # seconds between tries, doubled up to the longest
LONGEST_PAUSE = 1.0
# What is reported only after some tries in a row, which take 0.75 s: pcscd may be starting.
PASSING = frozenset({SlotState.PCSCD_NOT_RUNNING, SlotState.HANGS_UP})
REFUSALS = 5
# Windows' virtual reader does not notice a card that comes back sooner.
REINSERT_SECONDS = 1.5 if sys.platform == "win32" else 0.0
STOP_SECONDS = connection.CANCEL_SECONDS + 1.0


class Slot:
    """A card in a reader of this computer, until it is stopped.

    `on_change` is called on the slot's thread.
    """

    def __init__(
        self,
        carrier: Carrier,
        card: Card,
        keys: CancellableKeys,
        on_change: OnChange,
        hold: Hold | None = None,
        tape: connection.Tape | None = None,
    ) -> None:
        self._carrier = carrier
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
        self._thread = threading.Thread(
            target=self._run, name=f"slot at {carrier.where.place}", daemon=True
        )

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
                log.exception("slot failed", place=self._carrier.where.place)
                served = False
            if served:
                pauses = _pauses()
            self._stopping.wait(next(pauses) + (REINSERT_SECONDS if served else 0.0))

    def _connect_and_serve(self) -> bool:
        """Serve one connection from start to end; return whether the reader took the card."""
        with self._carrier.endpoint() as sock:
            with self._lock:
                self._socket = sock
            try:
                return self._try(sock)
            finally:
                with self._lock:
                    self._socket = None

    def _try(self, sock: socket.socket) -> bool:
        try:
            link = self._carrier.insert(sock, self._card.atr, self._say, self._stopping)
        except NotInserted as error:
            self._refuse(error.state)
            return False
        if self._stopping.is_set():  # `stop` may have come before there was a connection
            return False
        self._refusals = 0
        self._say(SlotState.INSERTED)
        with suppress(connection.ReaderGone, OSError):  # the same as an orderly end
            connection.serve(link, self._card, self._keys, self._tape)
        self._say(SlotState.REMOVED)
        return True

    def _refuse(self, state: SlotState) -> None:
        if state in PASSING:
            self._refusals += 1
        if state not in PASSING or self._refusals >= REFUSALS:
            self._say(state)

    def _say(self, state: SlotState) -> None:
        if state is not self._state and not self._stopping.is_set():
            self._state = state
            self._on_change(state)


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

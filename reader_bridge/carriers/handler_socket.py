"""The socket of our own IFD handler (drivers/linux/ifd)."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import structlog

from card_os.trace.lines import Power
from reader_bridge import peer, records
from reader_bridge.carriers.carrier import Command, Event, NotInserted, OnChange, SlotState, Where

log = structlog.get_logger()

SOCKET = Path("/run/cloudcard/reader.sock")
READERS = Path("/etc/reader.conf.d")  # what pcscd reads when it starts
LIBRARY = "libifdcloudcard.so"  # named there if the handler is installed
WELCOME_SECONDS = 2.0
_BEAT = struct.pack("ll", int(records.BEAT_SECONDS), 0)  # struct timeval
WAIT = records.Signal.WAIT.encode()
_ROOM = 2 * records.LONGEST  # bytes: the longest record must fit into the kernel's buffer

REFUSALS: Mapping[int, SlotState] = {
    records.EjectReason.VERSION: SlotState.OTHER_VERSION,
    records.EjectReason.FORBIDDEN: SlotState.FORBIDDEN,
    records.EjectReason.TAKEN: SlotState.SLOT_TAKEN,
    records.EjectReason.NO_SLOT: SlotState.NO_SLOT,
}
POWERS: Mapping[records.Signal, Power] = {
    records.Signal.ON: Power.ON,
    records.Signal.OFF: Power.OFF,
    records.Signal.RESET: Power.RESET,
}


def is_installed(socket_path: Path = SOCKET, readers: Path = READERS) -> bool:
    """Whether this computer's pcscd has our handler, also if pcscd does not run now."""
    if socket_path.is_socket():
        return True
    with suppress(OSError):
        return any(LIBRARY in each.read_text("utf-8", "replace") for each in readers.iterdir())
    return False


class HandlerSocket:
    """A slot of our handler: the one of a number, or any that is free.

    A card that has been in a slot is put there again if it can be, so that the applications find
    it in the same reader. Raises ValueError if there can be no slot of this number.
    """

    def __init__(self, path: Path = SOCKET, slot: int | None = None) -> None:
        if slot is not None and not 0 <= slot < records.ANY_SLOT:
            raise ValueError(f"{slot} is no slot: it must be 0 to {records.ANY_SLOT - 1}")
        self._path = path
        self._wanted = slot
        self._last: int | None = None

    @property
    def where(self) -> Where:
        """The slot in which the card is, or the handler's socket."""
        slot = self._wanted if self._wanted is not None else self._last
        place = f"socket {self._path}" if slot is None else f"slot {slot}"
        return Where("handler", place, "Cloudcard's driver", f"ss -lxp src {self._path}")

    def endpoint(self) -> socket.socket:
        """A socket of records."""
        return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def insert(
        self, sock: socket.socket, atr: bytes, _say: OnChange, _stopping: threading.Event, /
    ) -> HandlerLink:
        """Connect, look who listens, and say HELLO. Raises NotInserted."""
        sock.settimeout(WELCOME_SECONDS)
        try:
            sock.connect(str(self._path))
        except OSError:
            raise NotInserted(SlotState.PCSCD_NOT_RUNNING) from None
        try:
            if not peer.is_reader_process(sock):
                raise NotInserted(SlotState.STRANGER)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _ROOM)
            answer = self._greet(sock, atr)
        except (OSError, records.MalformedRecord):
            raise NotInserted(SlotState.HANGS_UP) from None
        match answer:
            case records.Welcome(slot):
                self._last = slot
                return HandlerLink(sock)
            case records.Eject(reason):
                self._last = None
                raise NotInserted(REFUSALS.get(reason, SlotState.HANGS_UP))
            case _:
                raise NotInserted(SlotState.HANGS_UP)

    def _greet(self, sock: socket.socket, atr: bytes) -> records.Record:
        slot = self._wanted if self._wanted is not None else self._last
        hello = records.Hello(atr, records.ANY_SLOT if slot is None else slot)
        # A handler that refuses at once may have hung up by now; its reason can be read still.
        with suppress(BrokenPipeError):
            sock.send(hello.encode())
        try:
            answer = sock.recv(records.LONGEST)
        except ConnectionResetError:  # it has not read our HELLO; what it said comes behind that
            answer = sock.recv(records.LONGEST)
        return records.decode(answer)


class HandlerLink:
    """A connection to our handler, with the card in a slot."""

    beat_seconds: float | None = records.BEAT_SECONDS

    def __init__(self, sock: socket.socket) -> None:
        # A timeout of Python's costs a system call at each receive.
        sock.settimeout(None)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _BEAT)
        self._sock = sock
        self._buffer = bytearray(records.LONGEST + 1)  # one more, which is too long
        self._number = 0

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._sock.fileno()

    def events(self) -> Iterator[Event]:
        """Commands and changes of power; meanwhile say each second that we are there."""
        while (record := self._receive()) is not None:
            match record:
                case records.Apdu(number, command):
                    self._number = number
                    yield Command(command)
                case records.Signal() as signal if signal in POWERS:
                    yield POWERS[signal]
                    self.beat()  # as there is no answer, and the next such record may come soon
                case records.Cancel():
                    continue  # what it was about has been answered
                case records.Eject(reason):
                    log.info("the reader has dropped the card", reason=reason)
                    return
                case _:
                    raise ConnectionAbortedError("the reader sent what only agents send")

    def respond(self, response: bytes, /) -> None:
        """Send the response to the last command."""
        self._sock.send(records.Response(self._number, response).encode())

    def beat(self) -> None:
        """Say that the card is there."""
        self._sock.send(WAIT)

    def _receive(self) -> records.Record | None:
        """The next record; None at the end."""
        while True:
            try:
                length = self._sock.recv_into(self._buffer)
            except BlockingIOError:  # nothing came for a second
                self.beat()
                continue
            return self._read(length) if length else None

    def _read(self, length: int) -> records.Record:
        try:
            return records.decode(bytes(memoryview(self._buffer)[:length]))
        except records.MalformedRecord as error:
            raise ConnectionAbortedError(str(error)) from None

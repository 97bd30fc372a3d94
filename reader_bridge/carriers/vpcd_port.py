"""vpcd's TCP port: the virtual reader of vsmartcard."""

from __future__ import annotations

import socket
import struct
import sys
import threading
from collections.abc import Iterator, Mapping

from card_os.trace.lines import Power
from reader_bridge import peer
from reader_bridge.carriers.carrier import Command, Event, NotInserted, OnChange, SlotState, Where
from reader_bridge.vpcd import LENGTH_BYTES, LONGEST, CommandApdu, Control, Decoder, encode

# vpcd listens on every address without authentication; the agent itself connects only to this
# computer.
LOOPBACK = "127.0.0.1"
# vpcd asks for the ATR every 0.4 s (Windows: 1 s), unless it serves another card.
SILENCE_SECONDS = 2.0
RECEIVE_BYTES = LENGTH_BYTES + LONGEST  # a whole message

POWERS: Mapping[Control, Power] = {
    Control.POWER_ON: Power.ON,
    Control.POWER_OFF: Power.OFF,
    Control.RESET: Power.RESET,
}

# Debian's vpcd sends length and body separately, under Nagle's algorithm: without an immediate
# acknowledgement each APDU takes 40 ms. The option is not sticky, so it is set before each receive.
_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux only
_ABORT = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)  # struct linger: on, 0 s


class VpcdPort:
    """A port of vpcd. Raises ValueError if `port` is not a TCP port."""

    def __init__(self, port: int) -> None:
        if not 0 < port <= 0xFFFF:
            raise ValueError(f"{port} is not a TCP port: it must be 1 to 65535")
        self.port = port
        self.where = Where("vpcd", f"port {port}", "vpcd", f"ss -ltnp 'sport = :{port}'", port)

    def endpoint(self) -> socket.socket:
        """A TCP socket."""
        return socket.socket(socket.AF_INET, socket.SOCK_STREAM)

    def insert(
        self, sock: socket.socket, atr: bytes, say: OnChange, stopping: threading.Event, /
    ) -> VpcdLink:
        """Connect, and wait for vpcd's first word. Raises NotInserted."""
        try:
            connect(sock, self.port)
        except TimeoutError:  # vpcd's queue of connections is full
            raise NotInserted(SlotState.PORT_BUSY) from None
        except OSError:
            raise NotInserted(SlotState.PCSCD_NOT_RUNNING) from None
        if not _speaks(sock, say, stopping):
            raise NotInserted(SlotState.HANGS_UP)
        try:
            known = peer.is_reader(sock)
        except OSError:
            raise NotInserted(SlotState.HANGS_UP) from None
        if not known:
            raise NotInserted(SlotState.STRANGER)
        return VpcdLink(sock, atr)


class VpcdLink:
    """A connection to vpcd. It has no word for a card that works or is about to go."""

    beat_seconds: float | None = None

    def __init__(self, sock: socket.socket, atr: bytes) -> None:
        self._sock = sock
        self._atr = encode(atr)
        self._decoder = Decoder()

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._sock.fileno()

    def events(self) -> Iterator[Event]:
        """Commands and changes of power; whoever asks for the ATR is answered in between."""
        while data := self._receive():
            for each in self._decoder.feed(data):
                match each:
                    case CommandApdu(raw):
                        yield Command(raw)
                    case Control.GET_ATR:
                        self._sock.sendall(self._atr)
                    case Control.POWER_ON | Control.POWER_OFF | Control.RESET:
                        yield POWERS[each]

    def respond(self, response: bytes, /) -> None:
        """Send a response."""
        self._sock.sendall(encode(response))

    def beat(self) -> None:
        """Say nothing: an answer that vpcd does not expect would be taken for the next one."""

    def _receive(self) -> bytes:
        if _QUICKACK is not None:
            self._sock.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        return self._sock.recv(RECEIVE_BYTES)


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


def _speaks(sock: socket.socket, say: OnChange, stopping: threading.Event) -> bool:
    """Wait for the first byte; return False if the connection ends first.

    The kernel accepts the connection of a second card, but vpcd accepts it only when the first
    card has left. A silent reader is therefore busy, and a card that stays connected is next.
    """
    sock.settimeout(SILENCE_SECONDS)
    while not stopping.is_set():
        try:
            if not sock.recv(1, socket.MSG_PEEK):
                return False
        except TimeoutError:
            say(SlotState.PORT_BUSY)
            sock.settimeout(None)
            continue
        except OSError:
            return False
        sock.settimeout(None)
        return True
    return False

"""The smart card reader of a virtual machine: QEMU's `usb-ccid` with `ccid-card-passthru`.

QEMU's reader knows T=0 alone, and does not say when the machine switches the card off or resets it.
"""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import suppress

import structlog

from reader_bridge import peer
from reader_bridge.carriers.carrier import Command, Event, NotInserted, OnChange, SlotState, Where
from reader_bridge.ccid import t0, vsc

log = structlog.get_logger()

LOOPBACK = "127.0.0.1"
GREETING_SECONDS = 2.0  # QEMU answers at once, unless it serves another card
QEMU_USERS = ("libvirt-qemu", "qemu")  # as whom libvirt runs machines (Debian, Fedora)
RECEIVE_BYTES = 0x10000
_AT_ONCE: int = getattr(socket, "MSG_DONTWAIT", 0)  # a machine that is paused does not read


class _Parting(socket.socket):
    """A socket that takes the card out before it goes: QEMU keeps the card of one that is gone."""

    def shutdown(self, how: int, /) -> None:
        """Take the card out, and shut down."""
        self._part()
        super().shutdown(how)

    def close(self) -> None:
        """Take the card out, unless that has been done, and close."""
        self._part()
        super().close()

    def _part(self) -> None:
        with suppress(OSError):  # there is no connection, or it has been shut down
            self.send(vsc.Message(vsc.Kind.CARD_REMOVE).encode(), _AT_ONCE)


class QemuSocket:
    """The socket of a virtual machine's reader: a path, or a TCP port of this computer.

    Raises ValueError if `place` is neither.
    """

    def __init__(self, place: str) -> None:
        if place.startswith("/"):
            self._address: str | tuple[str, int] = place
            self.where = Where("qemu", f"socket {place}", "QEMU", f"ss -lxp src {place}")
            return
        if not (place.isascii() and place.isdigit() and 0 < int(place) <= 0xFFFF):
            raise ValueError(f"{place!r} is neither an absolute path nor a TCP port")
        port = int(place)
        self._address = (LOOPBACK, port)
        finder = f"ss -ltnp 'sport = :{port}'"
        self.where = Where("qemu", f"port {port}", "QEMU", finder, port)

    def endpoint(self) -> socket.socket:
        """A socket of the address's kind."""
        family = socket.AF_UNIX if isinstance(self._address, str) else socket.AF_INET
        return _Parting(family, socket.SOCK_STREAM)

    def insert(
        self, sock: socket.socket, atr: bytes, _say: OnChange, _stopping: threading.Event, /
    ) -> QemuLink:
        """Connect, greet, look who listens, and show the card. Raises NotInserted."""
        sock.settimeout(GREETING_SECONDS)
        try:
            sock.connect(self._address)
        except OSError:
            raise NotInserted(SlotState.PCSCD_NOT_RUNNING) from None
        link = QemuLink(sock)
        try:
            self._greet(link, sock, atr)
        except TimeoutError:
            raise NotInserted(SlotState.PORT_BUSY) from None
        except OSError:
            raise NotInserted(SlotState.HANGS_UP) from None
        sock.settimeout(None)
        return link

    def _greet(self, link: QemuLink, sock: socket.socket, atr: bytes) -> None:
        unix = isinstance(self._address, str)
        if unix and not peer.is_reader_process(sock, QEMU_USERS):
            raise NotInserted(SlotState.STRANGER)
        link.say(vsc.INIT)
        link.expect(vsc.Kind.INIT)
        if not unix and not peer.is_reader(sock):  # it has spoken, so the kernel knows who it is
            raise NotInserted(SlotState.STRANGER)
        link.say(vsc.READER_ADD)
        if link.expect(vsc.Kind.ERROR).number != 0:
            raise ConnectionAbortedError("QEMU does not add the reader")
        link.say(vsc.Message(vsc.Kind.ATR, t0.for_t0(atr)))


class QemuLink:
    """A connection to QEMU."""

    beat_seconds: float | None = None

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._decoder = vsc.Decoder()
        self._heard: deque[vsc.Message] = deque()
        self._tpdus = t0.Adapter()

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._sock.fileno()

    def say(self, message: vsc.Message) -> None:
        """Send a message. Raises OSError."""
        self._sock.sendall(message.encode())

    def expect(self, kind: vsc.Kind) -> vsc.Message:
        """The next message, which must be of this kind. Raises OSError."""
        message = self._next()
        if message is None or message.kind is not kind:
            raise ConnectionAbortedError(f"QEMU says {message} in place of {kind.name}")
        return message

    def events(self) -> Iterator[Event]:
        """The machine's commands."""
        while (message := self._next()) is not None:
            match message.kind:
                case vsc.Kind.APDU if message.body:
                    held = self._tpdus.held(message.body)
                    if held is None:
                        yield Command(message.body)
                    else:
                        self._answer(held)
                case vsc.Kind.ERROR if message.number == 0:
                    continue  # it has done what we said last
                case vsc.Kind.FLUSH:
                    self.say(vsc.Message(vsc.Kind.FLUSH_COMPLETE))
                case _:
                    raise ConnectionAbortedError(f"QEMU says {message.kind.name}")

    def respond(self, response: bytes, /) -> None:
        """Send the response to the last command."""
        self._answer(self._tpdus.response(response))

    def beat(self) -> None:
        """Say nothing: the protocol has no word for a card that works."""

    def _answer(self, response: bytes) -> None:
        self.say(vsc.Message(vsc.Kind.APDU, response))

    def _next(self) -> vsc.Message | None:
        """The next message; None at the end. Raises OSError."""
        try:
            while not self._heard:
                data = self._sock.recv(RECEIVE_BYTES)
                if not data:
                    return None
                self._heard.extend(self._decoder.feed(data))
        except vsc.NotVsc as error:
            raise ConnectionAbortedError(str(error)) from None
        return self._heard.popleft()

"""The computer's end of our USB reader, for tests: over USB/IP, and over a bare pipe."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from reader_bridge.carriers.ccid_bay import Bay
from reader_bridge.ccid import usbip
from reader_bridge.ccid.descriptors import BULK_IN, BULK_OUT, INTERRUPT
from reader_bridge.ccid.messages import HEADER_BYTES, CardStatus, Message, Outcome, Request
from reader_bridge.ccid.reader import Effect, Order, Reader, Say
from support import polling
from support.vpcd_end import GET_ATR, POWER_OFF, POWER_ON, RESET, SECONDS

READ_BYTES = 0x10200


class CcidEnd:
    """A driver of USB readers, which speaks as `support.vpcd_end.Reader` does."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.settimeout(SECONDS)
        self.atr = b""
        self.extensions = 0
        self._seq = 0
        self.waiting = False
        self.leave: Callable[[], object] = bool  # what else has to end

    def write(self, message: bytes) -> None:
        raise NotImplementedError

    def read(self) -> bytes:
        """The next message."""
        raise NotImplementedError

    def say(self, request: int, data: bytes = b"", own: bytes = bytes(3)) -> None:
        self._seq = (self._seq + 1) % 256
        self.write(Message(request, 0, self._seq, own, data).encode())

    def hear(self) -> Message:
        """The answer to the last request."""
        while True:
            answer = Message.decode(self.read())
            assert answer.seq == self._seq
            if answer.own[0] & 0xC0 != Outcome.TIME_EXTENSION:
                return answer
            self.extensions += 1

    def request(self, request: int, data: bytes = b"", own: bytes = bytes(3)) -> Message:
        self.say(request, data, own)
        return self.hear()

    def status(self) -> CardStatus:
        return CardStatus(self.request(Request.GET_SLOT_STATUS).own[0] & 0x03)

    def wait_for(self, present: bool) -> None:
        polling.until(lambda: (self.status() is not CardStatus.ABSENT) == present)

    def power_on(self) -> None:
        answer = self.request(Request.POWER_ON)
        assert answer.own[0] == 0, answer
        self.atr = answer.data

    def send(self, body: bytes) -> None:
        """A command, or what vpcd calls a control."""
        if not self.atr:
            self.wait_for(True)
            self.power_on()
        if body in (POWER_ON, RESET):
            self.power_on()
        elif body == POWER_OFF:
            assert self.request(Request.POWER_OFF).own[0] == CardStatus.INACTIVE
            self.atr = b""
        elif body != GET_ATR:
            self.say(Request.TRANSFER, body)
            self.waiting = True

    def receive(self) -> bytes:
        """The response to the last command; empty at the end."""
        if not self.waiting:
            self.wait_for(False)
            return b""
        self.waiting = False
        answer = self.hear()
        return answer.data if answer.own[0] & 0xC0 == Outcome.DONE else b""

    def ask(self, body: bytes) -> bytes:
        self.send(body)
        return self.atr if body == GET_ATR else self.receive()

    def hang_up(self) -> None:
        self.sock.close()
        self.leave()


class UsbipEnd(CcidEnd):
    """A computer that has imported a reader."""

    def __init__(self, sock: socket.socket, slot: int = 0) -> None:
        super().__init__(sock)
        self._number = 0
        self._reading: set[int] = set()
        bus_id = usbip.bus_id(slot).ljust(32, b"\0")
        self.sock.sendall(struct.pack(">HHI", usbip.VERSION, usbip.Operation.IMPORT, 0) + bus_id)
        self.imported = struct.unpack(">HHI", self.exact(8))[2] == 0
        if self.imported:
            self.exact(312)

    def exact(self, length: int) -> bytes:
        got = b""
        while len(got) < length:
            part = self.sock.recv(length - len(got))
            if not part:
                raise ConnectionResetError
            got += part
        return got

    def submit(self, endpoint: int, length: int, setup: bytes = bytes(8), data: bytes = b"") -> int:
        """Ask for a transfer; return its number."""
        self._number += 1
        if endpoint & 0x80:
            self._reading.add(self._number)
        head = struct.pack(">5I", usbip.Urb.SUBMIT, self._number, 1, endpoint >> 7, endpoint & 0x0F)
        rest = struct.pack(">5I8s", 0, length, 0, 0, 0, setup)
        self.sock.sendall(head + rest + data)
        return self._number

    def done(self) -> tuple[int, int, bytes]:
        """Number, status and data of the next transfer that ends (data: only of reading ones)."""
        kind, number, _, _, _, status, length = struct.unpack(">5Iii20x", self.exact(48))
        assert kind == usbip.Urb.SUBMITTED
        return number, status, self.exact(length) if number in self._reading else b""

    def transfer(
        self, endpoint: int, length: int, setup: bytes = bytes(8), data: bytes = b""
    ) -> bytes | None:
        """A whole transfer; None if it stalls."""
        number = self.submit(endpoint, length, setup, data)
        ended, status, got = self.done()
        assert ended == number
        return got if status == 0 else None

    def write(self, message: bytes) -> None:
        assert self.transfer(BULK_OUT, len(message), data=message) is not None

    def read(self) -> bytes:
        got = self.transfer(BULK_IN, READ_BYTES)
        assert got is not None
        return got

    def notification(self) -> bytes | None:
        return self.transfer(INTERRUPT, 8)


class _PipeHost:
    """Gives what the reader says to the pipe."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def tell(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Say):
                with suppress(OSError):  # the computer has gone
                    self._sock.sendall(effect.message.encode())
            else:
                assert effect is Order.NOTIFY


class PipeEnd(CcidEnd):
    """The messages of a reader without USB around them."""

    def write(self, message: bytes) -> None:
        self.sock.sendall(message)

    def read(self) -> bytes:
        return read_message(self.sock)


def read_message(sock: socket.socket) -> bytes:
    """A message of a pipe; empty at its end, whether or not the other side has heard all."""
    got = b""
    while len(got) < (wanted := _wanted(got)):
        try:
            part = sock.recv(wanted - len(got))
        except ConnectionResetError:
            return b""
        if not part:
            return b""
        got += part
    return got


def _wanted(got: bytes) -> int:
    length = int.from_bytes(got[1:5], "little") if len(got) >= HEADER_BYTES else 0
    return HEADER_BYTES + length


def pipe(reader: Reader) -> tuple[PipeEnd, Bay]:
    """A reader behind a pipe, and the computer's end of that."""
    ours, theirs = socket.socketpair()
    bay, host = Bay(reader), _PipeHost(theirs)
    assert bay.attach(host)

    def serve() -> None:
        with theirs:
            while raw := read_message(theirs):
                bay.run(partial(reader.receive, raw), listens=True)
            bay.detach(host)

    threading.Thread(target=serve, daemon=True).start()
    return PipeEnd(ours), bay

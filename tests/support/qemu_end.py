"""QEMU's end of its protocol for smart cards, and a guest that speaks T=0, for tests."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress

from reader_bridge.ccid import vsc
from reader_bridge.ccid.vsc import Kind, Message
from support.vpcd_end import GET_ATR, SECONDS

GREETING = Message(Kind.INIT, vsc.MAGIC + struct.pack(">2I", vsc.VERSION, 0))
DONE = Message(Kind.ERROR, bytes(4))


class QemuEnd:
    """A virtual machine with a reader, which speaks as `support.vpcd_end.Reader` does."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.settimeout(SECONDS)
        self._received = sock.makefile("rb")
        assert self.hear() == vsc.INIT
        self.say(GREETING)
        assert self.hear() == vsc.READER_ADD
        self.say(DONE)
        shown = self.hear()
        assert shown is not None
        assert shown.kind is Kind.ATR
        self.atr = shown.body
        with suppress(BrokenPipeError):  # the card has left already
            self.say(DONE)
        self._sent = b""

    def say(self, message: Message) -> None:
        self.sock.sendall(message.encode())

    def hear(self) -> Message | None:
        """The next message; None at the end."""
        try:
            head = self._received.read(12)
        except ConnectionResetError:
            return None
        if not head:
            return None
        kind, reader, length = struct.unpack(">3I", head)
        return Message(Kind(kind), self._received.read(length), reader)

    def tpdu(self, body: bytes) -> bytes:
        """The answer to one exchange of T=0."""
        self.say(Message(Kind.APDU, body))
        answer = self.hear()
        return b"" if answer is None else answer.body

    def send(self, body: bytes) -> None:
        """A command. Le is not part of one that has data."""
        if len(body) == 1:  # vpcd's controls: QEMU's reader has no word for them
            return
        self._sent = body[:-1] if len(body) > 5 and len(body) == 5 + body[4] + 1 else body
        if len(self._sent) == 4:
            self._sent += b"\0"
        self.say(Message(Kind.APDU, self._sent))

    def receive(self) -> bytes:
        """The response to the last command, fetched as T=0 does; empty at the end."""
        answer = self.hear()
        if answer is None or answer.kind is Kind.CARD_REMOVE:
            return b""
        response = answer.body
        if response[-2:-1] == b"\x6c":
            response = self.tpdu(self._sent[:4] + response[-1:])
        while response[-2:-1] == b"\x61":
            response = response[:-2] + self.tpdu(b"\0\xc0\0\0" + response[-1:])
        return response

    def ask(self, body: bytes) -> bytes:
        self.send(body)
        return self.atr if body == GET_ATR else self.receive()

    def hang_up(self) -> None:
        self._received.close()
        self.sock.close()

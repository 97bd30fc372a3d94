"""The end of our IFD handler of the protocol between handler and agent, for tests."""

from __future__ import annotations

import socket

from reader_bridge import records
from reader_bridge.records import Apdu, Eject, Hello, RecordType, Response, Signal, Welcome
from support.vpcd_end import GET_ATR, POWER_OFF, POWER_ON, RESET, SECONDS

SIGNALS = {POWER_ON: Signal.ON, POWER_OFF: Signal.OFF, RESET: Signal.RESET}


class HandlerEnd:
    """A handler with one slot, which speaks as `support.vpcd_end.Reader` does."""

    def __init__(self, sock: socket.socket, slot: int = 0) -> None:
        self.sock = sock
        self.sock.settimeout(SECONDS)
        greeting = records.decode(self._record())
        assert isinstance(greeting, Hello)
        self.hello = greeting
        self.beats = 0
        self._number = 0
        self.say(Welcome(slot, greeting.capabilities))

    def say(self, record: records.Record) -> None:
        self.sock.sendall(record.encode())

    def send(self, body: bytes) -> None:
        """A command, or what vpcd calls a control."""
        if body in SIGNALS:
            self.say(SIGNALS[body])
        elif body != GET_ATR:
            self._number = (self._number + 1) % 256
            self.say(Apdu(self._number, body))

    def receive(self) -> bytes:
        """The response to the last command; empty at the end."""
        while raw := self._record():
            match records.decode(raw):
                case Response(number, response):
                    assert number == self._number
                    return response
                case Signal.WAIT:
                    self.beats += 1
                case other:
                    raise AssertionError(other)
        return b""

    def ask(self, body: bytes) -> bytes:
        self.send(body)
        return self.hello.atr if body == GET_ATR else self.receive()

    def refuse(self, reason: records.EjectReason) -> None:
        self.say(Eject(reason))
        self.hang_up()

    def hang_up(self) -> None:
        self.sock.close()

    def _record(self) -> bytes:
        try:
            return self.sock.recv(records.LONGEST)
        except ConnectionResetError:
            return b""


def refuse(sock: socket.socket, reason: int) -> None:
    """Send an agent away at the door, as a handler does: it need not have heard HELLO."""
    sock.sendall(bytes([RecordType.EJECT, reason]))
    sock.close()

"""One connection to a virtual reader: reads messages, asks the card, and writes its answers."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Mapping
from typing import Protocol

import structlog

from card_os.card import Card
from card_os.keys import KeyRequest, KeyResult, Refusal, drive
from card_os.trace.lines import Power
from reader_bridge.tasks import CancellableKeys, KeyTask
from reader_bridge.vpcd import LENGTH_BYTES, LONGEST, CommandApdu, Control, Decoder, encode

log = structlog.get_logger()

RECEIVE_BYTES = LENGTH_BYTES + LONGEST  # a whole message
CANCEL_SECONDS = 2.0  # for withdrawing a request before the next connection

POWERS: Mapping[Control, Power] = {
    Control.POWER_ON: Power.ON,
    Control.POWER_OFF: Power.OFF,
    Control.RESET: Power.RESET,
}

# Debian's vpcd sends length and body separately, under Nagle's algorithm: without an immediate
# acknowledgement each APDU takes 40 ms. The option is not sticky, so it is set before each receive.
_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux only


class ReaderGone(Exception):
    """The reader hung up, or sent something while it should wait."""


class Tape(Protocol):
    """Is told what passes between a card, its reader and its key service."""

    def power(self, power: Power, /) -> None: ...

    def sent(self, apdu: bytes, /) -> None: ...

    def asked(self) -> None: ...

    def answered(self, result: KeyResult, /) -> None: ...

    def received(self, response: bytes, /) -> None: ...

    def hung_up(self) -> None: ...


class NoTape:
    """A tape that ignores everything."""

    def power(self, power: Power, /) -> None: ...

    def sent(self, apdu: bytes, /) -> None: ...

    def asked(self) -> None: ...

    def answered(self, result: KeyResult, /) -> None: ...

    def received(self, response: bytes, /) -> None: ...

    def hung_up(self) -> None: ...


def serve(sock: socket.socket, card: Card, keys: CancellableKeys, tape: Tape | None = None) -> None:
    """Answer until the reader hangs up, then reset the card.

    Raises ReaderGone if the reader hangs up while a key request waits, which is then cancelled, and
    OSError if the connection breaks.
    """
    tape = tape or NoTape()
    decoder = Decoder()
    atr = encode(card.atr)
    try:
        while data := receive(sock):
            for event in decoder.feed(data):
                match event:
                    case CommandApdu(raw):
                        sock.sendall(encode(_answer(sock, card, keys, tape, raw)))
                    case Control.GET_ATR:
                        sock.sendall(atr)
                    case Control.POWER_ON | Control.POWER_OFF | Control.RESET:
                        # Windows sends only RESET, Linux also the others.
                        card.reset()
                        keys.reset()
                        tape.power(POWERS[event])
    finally:
        card.reset()
        keys.reset()


def receive(sock: socket.socket) -> bytes:
    """The bytes that have arrived; empty if the reader has hung up."""
    if _QUICKACK is not None:
        sock.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
    return sock.recv(RECEIVE_BYTES)


def _answer(
    sock: socket.socket, card: Card, keys: CancellableKeys, tape: Tape, raw: bytes
) -> bytes:
    def perform(request: KeyRequest) -> KeyResult:
        tape.asked()
        result = _wait(sock, keys, request)
        tape.answered(result)
        return result

    tape.sent(raw)
    exchange = card.exchange(raw)
    try:
        response = drive(exchange, perform)
    except ReaderGone:
        tape.hung_up()
        raise
    finally:
        exchange.close()
    if card.fault is not None:
        log.error("card failed", ins=f"{raw[1]:02X}", exc_info=card.fault)
    if card.last_error:
        sw = response[-2:].hex().upper()
        log.info("command refused", ins=f"{raw[1:2].hex().upper()}", sw=sw, why=card.last_error)
    tape.received(response)
    return response


def _wait(sock: socket.socket, keys: CancellableKeys, request: KeyRequest) -> KeyResult:
    """Wait for the result or for the reader to hang up, whichever comes first.

    vpcd sends nothing while a response is due, so a readable socket means that the reader has gone.
    """
    try:
        task = KeyTask(keys, request)
    except (OSError, RuntimeError):
        log.exception("no socket or thread for a key request")
        return Refusal.UNAVAILABLE
    with task, selectors.DefaultSelector() as selector:
        finished = selector.register(task.finished, selectors.EVENT_READ)
        selector.register(sock, selectors.EVENT_READ)
        ready = [key for key, _ in selector.select()]
        if finished in ready:
            return task.result
        task.cancel(CANCEL_SECONDS)
        raise ReaderGone

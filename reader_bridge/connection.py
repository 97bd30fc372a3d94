"""One connection to a reader: hears what it says, asks the card, and sends its answers."""

from __future__ import annotations

import selectors
from typing import Protocol

import structlog

from card_os.card import Card
from card_os.keys import KeyRequest, KeyResult, Refusal, drive
from card_os.trace.lines import Power
from reader_bridge.carriers.carrier import Command, Link
from reader_bridge.tasks import CancellableKeys, KeyTask

log = structlog.get_logger()

CANCEL_SECONDS = 2.0  # for withdrawing a request before the next connection


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


def serve(link: Link, card: Card, keys: CancellableKeys, tape: Tape | None = None) -> None:
    """Answer until the reader hangs up, then reset the card.

    Raises ReaderGone if the reader hangs up while a key request waits, which is then cancelled, and
    OSError if the connection breaks.
    """
    tape = tape or NoTape()
    try:
        for event in link.events():
            match event:
                case Command(raw):
                    link.respond(_answer(link, card, keys, tape, raw))
                case Power():
                    # Windows sends only RESET, Linux also the others.
                    card.reset()
                    keys.reset()
                    tape.power(event)
    finally:
        card.reset()
        keys.reset()


def _answer(link: Link, card: Card, keys: CancellableKeys, tape: Tape, raw: bytes) -> bytes:
    def perform(request: KeyRequest) -> KeyResult:
        tape.asked()
        result = _wait(link, keys, request)
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


def _wait(link: Link, keys: CancellableKeys, request: KeyRequest) -> KeyResult:
    """Wait for the result or for the reader to hang up, whichever comes first.

    A reader says nothing while a response is due, unless it is going: one that speaks has gone.
    """
    try:
        task = KeyTask(keys, request)
    except (OSError, RuntimeError):
        log.exception("no socket or thread for a key request")
        return Refusal.UNAVAILABLE
    with task, selectors.DefaultSelector() as selector:
        finished = selector.register(task.finished, selectors.EVENT_READ)
        selector.register(link, selectors.EVENT_READ)
        while not (ready := [key for key, _ in selector.select(link.beat_seconds)]):
            if not _beats(link):
                break
        if finished in ready:
            return task.result
        task.cancel(CANCEL_SECONDS)
        raise ReaderGone


def _beats(link: Link) -> bool:
    """Say that the card works still; False if the connection has broken."""
    try:
        link.beat()
    except OSError:
        return False
    return True

"""The reader as a USB device: endpoints and control requests (USB 2.0, chapter 9)."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum, unique
from typing import TypeAlias

from reader_bridge.ccid.descriptors import (
    BULK_IN,
    BULK_OUT,
    CLOCK_KHZ,
    CONFIGURATION,
    INTERRUPT,
    PACKET,
    Descriptors,
)
from reader_bridge.ccid.messages import MalformedMessage, Transfers
from reader_bridge.ccid.reader import Effect, Order, Reader, Say

MOST_WAITING = 64  # transfers, and messages, that wait for the computer
_SETUP = struct.Struct("<BBHHH")  # bmRequestType, bRequest, wValue, wIndex, wLength


class HostFault(ValueError):
    """The computer has done what no driver does; the connection to it has to end."""


@unique
class To(IntEnum):
    """bmRequestType: direction, kind and recipient of a control request."""

    SET_DEVICE = 0x00
    SET_INTERFACE = 0x01
    SET_ENDPOINT = 0x02
    SET_READER = 0x21
    GET_DEVICE = 0x80
    GET_INTERFACE = 0x81
    GET_ENDPOINT = 0x82
    GET_READER = 0xA1


@unique
class Ask(IntEnum):
    """bRequest of the standard's requests (table 9-4)."""

    GET_STATUS = 0
    CLEAR_FEATURE = 1
    SET_FEATURE = 3
    GET_DESCRIPTOR = 6
    GET_CONFIGURATION = 8
    SET_CONFIGURATION = 9
    GET_INTERFACE = 10
    SET_INTERFACE = 11


@unique
class AskReader(IntEnum):
    """bRequest of the requests that smart card readers have in addition (CCID 1.1, 5.3)."""

    ABORT = 1
    GET_CLOCKS = 2


@dataclass(frozen=True, slots=True)
class Transfer:
    """A transfer that the computer asks for; `number` is the computer's name for it."""

    number: int
    endpoint: int  # with its direction
    length: int
    setup: bytes = bytes(8)
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Done:
    """A transfer is over. `moved` is how many bytes went either way; None: it has stalled."""

    number: int
    moved: int | None
    data: bytes = b""


Outcome: TypeAlias = Done | Effect


class Device:
    """The reader at one computer. What it holds is bounded, whatever the computer does."""

    def __init__(self, reader: Reader, serial: str) -> None:
        self._reader = reader
        self._descriptors = Descriptors(reader.presentation, serial, reader.longest)
        self._transfers = Transfers(reader.longest, PACKET)
        self._reads: deque[Transfer] = deque()
        self._interrupts: deque[Transfer] = deque()
        self._messages: deque[bytes] = deque()
        self._changed = False
        self._configuration = 0

    def submit(self, transfer: Transfer) -> list[Outcome]:
        """The computer asks for a transfer. Raises HostFault."""
        match transfer.endpoint:
            case 0x00 | 0x80:
                return self._control(transfer)
            case int() as address if address == BULK_OUT:
                return [Done(transfer.number, len(transfer.data)), *self._written(transfer.data)]
            case int() as address if address == BULK_IN:
                return [*self._queued(self._reads, transfer)]
            case int() as address if address == INTERRUPT:
                return [*self._queued(self._interrupts, transfer)]
            case _:
                return [Done(transfer.number, None)]

    def unlink(self, number: int) -> bool:
        """Forget a transfer; False if it is over."""
        for queue in (self._reads, self._interrupts):
            for each in queue:
                if each.number == number:
                    queue.remove(each)
                    return True
        return False

    def tell(self, effect: Say | Order) -> list[Done]:
        """What the reader has to say to the computer. Raises HostFault if it does not listen."""
        if isinstance(effect, Say):
            self._messages.append(effect.message.encode())
            if len(self._messages) > MOST_WAITING:
                raise HostFault("answers are not fetched")
        elif effect is Order.NOTIFY:
            self._changed = True
        return self._flush()

    def tick(self) -> list[Effect]:
        """A second has passed. Who has not heard the last answer needs no word of another."""
        return [] if self._messages else self._reader.tick()

    def _queued(self, queue: deque[Transfer], transfer: Transfer) -> list[Done]:
        queue.append(transfer)
        if len(queue) > MOST_WAITING:
            raise HostFault("too many transfers wait")
        return self._flush()

    def _written(self, data: bytes) -> list[Effect]:
        raw = self._transfers.feed(data)
        if raw is None:
            return []
        try:
            return self._reader.receive(raw)
        except MalformedMessage as error:
            raise HostFault(str(error)) from None

    def _flush(self) -> list[Done]:
        """End the transfers for which there is something."""
        done = []
        while self._reads and self._messages:
            read = self._reads.popleft()
            message = self._messages.popleft()
            part = message[: read.length]
            if rest := message[len(part) :]:
                self._messages.appendleft(rest)
            done.append(Done(read.number, len(part), part))
        if self._interrupts and self._changed:
            self._changed = False
            asked = self._interrupts.popleft()
            said = self._reader.notification[: asked.length]
            done.append(Done(asked.number, len(said), said))
        return done

    def _control(self, transfer: Transfer) -> list[Outcome]:
        to, ask, value, index, length = _SETUP.unpack(transfer.setup)
        if (to, ask) == (To.SET_READER, AskReader.ABORT):
            return self._abort(transfer, value)
        handler = _CONTROLS.get((to, ask))
        said = None if handler is None else handler(self, value, index)
        if said is None:
            return [Done(transfer.number, None)]
        if not to & To.GET_DEVICE:
            return [Done(transfer.number, len(transfer.data)), *self._flush()]
        said = said[: min(length, transfer.length)]
        return [Done(transfer.number, len(said), said)]

    def _abort(self, transfer: Transfer, value: int) -> list[Outcome]:
        try:
            effects = self._reader.abort(value & 0xFF, value >> 8)
        except ValueError:
            return [Done(transfer.number, None)]
        return [Done(transfer.number, len(transfer.data)), *effects]

    def _status(self, _value: int, _index: int) -> bytes:
        return bytes(2)

    def _accept(self, _value: int, _index: int) -> bytes:
        return b""

    def _descriptor(self, value: int, _index: int) -> bytes | None:
        return self._descriptors.get(value >> 8, value & 0xFF)

    def _get_configuration(self, _value: int, _index: int) -> bytes:
        return bytes((self._configuration,))

    def _set_configuration(self, value: int, _index: int) -> bytes | None:
        if value not in (0, CONFIGURATION):
            return None
        self._configuration = value
        self._changed = True  # the computer hears of a card that is in already
        return b""

    def _get_interface(self, _value: int, index: int) -> bytes | None:
        return None if index else b"\x00"

    def _set_interface(self, value: int, index: int) -> bytes | None:
        return None if value or index else b""

    def _clocks(self, _value: int, _index: int) -> bytes:
        return CLOCK_KHZ.to_bytes(4, "little")


_CONTROLS: Mapping[tuple[int, int], Callable[[Device, int, int], bytes | None]] = {
    (To.GET_DEVICE, Ask.GET_STATUS): Device._status,
    (To.GET_INTERFACE, Ask.GET_STATUS): Device._status,
    (To.GET_ENDPOINT, Ask.GET_STATUS): Device._status,
    (To.SET_DEVICE, Ask.CLEAR_FEATURE): Device._accept,
    (To.SET_ENDPOINT, Ask.CLEAR_FEATURE): Device._accept,
    (To.SET_ENDPOINT, Ask.SET_FEATURE): Device._accept,
    (To.GET_DEVICE, Ask.GET_DESCRIPTOR): Device._descriptor,
    (To.GET_DEVICE, Ask.GET_CONFIGURATION): Device._get_configuration,
    (To.SET_DEVICE, Ask.SET_CONFIGURATION): Device._set_configuration,
    (To.GET_INTERFACE, Ask.GET_INTERFACE): Device._get_interface,
    (To.SET_INTERFACE, Ask.SET_INTERFACE): Device._set_interface,
    (To.GET_READER, AskReader.GET_CLOCKS): Device._clocks,
}

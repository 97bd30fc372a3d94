"""USB/IP, version 1.1.1 of the protocol, sans-IO: the side that has the device.

(Documentation/usb/usbip_protocol.rst of the Linux kernel)
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum, unique
from typing import TypeAlias

from reader_bridge.ccid.descriptors import CONFIGURATION, PRODUCT, RELEASE, SMART_CARD, VENDOR
from reader_bridge.ccid.usb import Done, Transfer

VERSION = 0x0111
PORT = 3240
HIGH_SPEED = 3
LONGEST_TRANSFER = 0x20000  # bytes: twice the longest message, as drivers round up
_BUS_ID_BYTES = 32
_PATH_BYTES = 256
_OPERATION = struct.Struct(">HHI")  # version, code, status
_HEADER = struct.Struct(">5I")  # command, number, device, direction, endpoint
_SUBMIT = struct.Struct(">5I8s")  # flags, length, start frame, packets, interval; setup
_HEADER_BYTES = 48
_RETURN = struct.Struct(">5IiiIIi8x")  # the header; status, length, start frame, packets, errors
_UNLINKED = struct.Struct(">5Ii24x")
STALLED = -32  # EPIPE of Linux
RESET = -104  # ECONNRESET of Linux: the transfer had not been over
_ISOCHRONOUS_NONE = (0, 0xFFFFFFFF)  # numbers of packets of other transfers


class NotUsbip(ValueError):
    """Bytes that the protocol does not have; the connection has to end."""


@unique
class Operation(IntEnum):
    """What is asked of who has devices; the answer has the highest bit clear."""

    IMPORT = 0x8003
    LIST = 0x8005


@unique
class Urb(IntEnum):
    """What passes once a device has been imported."""

    SUBMIT = 1
    UNLINK = 2
    SUBMITTED = 3
    UNLINKED = 4


@dataclass(frozen=True, slots=True)
class List:
    """Which devices are there?"""


@dataclass(frozen=True, slots=True)
class Import:
    """The computer wants this device."""

    bus_id: bytes


@dataclass(frozen=True, slots=True)
class Unlink:
    """The computer no longer wants a transfer."""

    number: int
    target: int


Question: TypeAlias = List | Import
Event: TypeAlias = Transfer | Unlink


def bus_id(slot: int) -> bytes:
    """The name of the reader with this slot."""
    return b"1-%d" % (slot + 1)


def question(raw: bytes) -> Question | int:
    """What is asked first; or how many bytes it takes. Raises NotUsbip."""
    if len(raw) < _OPERATION.size:
        return _OPERATION.size
    version, code, _status = _OPERATION.unpack_from(raw)
    if version != VERSION:
        raise NotUsbip(f"version {version:04X}")
    match code:
        case Operation.LIST:
            return List()
        case Operation.IMPORT:
            end = _OPERATION.size + _BUS_ID_BYTES
            return end if len(raw) < end else Import(raw[_OPERATION.size : end].rstrip(b"\0"))
        case _:
            raise NotUsbip(f"operation {code:04X}")


def listed(slots: range) -> bytes:
    """The answer to List."""
    interface = bytes((SMART_CARD, 0, 0, 0))
    head = _OPERATION.pack(VERSION, Operation.LIST & 0x7FFF, 0)
    each = b"".join(_device(slot) + interface for slot in slots)
    return head + len(slots).to_bytes(4) + each


def imported(slot: int | None) -> bytes:
    """The answer to Import; None if it is refused."""
    head = _OPERATION.pack(VERSION, Operation.IMPORT & 0x7FFF, slot is None)
    return head if slot is None else head + _device(slot)


def _device(slot: int) -> bytes:
    path = b"/sys/devices/virtual/cloudcard/" + bus_id(slot)
    return (
        path.ljust(_PATH_BYTES, b"\0")
        + bus_id(slot).ljust(_BUS_ID_BYTES, b"\0")
        + struct.pack(">IIIHHH", 1, slot + 1, HIGH_SPEED, VENDOR, PRODUCT, RELEASE)
        + bytes((0, 0, 0, CONFIGURATION, 1, 1))  # class by interface; configuration; one of each
    )


def done(over: Done) -> bytes:
    """The answer to a transfer."""
    status, moved = (STALLED, 0) if over.moved is None else (0, over.moved)
    return _RETURN.pack(Urb.SUBMITTED, over.number, 0, 0, 0, status, moved, 0, 0, 0) + over.data


def unlinked(number: int, was_waiting: bool) -> bytes:
    """The answer to Unlink."""
    return _UNLINKED.pack(Urb.UNLINKED, number, 0, 0, 0, RESET if was_waiting else 0)


class Decoder:
    """Finds the transfers in a stream of bytes."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[Event]:
        """What these bytes complete. Raises NotUsbip."""
        self._held += data
        while len(self._held) >= _HEADER_BYTES:
            command = int.from_bytes(self._held[:4])
            read = _READERS.get(command)
            if read is None:
                raise NotUsbip(f"command {command:08X}")
            event, length = read(self._held)
            if event is None:
                return
            del self._held[:length]
            yield event


def _submit(held: bytearray) -> tuple[Event | None, int]:
    _command, number, _device, direction, endpoint = _HEADER.unpack_from(held)
    _flags, length, _start, packets, _interval, setup = _SUBMIT.unpack_from(held, _HEADER.size)
    if length > LONGEST_TRANSFER:
        raise NotUsbip(f"a transfer of {length} bytes")
    if packets not in _ISOCHRONOUS_NONE:
        raise NotUsbip("an isochronous transfer")
    if direction not in (0, 1) or endpoint > 0x0F:
        raise NotUsbip(f"endpoint {endpoint} in direction {direction}")
    end = _HEADER_BYTES + (0 if direction else length)
    if len(held) < end:
        return None, end
    data = bytes(memoryview(held)[_HEADER_BYTES:end])
    return Transfer(number, direction << 7 | endpoint, length, setup, data), end


def _unlink(held: bytearray) -> tuple[Event | None, int]:
    number = int.from_bytes(held[4:8])
    target = int.from_bytes(held[_HEADER.size : _HEADER.size + 4])
    return Unlink(number, target), _HEADER_BYTES


_READERS: Mapping[int, Callable[[bytearray], tuple[Event | None, int]]] = {
    Urb.SUBMIT: _submit,
    Urb.UNLINK: _unlink,
}

"""How the reader describes itself (USB 2.0, 9.6; USB CCID 1.1, chapter 5)."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from enum import IntEnum, unique

from reader_bridge.ccid.presentation import Presentation

# Of pid.codes, for tests. The product's own number is undecided.
VENDOR, PRODUCT = 0x1209, 0x0001
RELEASE = 0x0100
USB = 0x0200
CCID = 0x0110
SMART_CARD = 0x0B  # the interface's class
LANGUAGE = 0x0409  # English (United States)
CONFIGURATION = 1
ENDPOINTS = 3

BULK_OUT, BULK_IN, INTERRUPT = 0x01, 0x82, 0x83
PACKET = 512  # of the bulk endpoints, at high speed
CONTROL_PACKET = 64
_BULK, _INTERRUPT = 2, 3
_INTERVAL = 9  # 2^(9 - 1) microframes: 32 ms
CLOCK_KHZ = 4000
DATA_RATE = 10752


@unique
class Kind(IntEnum):
    """bDescriptorType."""

    DEVICE = 1
    CONFIGURATION = 2
    STRING = 3
    INTERFACE = 4
    ENDPOINT = 5
    QUALIFIER = 6
    OTHER_SPEED = 7
    READER = 0x21


@unique
class Text(IntEnum):
    """The number of a string."""

    MANUFACTURER = 1
    PRODUCT = 2
    SERIAL = 3


class Descriptors:
    """The descriptors of a reader with this serial number."""

    def __init__(self, presentation: Presentation, serial: str, longest: int) -> None:
        self._texts: Mapping[int, str] = {
            Text.MANUFACTURER: "Cloudcard",
            Text.PRODUCT: "Cloudcard Reader",
            Text.SERIAL: serial,
        }
        interface = struct.pack(
            "<9B", 9, Kind.INTERFACE, 0, 0, ENDPOINTS, SMART_CARD, 0, 0, Text.PRODUCT
        )
        self._inner = interface + _reader(presentation, longest) + _endpoints()

    def get(self, kind: int, number: int) -> bytes | None:
        """The descriptor of this kind and number; None if there is none."""
        if kind == Kind.STRING:
            return self._text(number)
        if number:
            return None
        match kind:
            case Kind.DEVICE:
                return struct.pack(
                    "<BBHBBBBHHHBBBB",
                    *(18, Kind.DEVICE, USB, 0, 0, 0, CONTROL_PACKET),
                    *(VENDOR, PRODUCT, RELEASE),
                    *(Text.MANUFACTURER, Text.PRODUCT, Text.SERIAL, 1),
                )
            case Kind.QUALIFIER:
                return struct.pack(
                    "<BBHBBBBBB", 10, Kind.QUALIFIER, USB, 0, 0, 0, CONTROL_PACKET, 1, 0
                )
            case Kind.CONFIGURATION | Kind.OTHER_SPEED:
                return self._configuration(kind)
            case _:
                return None

    def _configuration(self, kind: int) -> bytes:
        total = 9 + len(self._inner)
        bus_powered, milliamperes = 0x80, 50
        head = struct.pack(
            "<BBHBBBBB", 9, kind, total, 1, CONFIGURATION, 0, bus_powered, milliamperes // 2
        )
        return head + self._inner

    def _text(self, number: int) -> bytes | None:
        if number == 0:
            return struct.pack("<BBH", 4, Kind.STRING, LANGUAGE)
        if (found := self._texts.get(number)) is None:
            return None
        text = found.encode("utf-16-le")
        return bytes((2 + len(text), Kind.STRING)) + text


def _reader(presentation: Presentation, longest: int) -> bytes:
    """The smart card device class descriptor (CCID 1.1, table 5.1-1)."""
    all_voltages, one_slot, echo = 7, 0, 0xFF  # the class of GET RESPONSE is the command's
    return struct.pack(
        "<BBHBBIIIBIIBIIIIIBBHBB",
        *(54, Kind.READER, CCID, one_slot, all_voltages, presentation.protocols),
        *(CLOCK_KHZ, CLOCK_KHZ, 0, DATA_RATE, DATA_RATE, 0),
        *(presentation.ifsd, 0, 0, presentation.features, longest),
        *(echo, echo, 0, 0, 1),
    )


def _endpoints() -> bytes:
    each: Sequence[tuple[int, int, int, int]] = (
        (BULK_OUT, _BULK, PACKET, 0),
        (BULK_IN, _BULK, PACKET, 0),
        (INTERRUPT, _INTERRUPT, 8, _INTERVAL),
    )
    return b"".join(
        struct.pack("<BBBBHB", 7, Kind.ENDPOINT, address, kind, size, interval)
        for address, kind, size, interval in each
    )

"""Commands and responses as a capture of GSMTAP packets, one APDU each."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from card_os.trace.lines import Received, Sent
from card_os.trace.words import TraceError

MAGIC = 0xA1B2C3D4
RAW_IP = 101  # LINKTYPE_RAW
PORT = 4729
SIM = 4
COMMAND, RESPONSE = 5, 6  # GSMTAP_SIM_TPDU_CMD, GSMTAP_SIM_TPDU_RSP
FILE = struct.Struct("<IHHiIII")
PACKET = struct.Struct("<IIII")
IP = struct.Struct(">BBHHHBBH4s4s")
UDP = struct.Struct(">HHHH")
GSMTAP = struct.Struct(">BBBBHBBIBBBB")
OVERHEAD = IP.size + UDP.size + GSMTAP.size
LONGEST = 0xFFFF
HOST = b"\x7f\0\0\1"


def write(apdus: Iterable[Sent | Received]) -> Iterator[bytes]:
    """The parts of a capture's file. Raises TraceError for an APDU that fits into no packet."""
    yield FILE.pack(MAGIC, 2, 4, 0, 0, LONGEST, RAW_IP)
    for number, each in enumerate(apdus, 1):
        size = OVERHEAD + len(each.apdu)
        if size > LONGEST:
            raise TraceError(f"packet {number}: an APDU of {len(each.apdu)} bytes is too long")
        kind = COMMAND if isinstance(each, Sent) else RESPONSE
        yield PACKET.pack(0, 0, size, size) + _ip(size)
        yield UDP.pack(PORT, PORT, size - IP.size, 0)
        yield GSMTAP.pack(2, GSMTAP.size // 4, SIM, 0, 0, 0, 0, number, kind, 0, 0, 0) + each.apdu


def read(file: BinaryIO) -> Iterator[Sent | Received]:
    """The APDUs of such a capture; raises TraceError with the packet's number."""
    header = file.read(FILE.size)
    if len(header) < FILE.size or FILE.unpack(header)[0] != MAGIC:
        raise TraceError("this is no pcap file of little-endian order")
    if FILE.unpack(header)[6] != RAW_IP:
        raise TraceError("captures of raw IP packets (link type 101) are read, no others")
    number = 0
    while head := file.read(PACKET.size):
        number += 1
        size = PACKET.unpack(head)[2] if len(head) == PACKET.size else 0
        packet = file.read(size) if OVERHEAD < size <= LONGEST else b""
        if not packet or len(packet) < size:
            raise TraceError(f"packet {number}: cut short, or no GSMTAP packet")
        fields = GSMTAP.unpack_from(packet, IP.size + UDP.size)
        if packet[0] != 0x45 or fields[:3] != (2, GSMTAP.size // 4, SIM):
            raise TraceError(f"packet {number}: no GSMTAP packet of a card")
        if fields[8] not in (COMMAND, RESPONSE):
            raise TraceError(f"packet {number}: GSMTAP kind {fields[8]} is not read")
        apdu = packet[OVERHEAD:]
        yield Sent(apdu) if fields[8] == COMMAND else Received(apdu)


def _ip(size: int) -> bytes:
    without = IP.pack(0x45, 0, size, 0, 0, 64, 17, 0, HOST, HOST)
    total = sum(struct.unpack(">10H", without))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return IP.pack(0x45, 0, size, 0, 0, 64, 17, total ^ 0xFFFF, HOST, HOST)

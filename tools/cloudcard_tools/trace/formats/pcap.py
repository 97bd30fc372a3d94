"""Commands and responses as a capture of GSMTAP packets, which SIM tracers write and Wireshark
can open.

A packet holds a command followed by its response. The format does not say where the command ends.
In captures of tracers, the header of T=0 shows it; our own captures say it in a field that cards
do not use.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from card_os.trace.lines import Received, Sent
from card_os.trace.words import TraceError

MAGICS = {  # of the file: its byte order and the ticks in a second
    b"\xd4\xc3\xb2\xa1": "<",
    b"\xa1\xb2\xc3\xd4": ">",
    b"\x4d\x3c\xb2\xa1": "<",
    b"\xa1\xb2\x3c\x4d": ">",
}
MAGIC = 0xA1B2C3D4
PCAPNG = b"\x0a\x0d\x0d\x0a"  # a newer format, which is recognised to be refused
RAW_IP, ETHERNET, COOKED, IPV4 = 101, 1, 113, 228
LINK_BYTES = {RAW_IP: 0, IPV4: 0, ETHERNET: 14, COOKED: 16}  # before the IP packet
PORT = 4729
UDP_PROTOCOL = 17
SIM = 4
APDU, COMMAND, RESPONSE = 0, 5, 6  # GSMTAP_SIM_APDU, GSMTAP_SIM_TPDU_CMD, GSMTAP_SIM_TPDU_RSP
OTHERS = frozenset({1, 2, 3, 4, 7})  # answer to reset, parameters, parts of complete packets
FILE = struct.Struct("<IHHiIII")
PACKET = struct.Struct("<IIII")
IP = struct.Struct(">BBHHHBBH4s4s")
UDP = struct.Struct(">HHHH")
GSMTAP = struct.Struct(">BBBBHBBIBBBB")
OVERHEAD = IP.size + UDP.size + GSMTAP.size
LONGEST = 0xFFFF
HOST = b"\x7f\0\0\1"
SECOND = 1_000_000  # microseconds
LONGEST_COMMAND = 0x3FFF  # bytes; two bits of the field have another meaning
HEADER_BYTES = 5  # of T=0: CLA, INS, P1, P2, P3
OUTGOING = frozenset({0x12, 0x84, 0xB0, 0xB2, 0xC0, 0xCA, 0xF2})  # P3 is the length of the answer


def is_capture(beginning: bytes) -> bool:
    """Whether a file that begins with these bytes is a capture."""
    return beginning in MAGICS or beginning == PCAPNG


def write(exchanges: Iterable[tuple[int, bytes, bytes]]) -> Iterator[bytes]:
    """The parts of a capture's file, from commands and responses with their microseconds. Raises
    TraceError for an APDU that fits into no packet.
    """
    yield FILE.pack(MAGIC, 2, 4, 0, 0, LONGEST, RAW_IP)
    for number, (at, command, response) in enumerate(exchanges, 1):
        size = OVERHEAD + len(command) + len(response)
        if size > LONGEST or len(command) > LONGEST_COMMAND:
            raise TraceError(f"packet {number}: its APDUs are too long for a packet")
        yield PACKET.pack(at // SECOND & 0xFFFFFFFF, at % SECOND, size, size) + _ip(size)
        yield UDP.pack(PORT, PORT, size - IP.size, 0)
        yield GSMTAP.pack(2, GSMTAP.size // 4, SIM, 0, len(command), 0, 0, number, APDU, 0, 0, 0)
        yield command + response


def read(file: BinaryIO) -> Iterator[Sent | Received]:
    """The APDUs of a capture; other packets are skipped. Raises TraceError with the number of a
    packet that cannot be read.
    """
    header = file.read(FILE.size)
    order = MAGICS.get(header[:4])
    if order is None or len(header) < FILE.size:
        raise TraceError("this is not a pcap file: convert a pcapng file with `editcap -F pcap`")
    link = struct.unpack(order + "I", header[20:24])[0] & 0xFFFF
    if link not in LINK_BYTES:
        raise TraceError(f"captures of link type {link} are not read: raw IP and Ethernet are")
    packet_header = struct.Struct(order + "IIII")
    number = 0
    while head := file.read(PACKET.size):
        number += 1
        size = packet_header.unpack(head)[2] if len(head) == PACKET.size else LONGEST + 1
        packet = file.read(size) if size <= 2 * LONGEST else b""
        if len(packet) < size or size > 2 * LONGEST:
            raise TraceError(f"packet {number}: cut short, or not a packet")
        try:
            yield from _apdus(packet[LINK_BYTES[link] :])
        except (struct.error, TraceError) as error:
            raise TraceError(f"packet {number}: {error}") from None


def _apdus(packet: bytes) -> Iterator[Sent | Received]:
    """The APDUs of one IP packet; none if it is not a GSMTAP packet of a card."""
    if len(packet) < IP.size or packet[0] >> 4 != 4 or packet[9] != UDP_PROTOCOL:
        return
    udp = packet[4 * (packet[0] & 0x0F) :]
    if len(udp) < UDP.size or PORT not in UDP.unpack_from(udp)[:2]:
        return
    gsmtap = udp[UDP.size :]
    fields = GSMTAP.unpack_from(gsmtap)
    if fields[2] != SIM:
        return
    data, kind = gsmtap[4 * fields[1] :], fields[8]
    if kind == COMMAND:
        yield Sent(_long_enough(data, 4))
    elif kind == RESPONSE:
        yield Received(_long_enough(data, 2))
    elif kind == APDU:
        yield from _both(_long_enough(data, 4), fields[4])
    elif kind not in OTHERS:
        raise TraceError(f"GSMTAP kind {kind} is not known")


def _both(data: bytes, size: int) -> Iterator[Sent | Received]:
    """A command of `size` bytes and its response; 0 means as the header of T=0 says."""
    if size == 0:
        outgoing = data[1] in OUTGOING or len(data) < HEADER_BYTES + 2
        size = HEADER_BYTES + (0 if outgoing else data[4])
    if size == len(data):  # a command in our own capture that was never answered
        yield Sent(data)
        return
    size = min(size, len(data) - 2)
    yield Sent(data[:size])
    yield Received(data[size:])


def _long_enough(data: bytes, least: int) -> bytes:
    if len(data) < least:
        raise TraceError("too short for an APDU")
    return data


def _ip(size: int) -> bytes:
    without = IP.pack(0x45, 0, size, 0, 0, 64, UDP_PROTOCOL, 0, HOST, HOST)
    total = sum(struct.unpack(">10H", without))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return IP.pack(0x45, 0, size, 0, 0, 64, UDP_PROTOCOL, total ^ 0xFFFF, HOST, HOST)

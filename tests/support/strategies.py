"""What hypothesis makes: commands and data objects."""

from __future__ import annotations

from hypothesis import strategies as st

from card_os.apdu import EXTENDED_NE, Command

byte = st.integers(0x00, 0xFF)


def commands(largest: int = 1000) -> st.SearchStrategy[Command]:
    """Commands of every case and length, most of them unknown to any card."""
    ne = st.one_of(st.integers(0, 257), st.integers(0, EXTENDED_NE))
    return st.builds(Command, byte, byte, byte, byte, st.binary(max_size=largest), ne)


def tags() -> st.SearchStrategy[int]:
    """Tags of one to three bytes, as ISO/IEC 7816-4 (5.2.2.1) lets them be."""
    one = byte.filter(lambda first: first & 0x1F != 0x1F)
    first, last, more = byte.map(lambda b: b | 0x1F), st.integers(0, 0x7F), st.integers(0x80, 0xFF)
    two = st.tuples(first, last)
    three = st.tuples(first, more, last)
    return one | (two | three).map(bytes).map(int.from_bytes)


def tlvs(largest: int = 300) -> st.SearchStrategy[list[tuple[int, bytes]]]:
    """Data objects in a row."""
    return st.lists(st.tuples(tags(), st.binary(max_size=largest)), max_size=5)


HEADERS = [
    "00A40400",
    "00A4040C",
    "00C00000",
    "00200080",
    "0020FF80",
    "00240080",
    "00240081",
    "002C0080",
    "00CB3FFF",
    "0087119A",
    "1087119A",
    "0087119C",
    "0087119D",
    "0087119E",
    "00871182",
    "00CA7F68",
    "00700000",
    "00700001",
    "00708001",
    "01700000",
    "01A40400",
    "01200080",
    "01CB3FFF",
    "1187119E",
    "0187119E",
    "01C00000",
    "00872704",
    "0CCB3FFF",
    "1C87119E",
    "0C87119E",
    "0D200080",
    "00200000",
    "00DB3FFF",
    "10DB3FFF",
    "0047009A",
    "0047009D",
    "0087009B",
    "0087089B",
    "00F60000",
    "00F6FF9A",
    "00F7009A",
    "00F70080",
    "00F7009B",
    "00F80000",
    "00F99A00",
    "00FA0303",
    "00FB0000",
    "00FD0000",
    "00FE119A",
    "10FE079A",
    "00FFFFFF",
]

BODIES = (
    "",
    "00",
    "05 A000000308",
    "08 313233343536FFFF",
    "10 3132333435363738 313233343536FFFF",
    "03 5C017E 00",
    "05 5C035FC105 00",
    "05 5C035FC109 00",
    "0A 7C08 8200 8104DEADBEEF 00",
    "03 7C0882",
    "07 008104DEADBEEF 00",
    "01",
    "04 7C028000 00",
    "04 7C028100 00",
    "14 7C128210 00112233445566778899AABBCCDDEEFF",
    "05 AC03800111 00",
    "0B AC09800111AA0102AB0101 00",
    "08 5C035FC109 5301AA",
    "07 5C035FC109 5300",
    "22 0620" + "11" * 32,
    "13 089B10" + "11" * 16,
    "0A 8E08 0000000000000000 00",
    "47 7C45 8200 8541 04" + "11" * 64 + "00",
)


def likely_apdus() -> st.SearchStrategy[bytes]:
    """Bytes that reach further into the card than random ones: known headers, any body."""
    headers = st.sampled_from([bytes.fromhex(header) for header in HEADERS])
    bodies = st.sampled_from([bytes.fromhex(body) for body in BODIES])
    return st.tuples(headers, bodies | st.binary(max_size=40)).map(b"".join)

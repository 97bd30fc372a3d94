"""BER-TLV (ISO/IEC 7816-4, 5.2.2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from card_os import tlv
from support.strategies import tags, tlvs


@pytest.mark.parametrize(
    ("size", "field"),
    [
        (0x00, "00"),
        (0x7F, "7F"),
        (0x80, "8180"),
        (0xFF, "81FF"),
        (0x100, "820100"),
        (0xFFFF, "82FFFF"),
        (0x10000, "83010000"),
    ],
)
def test_length_fields_at_their_boundaries(size: int, field: str) -> None:
    """ISO/IEC 7816-4, table 2."""
    encoded = tlv.encode(0x53, bytes(size))
    assert encoded[: -size or None].hex().upper() == "53" + field
    assert tlv.decode_one(0x53, encoded) == bytes(size)


@pytest.mark.parametrize("tag", [0x53, 0x7C, 0x7E, 0x7F61, 0x5F2F, 0x5FC102])
def test_a_tag_is_written_as_its_bytes_read(tag: int) -> None:
    assert tlv.encode(tag) == bytes.fromhex(f"{tag:X}00")
    assert list(tlv.decode(tlv.encode(tag, b"value"))) == [(tag, b"value")]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("5F", "tag is cut short"),
        ("5FC1", "tag is cut short"),
        ("5FC1C102 00", "tag is too long"),
        ("53", "length is missing"),
        ("53 80 00 00", "length is malformed"),  # indefinite
        ("53 81", "length is malformed"),
        ("53 85 0000000001 00", "length is malformed"),
        ("53 FF", "length is malformed"),
        ("53 02 00", "2 bytes announced, 1 left"),
        ("53 00 53", "length is missing"),
    ],
)
def test_what_is_no_tlv_is_said_so(data: str, why: str) -> None:
    with pytest.raises(tlv.TlvError, match=why):
        list(tlv.decode(bytes.fromhex(data)))


@pytest.mark.parametrize("data", ["", "5C", "5C017E5C017E", "53017E", "5C017E00"])
def test_one_object_is_all_of_the_data(data: str) -> None:
    with pytest.raises(tlv.TlvError):
        tlv.decode_one(0x5C, bytes.fromhex(data))


@given(objects=tlvs())
def test_objects_decode_back(objects: list[tuple[int, bytes]]) -> None:
    encoded = b"".join(tlv.encode(tag, value) for tag, value in objects)
    assert list(tlv.decode(encoded)) == objects


@given(tag=tags(), values=st.lists(st.binary(max_size=50)))
def test_values_are_joined(tag: int, values: list[bytes]) -> None:
    assert tlv.encode(tag, *values) == tlv.encode(tag, b"".join(values))


@given(data=st.binary(max_size=100))
def test_any_bytes_give_objects_or_one_named_error(data: bytes) -> None:
    try:
        objects = list(tlv.decode(data))
    except tlv.TlvError:
        return
    assert sum(len(value) for _, value in objects) <= len(data)

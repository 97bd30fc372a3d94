"""Framing: any bytes, in any pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reader_bridge.vpcd import CommandApdu, Control, Decoder, Event, encode

BODIES = st.lists(st.binary(min_size=2, max_size=300), max_size=8)


def feed(wire: bytes, step: int) -> list[Event]:
    """What a decoder makes of these bytes, received `step` at a time."""
    decoder = Decoder()
    return [
        event
        for start in range(0, len(wire), step)
        for event in decoder.feed(wire[start : start + step])
    ]


@given(BODIES, st.integers(1, 700))
def test_a_split_makes_no_difference(bodies: list[bytes], step: int) -> None:
    wire = b"".join(map(encode, bodies))
    assert feed(wire, step) == [CommandApdu(body) for body in bodies]


@given(st.binary(max_size=2000), st.integers(1, 300))
def test_any_bytes_are_digested_alike_whole_and_in_pieces(wire: bytes, step: int) -> None:
    assert feed(wire, step) == feed(wire, max(1, len(wire)))


@given(st.binary(max_size=40), BODIES)
def test_what_is_left_over_stays_for_later(start: bytes, bodies: list[bytes]) -> None:
    decoder = Decoder()
    wire = b"".join(map(encode, bodies))
    head, tail = wire[: len(start)], wire[len(start) :]
    assert [*decoder.feed(head), *decoder.feed(tail)] == [CommandApdu(body) for body in bodies]


@pytest.mark.parametrize("control", Control)
def test_controls(control: Control) -> None:
    assert feed(encode(bytes([control])), 1) == [control]


def test_reset_and_get_atr_in_one_segment() -> None:
    assert feed(bytes.fromhex("0001 02 0001 04"), 99) == [Control.RESET, Control.GET_ATR]


@pytest.mark.parametrize("nothing", ["0000", "0001 03", "0001 05", "0001 FF", "0000 0000"])
def test_what_means_nothing_is_passed_over(nothing: str) -> None:
    assert feed(bytes.fromhex(nothing) + encode(b"\x04"), 1) == [Control.GET_ATR]


@given(st.binary(min_size=2, max_size=0xFFFF))
def test_encode_and_feed_are_inverse(body: bytes) -> None:
    assert feed(encode(body), 0x10001) == [CommandApdu(body)]


@pytest.mark.parametrize("size", [0, 0x10000])
def test_what_cannot_be_sent(size: int) -> None:
    with pytest.raises(ValueError, match=f"{size} bytes"):
        encode(bytes(size))

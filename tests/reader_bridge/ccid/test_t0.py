"""A card of T=1 behind a reader that knows T=0 alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from card_os import atr
from reader_bridge.ccid.t0 import Adapter, for_t0

READ = bytes.fromhex("00B00000")


def test_the_atr_offers_t0_and_keeps_the_historical_bytes() -> None:
    said = atr.for_application(bytes.fromhex("A00000030800001000"))
    shown = for_t0(said)
    assert shown.startswith(bytes.fromhex("3B5F9600"))
    assert atr.historical_bytes(shown) == atr.historical_bytes(said)
    assert len(shown) == 4 + len(atr.historical_bytes(said))  # no TCK


@given(st.binary(max_size=40))
def test_any_bytes_have_historical_bytes_or_are_no_atr(said: bytes) -> None:
    try:
        for_t0(said)
    except ValueError:
        return
    assert said[1] & 0x0F == len(atr.historical_bytes(said))


def test_a_wrong_length_is_corrected_and_the_command_not_done_again() -> None:
    adapter = Adapter()
    assert adapter.held(READ + b"\x00") is None
    assert adapter.response(b"abcde\x90\x00") == b"\x6c\x05"
    assert adapter.held(READ + b"\x05") == b"abcde\x90\x00"
    assert adapter.held(READ + b"\x05") is None  # only once


@pytest.mark.parametrize("other", [READ + b"\x04", b"\x00\xb0\x00\x01\x05", READ + b"\x05\x00"])
def test_any_other_command_drops_what_was_held_back(other: bytes) -> None:
    adapter = Adapter()
    assert adapter.held(READ + b"\x00") is None
    adapter.response(b"abcde\x90\x00")
    assert adapter.held(other) is None
    adapter.response(b"\x90\x00")
    assert adapter.held(READ + b"\x05") is None


@pytest.mark.parametrize(
    ("command", "response"),
    [
        (READ + b"\x05", b"abcde\x90\x00"),
        (READ + b"\x00", bytes(256) + b"\x61\x10"),
        (READ + b"\x00", b"\x6a\x82"),  # case 1 and errors have no data
        (READ + b"\x02ab", b"\x61\x05"),
    ],
)
def test_what_is_right_passes(command: bytes, response: bytes) -> None:
    adapter = Adapter()
    assert adapter.held(command) is None
    assert adapter.response(response) == response

"""Which passcodes a card takes as new ones."""

from __future__ import annotations

import pytest

from card_os.piv.rules import is_pin, may_be_set

PIN, PUK = 0x80, 0x81


@pytest.mark.parametrize(
    ("passcode", "fits"),
    [
        (b"123456", True),
        (b"12345678", True),
        (b"12345", False),
        (b"123456789", False),
        (b"12345a", False),
        (b"", False),
        ("١٢٣٤".encode(), False),
    ],
)
def test_a_pin_is_six_to_eight_digits(passcode: bytes, fits: bool) -> None:
    assert is_pin(passcode) is fits
    assert may_be_set(PIN, passcode, extensions=False) is fits
    assert may_be_set(0x00, passcode, extensions=False) is fits


@pytest.mark.parametrize(
    ("passcode", "fits"), [(bytes(8), True), (b"\xff" * 8, True), (b"1234567", False)]
)
def test_a_puk_is_any_eight_bytes(passcode: bytes, fits: bool) -> None:
    assert may_be_set(PUK, passcode, extensions=False) is fits


@pytest.mark.parametrize("key_ref", [PIN, PUK])
@pytest.mark.parametrize(
    ("passcode", "fits"),
    [
        (b"123456", True),
        (b"abc-X 9~", True),
        (b"123456\xff\xff", True),
        (b"1", False),
        (b"12345", False),
        (b"12345\xff\xff\xff", False),
        (b"\xff" * 8, False),
        (b"", False),
        (b"123\x00456", False),
        (b"123456\x00", False),
        (b"123456\x80", False),
        (b"1234\xff567", False),
        (b"123456789", False),
    ],
)
def test_with_the_extensions_they_are_ascii(key_ref: int, passcode: bytes, fits: bool) -> None:
    assert may_be_set(key_ref, passcode, extensions=True) is fits

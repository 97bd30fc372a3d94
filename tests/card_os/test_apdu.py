"""Command APDUs (ISO/IEC 7816-3, 12.1.3) and classes (ISO/IEC 7816-4, 5.4.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from card_os.apdu import Command, channel_of, check_class, is_secured
from card_os.status import SW, CardError
from support.strategies import byte, commands


@pytest.mark.parametrize(
    ("case", "body", "data", "ne"),
    [
        ("1", "", "", 0),
        ("2S", "01", "", 1),
        ("2S", "FF", "", 255),
        ("2S", "00", "", 256),
        ("3S", "01 AA", "AA", 0),
        ("3S", "FF" + "AA" * 255, "AA" * 255, 0),
        ("4S", "01 AA 10", "AA", 16),
        ("4S", "01 AA 00", "AA", 256),
        ("2E", "00 0001", "", 1),
        ("2E", "00 0100", "", 256),
        ("2E", "00 FFFF", "", 65535),
        ("2E", "00 0000", "", 65536),
        ("3E", "00 0001 AA", "AA", 0),
        ("3E", "00 0100" + "AA" * 256, "AA" * 256, 0),
        ("3E", "00 FFFF" + "AA" * 65535, "AA" * 65535, 0),
        ("4E", "00 0001 AA 0010", "AA", 16),
        ("4E", "00 0002 AAAA 0000", "AAAA", 65536),
        ("4E", "00 FFFF" + "AA" * 65535 + "0000", "AA" * 65535, 65536),
    ],
)
def test_cases(case: str, body: str, data: str, ne: int) -> None:
    command = Command.parse(bytes.fromhex("00CB3FFF" + body))
    assert command == Command(0x00, 0xCB, 0x3F, 0xFF, bytes.fromhex(data), ne), case


@pytest.mark.parametrize(
    ("what", "apdu"),
    [
        ("nothing", ""),
        ("header cut short", "00CB3F"),
        ("short Lc beyond the data", "00CB3FFF 02 AA"),
        ("short Lc and two bytes of Le", "00CB3FFF 01 AA 0000"),
        ("extended Lc and one byte of Le", "00CB3FFF 00 0001 AA 00"),
        ("extended Lc and three bytes of Le", "00CB3FFF 00 0001 AA 000000"),
        ("extended Lc cut short", "00CB3FFF 00 00"),
        ("extended Lc beyond the data", "00CB3FFF 00 0002 AA"),
        ("extended Lc of zero", "00CB3FFF 00 0000 AA"),
        ("extended Lc of zero and Le", "00CB3FFF 00 0000 0000"),
    ],
)
def test_lengths_that_contradict_each_other(what: str, apdu: str) -> None:
    with pytest.raises(CardError) as caught:
        Command.parse(bytes.fromhex(apdu))
    assert caught.value.sw == SW.WRONG_LENGTH, what


@given(command=commands())
def test_a_command_parses_back(command: Command) -> None:
    assert Command.parse(bytes(command)) == command


@given(raw=st.binary(max_size=600))
def test_any_bytes_give_a_command_or_6700(raw: bytes) -> None:
    try:
        command = Command.parse(raw)
    except CardError as error:
        assert error.sw == SW.WRONG_LENGTH
    else:
        assert Command.parse(bytes(command)) == command


def test_data_is_not_shown() -> None:
    verify = Command(0x00, 0x20, 0x00, 0x80, b"123456\xff\xff")
    assert "123456" not in repr(verify)


@given(cla=byte)
def test_classes(cla: int) -> None:
    """Every class byte has one meaning (ISO/IEC 7816-4, tables 2 and 3)."""
    try:
        check_class(cla)
        said: int = SW.OK
    except CardError as error:
        said = error.sw
    if cla == 0xFF or cla & 0xE0 == 0x20:  # invalid, reserved
        expected: int = SW.CLA_NOT_SUPPORTED
    elif cla & 0xC0 == 0x40:
        expected = SW.CHANNEL_NOT_SUPPORTED
    elif cla < 0x80 and cla & 0x0C in (0x04, 0x08):
        expected = SW.SECURE_MESSAGING_NOT_SUPPORTED
    else:
        expected = SW.OK
    assert said == expected


@pytest.mark.parametrize(
    ("cla", "channel", "chained", "secured"),
    [
        (0x00, 0, False, False),
        (0x02, 2, False, False),
        (0x13, 3, True, False),
        (0x0C, 0, False, True),
        (0x1D, 1, True, True),
        (0x80, 0, False, False),
        (0x92, 2, True, False),
        (0x84, 0, False, False),
        (0xB3, 0, False, False),
        (0xFF, 0, False, False),
    ],
)
def test_what_a_class_says(cla: int, channel: int, chained: bool, secured: bool) -> None:
    command = Command(cla, 0x87, 0, 0)
    assert (command.channel, command.is_chained, command.is_secured) == (channel, chained, secured)
    assert (channel_of(bytes(command)), is_secured(bytes(command))) == (channel, secured)


@given(raw=st.binary(max_size=8))
def test_any_bytes_have_a_channel(raw: bytes) -> None:
    assert channel_of(raw) in range(4)
    if len(raw) < 4 or raw[0] >= 0xA0 or 0x20 <= raw[0] < 0x80:
        assert (channel_of(raw), is_secured(raw)) == (0, False)
    assert len(raw) >= 4 or not is_secured(raw)


@pytest.mark.parametrize(
    ("cla", "base"),
    [(0x00, 0x00), (0x1F, 0x00), (0x80, 0x80), (0x93, 0x80), (0x87, 0x84), (0xB3, 0xB3)],
)
def test_the_base_of_a_class(cla: int, base: int) -> None:
    assert Command(cla, 0, 0, 0).base_class == base

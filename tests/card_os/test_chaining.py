"""Long commands and long responses in parts (ISO/IEC 7816-4, 5.3.3 and 5.3.4)."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from card_os import tlv
from card_os.apdu import Command
from card_os.chaining import LONGEST_COMMAND_DATA, LONGEST_RESPONSE_DATA, Chain, Rest
from card_os.keys import UseKey
from card_os.piv.names import ObjectTag
from card_os.status import SW, CardError
from support.fakes import DrivenCard, ScriptedKeys, new_card, sample_image

BLOCK = bytes(range(256))
TEMPLATE = tlv.encode(0x7C, tlv.encode(0x82), tlv.encode(0x81, BLOCK))
CARD_AUTHENTICATION = (0x87, 0x07, 0x9E)  # needs no passcode

OK = SW.OK.to_bytes(2)


def parts(data: bytes, cuts: list[int]) -> list[bytes]:
    """A chain of GENERAL AUTHENTICATE, its data split at `cuts`."""
    edges = pairwise([0, *sorted(cuts), len(data)])
    *first, last = (data[start:end] for start, end in edges)
    return [
        *(bytes(Command(0x10, *CARD_AUTHENTICATION, piece)) for piece in first),
        bytes(Command(0x00, *CARD_AUTHENTICATION, last, 256)),
    ]


@given(cuts=st.lists(st.integers(0, len(TEMPLATE)), max_size=6))
def test_any_split_is_the_same_command(cuts: list[int]) -> None:
    keys = ScriptedKeys(b"signature")
    card = new_card(keys, rsa=True)
    *first, last = parts(TEMPLATE, cuts)
    assert [card.transmit(part) for part in first] == [OK] * len(first)
    assert card.transmit(last) == bytes.fromhex("7C0B8209") + b"signature" + OK
    request = keys.requests[-1]
    assert isinstance(request, UseKey)
    assert request.input == BLOCK


@given(cuts=st.lists(st.integers(0, len(TEMPLATE)), max_size=6))
def test_a_chain_is_the_same_as_one_extended_command(cuts: list[int]) -> None:
    keys = ScriptedKeys(b"signature" * 100, b"signature" * 100)
    card = new_card(keys, rsa=True)
    extended = card.transmit(bytes(Command(0x00, *CARD_AUTHENTICATION, TEMPLATE, 65536)))
    *first, last = parts(TEMPLATE, cuts)
    for part in first:
        card.transmit(part)
    assert whole(card, card.transmit(last)) == extended
    one, other = keys.requests
    assert isinstance(one, UseKey)
    assert other == replace(one, request_id=other.request_id)


def whole(card: DrivenCard, response: bytes) -> bytes:
    """A response with all that GET RESPONSE fetches of it."""
    data = b""
    while response[-2] == 0x61:
        data += response[:-2]
        response = card.transmit(bytes((0x00, 0xC0, 0x00, 0x00, response[-1])))
    return data + response


@given(size=st.integers(0, 13000))
def test_get_response_makes_the_extended_response(size: int) -> None:
    image = sample_image()
    objects = {**image.objects, ObjectTag.CARD_AUTHENTICATION_CERTIFICATE: bytes(size)}
    card = new_card(image=replace(image, objects=objects))
    extended = card.send("00CB3FFF 000005 5C035FC101 0000")
    short = whole(card, card.transmit(bytes.fromhex("00CB3FFF 05 5C035FC101 00")))
    assert short.hex().upper() == extended


@pytest.mark.parametrize(
    "between",
    [
        "00CB3FFF035C017E00",  # another instruction
        "0087079A027C0000",  # another key
        "1087079A027C00",  # another chain
        "00C0000000",  # GET RESPONSE
        "00A4040005A00000030800",
        "00CB",  # no command at all
        "8087079E00",
        "4087079E00",
        "0087079E05AA",  # malformed lengths
        "00700001",
        "",
    ],
)
def test_another_command_aborts_a_chain(between: str) -> None:
    """SP 800-73-5 part 2, 3.2.4: an interrupted chain has no effect."""
    card = new_card(rsa=True)
    first, last = parts(TEMPLATE, [200])
    assert card.transmit(first) == OK
    card.send(between)
    assert card.transmit(last) == SW.WRONG_DATA.to_bytes(2)


def test_a_reset_aborts_a_chain() -> None:
    card = new_card(rsa=True)
    first, last = parts(TEMPLATE, [200])
    card.transmit(first)
    card.card.reset()
    assert card.transmit(last) == SW.WRONG_DATA.to_bytes(2)


def test_a_chain_is_bounded() -> None:
    card = new_card(rsa=True)
    part = bytes(Command(0x10, *CARD_AUTHENTICATION, bytes(255)))
    whole = LONGEST_COMMAND_DATA // 255
    assert {card.transmit(part) for _ in range(whole)} == {OK}
    assert card.transmit(part) == SW.NOT_ENOUGH_MEMORY.to_bytes(2)
    assert card.transmit(part) == OK  # which begins a new chain


def test_the_longest_chain_is_taken_and_not_a_byte_more() -> None:
    begun = Chain(Command(0x10, *CARD_AUTHENTICATION))
    begun.add(Command(0x10, *CARD_AUTHENTICATION, bytes(LONGEST_COMMAND_DATA)))
    whole = begun.end(Command(0x00, *CARD_AUTHENTICATION))
    assert len(whole.data) == LONGEST_COMMAND_DATA
    with pytest.raises(CardError) as refused:
        begun.end(Command(0x00, *CARD_AUTHENTICATION, b"\0"))
    assert refused.value.sw == SW.NOT_ENOUGH_MEMORY


@pytest.mark.parametrize(
    ("command", "sw"),
    [
        ("10200080 08 313233343536FFFF", "6884"),
        ("10240080 10 313233343536FFFF363534333231FFFF", "6884"),
        ("10CB3FFF 03 5C017E", "6884"),
        ("10A40400 05 A000000308", "6884"),
        ("10C00000 00", "6884"),
        ("10DB3FFF 03 5C017E", "9000"),
        ("1047009A 05 AC03800107", "9000"),
    ],
)
def test_only_some_commands_can_be_chained(command: str, sw: str) -> None:
    """SP 800-73-5 part 2, table 2."""
    assert new_card().send(command) == sw


@given(
    data=st.binary(max_size=2000),
    first_ne=st.integers(0, 300),
    ne=st.integers(1, 300),
)
def test_a_response_comes_whole_whatever_the_reader_accepts(
    data: bytes, first_ne: int, ne: int
) -> None:
    response, rest = Rest(data).cut(first_ne)
    got = response[:-2]
    while rest is not None:
        left = len(data) - len(got)
        assert response[-2:] == bytes((0x61, left if left < 256 else 0))
        response, rest = rest.cut(ne)
        assert len(response) - 2 <= ne
        got += response[:-2]
    assert response[-2:] == OK
    assert got == data


def test_the_longest_response_fits_a_frame_of_the_reader() -> None:
    response, rest = Rest(bytes(70000)).cut(65536)
    assert len(response) == 65535
    assert response.endswith(b"\x61\x00")
    assert rest is not None
    assert len(rest.cut(65536)[0]) - 2 == 70000 - LONGEST_RESPONSE_DATA


def test_get_response() -> None:
    card = new_card()
    assert card.send("00CB3FFF055C035FC10220").endswith("611D")  # 61 bytes in all
    assert card.send("00C0000010").endswith("610D")
    assert card.send("00C0000000")[-8:] == "FE009000"
    assert card.send("00C0000000") == "6985"


def test_without_le_the_data_comes_all_the_same() -> None:
    card = new_card()
    assert card.send("00CB3FFF035C017E") == card.send("00CB3FFF035C017E00")
    assert card.send("00CB3FFF055C035FC105").endswith("6100")


def test_256_bytes_or_more_are_6100() -> None:
    card = new_card()
    assert card.send("00CB3FFF055C035FC10500").endswith("6100")


def test_an_extended_le_gets_all_at_once() -> None:
    card = new_card()
    response = card.transmit(bytes.fromhex("00CB3FFF0000055C035FC1050000"))
    assert response.endswith(OK)
    assert len(response) > 1024


@pytest.mark.parametrize("between", ["00CB3FFF035C017E00", "00FD0000", "00C0", "00C0010000"])
def test_any_other_command_drops_what_was_not_fetched(between: str) -> None:
    card = new_card()
    card.send("00CB3FFF055C035FC10510")
    card.send(between)
    assert card.send("00C0000000") == "6985"


@pytest.mark.parametrize(
    ("command", "sw"),
    [
        ("00C0000000", "6985"),
        ("00C0010000", "6A86"),
        ("00C0000100", "6A86"),
        ("00C00000", "6700"),
        ("00C0000001AA00", "6700"),
    ],
)
def test_get_response_with_nothing_to_fetch(command: str, sw: str) -> None:
    assert new_card().send(command) == sw

"""The messages of a USB reader, and how transfers make them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reader_bridge.ccid.descriptors import PACKET
from reader_bridge.ccid.messages import (
    HEADER_BYTES,
    MalformedMessage,
    Message,
    Request,
    Transfers,
)

LONGEST = 2000
BYTE = st.integers(0, 255)
MESSAGES = st.builds(
    Message, BYTE, BYTE, BYTE, st.binary(min_size=3, max_size=3), st.binary(max_size=1500)
)


@given(MESSAGES)
def test_a_message_decodes_to_itself(message: Message) -> None:
    assert Message.decode(message.encode()) == message


@given(st.binary(max_size=40))
def test_any_bytes_are_a_message_or_malformed(raw: bytes) -> None:
    try:
        message = Message.decode(raw)
    except MalformedMessage as error:
        assert (error.header is None) == (len(raw) < HEADER_BYTES)
    else:
        assert message.encode() == raw


@given(st.lists(MESSAGES, max_size=5), st.integers(1, 5))
def test_messages_do_not_depend_on_how_many_transfers_they_take(
    messages: list[Message], packets: int
) -> None:
    transfers = Transfers(LONGEST, PACKET)
    size = packets * PACKET
    heard = []
    for raw in (message.encode() for message in messages):
        for at in range(0, len(raw), size):
            if (whole := transfers.feed(raw[at : at + size])) is not None:
                heard.append(Message.decode(whole))
    assert heard == messages


def test_an_empty_packet_behind_a_message_is_no_message() -> None:
    transfers = Transfers(LONGEST, PACKET)
    raw = Message(Request.TRANSFER, 0, 1, data=bytes(PACKET - HEADER_BYTES)).encode()
    assert transfers.feed(raw) == raw
    assert transfers.feed(b"") is None
    assert transfers.feed(raw) == raw


@pytest.mark.parametrize("change", [-1, 1])
def test_another_length_than_it_says_is_malformed(change: int) -> None:
    raw = Message(Request.TRANSFER, 0, 7, data=bytes(20)).encode()
    cut = raw[:change] if change < 0 else raw + bytes(change)
    whole = Transfers(LONGEST, PACKET).feed(cut)
    assert whole is not None
    with pytest.raises(MalformedMessage) as caught:
        Message.decode(whole)
    assert caught.value.header == Message(Request.TRANSFER, 0, 7)


def test_what_is_too_long_is_refused_at_once_and_not_kept() -> None:
    transfers = Transfers(LONGEST, PACKET)
    raw = Message(Request.TRANSFER, 0, 7).encode()
    long = raw[:1] + (0xFFFFFFFF).to_bytes(4, "little") + raw[5:] + bytes(PACKET - len(raw))
    assert transfers.feed(long) == long[:HEADER_BYTES]
    assert [transfers.feed(bytes(PACKET)) for _ in range(100)] == [None] * 100
    assert transfers.feed(bytes(3)) is None  # its end
    assert transfers.feed(raw) == raw

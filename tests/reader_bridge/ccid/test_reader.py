"""The reader's state machine: each message has the answer that the standard asks for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from card_os.trace.lines import Power
from reader_bridge.ccid.messages import (
    ANSWERED_WITH,
    Answer,
    Error,
    Level,
    MalformedMessage,
    Message,
    Request,
)
from reader_bridge.ccid.presentation import LONGEST_COMMAND, LONGEST_RESPONSE, T0, T1
from reader_bridge.ccid.reader import Apdu, Effect, Order, Reader, Say
from support.fakes import new_card

ATR = new_card().card.atr
APDU = bytes.fromhex("00CB3FFF")


def asked(
    reader: Reader, kind: int, data: bytes = b"", own: bytes = bytes(3), seq: int = 1, slot: int = 0
) -> list[Effect]:
    return reader.receive(Message(kind, slot, seq, own, data).encode())


def answer(effects: list[Effect]) -> Message:
    """The one message that is said."""
    (said,) = (each.message for each in effects if isinstance(each, Say))
    return said


def level(number: int) -> bytes:
    return b"\0" + number.to_bytes(2, "little")


@pytest.fixture
def reader() -> Reader:
    """With a card that is switched on."""
    made = Reader()
    made.insert(ATR)
    assert asked(made, Request.POWER_ON) == [
        Power.ON,
        Say(Message(Answer.DATA, 0, 1, bytes(3), ATR)),
    ]
    return made


def test_a_card_that_is_switched_on_again_is_reset(reader: Reader) -> None:
    assert asked(reader, Request.POWER_ON)[0] is Power.RESET
    assert asked(reader, Request.POWER_OFF)[0] is Power.OFF
    assert answer(asked(reader, Request.GET_SLOT_STATUS)).own[0] == 1


def test_a_command_and_its_response(reader: Reader) -> None:
    assert asked(reader, Request.TRANSFER, APDU) == [Apdu(APDU)]
    assert answer(reader.respond(b"\x90\x00")).data == b"\x90\x00"
    assert reader.respond(b"\x90\x00") == []


def test_the_longest_command_and_response_take_one_message_each(reader: Reader) -> None:
    longest = bytes(LONGEST_COMMAND)
    assert asked(reader, Request.TRANSFER, longest) == [Apdu(longest)]
    said = answer(reader.respond(bytes(LONGEST_RESPONSE)))
    assert (said.own[2], len(said.data)) == (Level.WHOLE, LONGEST_RESPONSE)


def test_each_second_more_time_is_asked_for(reader: Reader) -> None:
    assert reader.tick() == []
    asked(reader, Request.TRANSFER, APDU, seq=9)
    assert reader.tick() == [Say(Message(Answer.DATA, 0, 9, bytes((0x80, 1, 0))))]


@pytest.mark.parametrize("kind", set(Request) - {Request.ABORT})
def test_a_slot_that_works_is_busy(reader: Reader, kind: Request) -> None:
    asked(reader, Request.TRANSFER, APDU)
    said = answer(asked(reader, kind, seq=2))
    assert (said.type, said.own[:2]) == (
        ANSWERED_WITH.get(kind, Answer.SLOT_STATUS),
        bytes((0x40, Error.SLOT_BUSY)),
    )


@pytest.mark.parametrize(
    ("kind", "own", "data", "error"),
    [
        (Request.POWER_ON, b"\4\0\0", b"", Error.FIRST_OWN),
        (Request.POWER_ON, bytes(3), b"x", Error.LENGTH),
        (Request.POWER_OFF, bytes(3), b"x", Error.LENGTH),
        (Request.GET_SLOT_STATUS, bytes(3), b"x", Error.LENGTH),
        (Request.GET_PARAMETERS, bytes(3), b"x", Error.LENGTH),
        (Request.SET_PARAMETERS, b"\0\0\0", bytes(5), Error.FIRST_OWN),
        (Request.SET_PARAMETERS, b"\1\0\0", bytes(5), Error.LENGTH),
        (Request.CLOCK, b"\2\0\0", b"", Error.FIRST_OWN),
        (Request.TRANSFER, bytes(3), b"", Error.LENGTH),
        (Request.TRANSFER, level(4), APDU, Error.LEVEL),
        (Request.TRANSFER, level(Level.LAST), APDU, Error.LEVEL),
        (Request.TRANSFER, level(Level.NEXT), b"", Error.LEVEL),
        (Request.SECURE, bytes(3), b"", Error.NOT_SUPPORTED),
        (Request.ESCAPE, bytes(3), b"\1", Error.NOT_SUPPORTED),
        (Request.MECHANICAL, b"\1\0\0", b"", Error.NOT_SUPPORTED),
        (Request.T0_APDU, bytes(3), b"", Error.NOT_SUPPORTED),
        (Request.SET_DATA_RATE, bytes(3), bytes(8), Error.NOT_SUPPORTED),
        (0x00, bytes(3), b"", Error.NOT_SUPPORTED),
    ],
)
def test_what_is_wrong_is_named(
    reader: Reader, kind: int, own: bytes, data: bytes, error: Error
) -> None:
    said = answer(asked(reader, kind, data, own))
    assert said.own[:2] == bytes((0x40, error))
    assert said.type == ANSWERED_WITH.get(kind, Answer.SLOT_STATUS)


def test_there_is_one_slot(reader: Reader) -> None:
    assert answer(asked(reader, Request.GET_SLOT_STATUS, slot=1)).own[:2] == b"\x42\x05"


def test_parameters_are_kept_until_a_reset(reader: Reader) -> None:
    own = bytes.fromhex("11100045002000")
    assert answer(asked(reader, Request.SET_PARAMETERS, own, b"\1\0\0")).data == own
    assert answer(asked(reader, Request.GET_PARAMETERS)).data == own
    assert answer(asked(reader, Request.RESET_PARAMETERS)).data == T1.parameters


@pytest.mark.parametrize("kind", [Request.POWER_ON, Request.TRANSFER, Request.GET_PARAMETERS])
def test_without_a_card_it_is_mute(kind: Request) -> None:
    assert answer(asked(Reader(), kind)).own[:2] == bytes((0x42, Error.MUTE))


@given(st.binary(min_size=30, max_size=300), st.integers(11, 40))
def test_long_messages_come_in_parts_both_ways(command: bytes, longest: int) -> None:
    reader = Reader(T1, longest)
    reader.insert(ATR)
    asked(reader, Request.POWER_ON)
    size = longest - 10
    parts = [command[at : at + size] for at in range(0, len(command), size)]
    for number, part in enumerate(parts[:-1]):
        said = asked(reader, Request.TRANSFER, part, level(Level.MIDDLE if number else Level.FIRST))
        assert answer(said).own == bytes((0, 0, Level.NEXT))
    last = asked(
        reader, Request.TRANSFER, parts[-1], level(Level.LAST if len(parts) > 1 else Level.WHOLE)
    )
    assert last == [Apdu(command)]
    said_last = answer(reader.respond(command))
    heard = said_last.data
    while said_last.own[2] in (Level.FIRST, Level.MIDDLE):
        said_last = answer(asked(reader, Request.TRANSFER, own=level(Level.NEXT)))
        heard += said_last.data
    assert heard == command


def test_a_chain_that_never_ends_is_cut() -> None:
    reader = Reader()
    reader.insert(ATR)
    asked(reader, Request.POWER_ON)
    asked(reader, Request.TRANSFER, bytes(40000), level(Level.FIRST))
    said = answer(asked(reader, Request.TRANSFER, bytes(40000), level(Level.MIDDLE)))
    assert said.own[:2] == bytes((0x40, Error.LENGTH))
    assert answer(asked(reader, Request.TRANSFER, b"x", level(Level.LAST))).own[1] == Error.LEVEL


@pytest.mark.parametrize("control_first", [True, False])
def test_an_abort_takes_both_its_halves(reader: Reader, control_first: bool) -> None:
    asked(reader, Request.TRANSFER, APDU, seq=4)
    if control_first:
        assert reader.abort(0, 5) == []
        said = answer(asked(reader, Request.GET_SLOT_STATUS, seq=3))
        assert said.own[1] == Error.ABORTED
        effects = asked(reader, Request.ABORT, seq=5)
    else:
        assert asked(reader, Request.ABORT, seq=5) == []
        effects = reader.abort(0, 5)
    assert effects == [Order.WITHDRAW, Say(Message(Answer.SLOT_STATUS, 0, 5))]
    assert reader.respond(b"\x90\x00") == []
    assert asked(reader, Request.TRANSFER, APDU) == [Apdu(APDU)]


def test_an_abort_is_for_a_slot_that_is_there(reader: Reader) -> None:
    with pytest.raises(ValueError, match="one slot"):
        reader.abort(1, 5)


def test_a_card_that_leaves_answers_its_command(reader: Reader) -> None:
    asked(reader, Request.TRANSFER, APDU)
    told, notify = reader.remove()
    assert answer([told]).own[:2] == bytes((0x42, Error.MUTE))
    assert notify is Order.NOTIFY
    assert reader.notification == b"\x50\x02"


def test_a_swap_is_seen_as_a_removal_first(reader: Reader) -> None:
    reader.remove()
    assert reader.insert(ATR) == []
    assert reader.notification == b"\x50\x02"
    told, notify = asked(reader, Request.GET_SLOT_STATUS)
    assert answer([told]).own[0] == 2
    assert notify is Order.NOTIFY
    assert reader.notification == b"\x50\x03"
    assert answer(asked(reader, Request.GET_SLOT_STATUS)).own[0] == 1


def test_t0_offers_tpdus() -> None:
    t0 = Reader(T0)
    t0.insert(ATR)
    assert answer(asked(t0, Request.POWER_ON)).data.startswith(bytes.fromhex("3B5F9600"))
    assert answer(asked(t0, Request.TRANSFER, APDU, level(Level.FIRST))).own[1] == Error.LEVEL
    read = bytes.fromhex("00B0000000")
    assert asked(t0, Request.TRANSFER, read) == [Apdu(read)]
    assert answer(t0.respond(b"abc\x90\x00")).data == b"\x6c\x03"
    assert answer(asked(t0, Request.TRANSFER, read[:4] + b"\x03")).data == b"abc\x90\x00"


STEPS = st.lists(
    st.one_of(
        st.builds(
            Message,
            st.sampled_from([*Request, 0x00, 0xFF]),
            st.sampled_from([0, 0, 0, 1]),
            st.integers(0, 3),
            st.one_of(st.just(bytes(3)), st.binary(min_size=3, max_size=3)),
            st.binary(max_size=30),
        ),
        st.sampled_from(["insert", "remove", "respond", "tick", "attached"]),
        st.integers(0, 3),
    ),
    max_size=40,
)


@given(STEPS, st.sampled_from([T0, T1]))
def test_every_message_has_one_answer_in_the_end(steps: list[object], kind: object) -> None:
    """Except an abort whose other half does not come, and what an abort ends."""
    reader = Reader(kind)  # type: ignore[arg-type]
    for step in steps:
        busy = reader.busy
        match step:
            case Message():
                effects = reader.receive(step.encode())
                said = [each for each in effects if isinstance(each, Say)]
                with_card = any(isinstance(each, Apdu) for each in effects)
                assert len(said) + with_card == 1 or step.type == Request.ABORT
                assert not (with_card and busy)
            case int():
                reader.abort(0, step)
            case "insert":
                reader.insert(ATR)
            case "respond":
                assert len(reader.respond(b"\x90\x00")) == busy
            case other:
                getattr(reader, str(other))()


@given(st.binary(max_size=9))
def test_without_a_header_there_is_no_answer(raw: bytes) -> None:
    with pytest.raises(MalformedMessage):
        Reader().receive(raw)

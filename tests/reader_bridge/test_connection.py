"""One connection, through each carrier: commands, resets, waiting, and readers that go away or talk
nonsense.
"""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from card_os.card import Card
from card_os.keys import KeyRequest, KeyResult, Refusal, UseKey
from reader_bridge import tasks
from reader_bridge.ccid.t0 import for_t0
from reader_bridge.connection import ReaderGone
from reader_bridge.tasks import Cancellation
from reader_bridge.vpcd import encode
from support.fakes import ScriptedKeys, new_card
from support.reader_places import DIRECT, PAIRS, POWERED, Served, served
from support.vpcd_end import (
    GET_ATR,
    OK,
    POWER_OFF,
    POWER_ON,
    RESET,
    SIGN,
    STATUS,
    VERIFY,
    Person,
    Ready,
)

SIGNED = bytes.fromhex("7C05 8203 736967 9000")


@pytest.fixture(params=PAIRS, scope="module")
def via(request: pytest.FixtureRequest) -> str:
    """The name of the carrier."""
    name: str = request.param
    return name


def card() -> Card:
    return new_card().card


def shown(via: str, atr: bytes) -> bytes:
    """The ATR as the reader has it: QEMU's knows T=0 alone."""
    return for_t0(atr) if via == "qemu" else atr


def test_a_signature(via: str) -> None:
    with served(via, card(), Ready(ScriptedKeys(b"sig"))) as (reader, running):
        assert reader.ask(GET_ATR) == shown(via, running.card.atr)
        assert reader.ask(VERIFY) == OK
        assert reader.ask(SIGN) == SIGNED
    assert running.error is None


def test_a_signature_that_is_waited_for(via: str) -> None:
    person = Person(ScriptedKeys(b"sig"))
    with served(via, card(), person) as (reader, _):
        person.decided.set()
        assert reader.ask(VERIFY) == OK
        person.wait_until_asked()
        person.decided.clear()
        reader.send(SIGN)
        person.wait_until_asked()
        person.decided.set()
        assert reader.receive() == SIGNED
        assert not person.cancelled.is_set()


@pytest.mark.parametrize("via", POWERED)
@pytest.mark.parametrize("reset", [RESET, POWER_ON, POWER_OFF])
def test_a_reset_forgets_the_passcode_and_is_not_answered(via: str, reset: bytes) -> None:
    with served(via, card(), Ready(ScriptedKeys())) as (reader, running):
        assert reader.ask(VERIFY) == OK
        assert reader.ask(STATUS) == OK
        reader.send(reset)
        assert reader.ask(GET_ATR) == running.card.atr
        assert reader.ask(STATUS) == b"\x63\xc3"


class Resettable(Ready):
    """Counts how often the card's session has ended."""

    resets = 0

    def reset(self) -> None:
        self.resets += 1


@pytest.mark.parametrize("via", POWERED)
@pytest.mark.parametrize("reset", [RESET, POWER_ON, POWER_OFF])
def test_a_reset_ends_what_the_keys_hold_open(via: str, reset: bytes) -> None:
    """Or the next application would use the session that was approved for the last."""
    keys = Resettable(ScriptedKeys())
    with served(via, card(), keys) as (reader, _):
        assert len(reader.ask(STATUS)) == 2
        before = keys.resets  # USB readers switch a card on before its first command
        reader.send(reset)
        assert len(reader.ask(STATUS)) == 2
        assert keys.resets > before
        before = keys.resets
    assert keys.resets == before + 1  # the end of the connection is one, too


def test_a_reset_and_a_question_for_the_atr_in_one_segment_are_done_in_order() -> None:
    keys = Resettable(ScriptedKeys())
    with served("vpcd", card(), keys) as (reader, running):
        reader.sock.sendall(encode(RESET) + encode(GET_ATR))
        assert reader.receive() == running.card.atr
        assert keys.resets == 1


def test_a_new_connection_is_a_new_session(via: str) -> None:
    same = card()
    keys = Ready(ScriptedKeys())
    with served(via, same, keys) as (reader, _):
        assert reader.ask(VERIFY) == OK
    with served(via, same, keys) as (reader, _):
        assert reader.ask(STATUS) == b"\x63\xc3"


def test_a_hang_up_cancels_the_request(via: str) -> None:
    person = Person(ScriptedKeys())
    with served(via, card(), person) as (reader, running):
        reader.send(VERIFY)
        person.wait_until_asked()
        reader.hang_up()
        assert isinstance(running.wait_for_end(), ReaderGone)
        assert person.cancelled.is_set()
    assert running.card.transmit(STATUS, ScriptedKeys()) == b"\x63\xc3"


@pytest.mark.parametrize("via", DIRECT)
@pytest.mark.parametrize("talk", [encode(RESET), encode(SIGN), b"\x00"])
def test_a_reader_that_talks_while_it_should_wait_counts_as_gone(via: str, talk: bytes) -> None:
    person = Person(ScriptedKeys())
    with served(via, card(), person) as (reader, running):
        reader.send(VERIFY)
        person.wait_until_asked()
        reader.sock.sendall(talk)
        assert isinstance(running.wait_for_end(), ReaderGone)
        assert person.cancelled.is_set()


def test_a_card_that_waits_for_a_person_says_that_it_is_there() -> None:
    """Our handler takes out the card of an agent that hangs; only a beat tells it from one that
    waits.
    """
    person = Person(ScriptedKeys())
    reader, link, sock = PAIRS["handler"](card().atr)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(link, "beat_seconds", 0.01)
        running = Served(link, sock, card(), person)
        reader.send(VERIFY)
        person.wait_until_asked()
        assert [reader.sock.recv(10) for _ in range(3)] == [b"\x05"] * 3
        person.decided.set()
        assert reader.receive() == OK
        reader.hang_up()
        assert running.wait_for_end() is None


class BrokenKeys:
    """A key service with a bug, unless it is asked about passcodes."""

    def __init__(self) -> None:
        self._keys = ScriptedKeys()

    def perform(self, request: KeyRequest, _cancellation: Cancellation) -> KeyResult:
        match request:
            case UseKey():
                raise RuntimeError("a bug")
            case _:
                return self._keys.perform(request)

    def reset(self) -> None:
        """Keeps nothing that ends with the card's session."""


def test_a_bug_of_the_key_service_is_answered_and_logged(via: str) -> None:
    with capture_logs() as logs, served(via, card(), BrokenKeys()) as (reader, _):
        assert reader.ask(VERIFY) == OK
        assert reader.ask(SIGN) == b"\x64\x00"
        assert reader.ask(STATUS) == OK
    assert [entry["event"] for entry in logs] == ["key service failed", "command refused"]


def test_a_bug_of_the_card_is_answered_and_logged(via: str) -> None:
    with (
        capture_logs() as logs,
        served(via, card(), Ready(ScriptedKeys(3))) as (reader, _),  # type: ignore[arg-type]
    ):
        assert reader.ask(VERIFY) == OK
        assert reader.ask(SIGN) == b"\x6f\x00"
        assert reader.ask(STATUS) == OK
    assert [entry["event"] for entry in logs] == ["card failed"]


@pytest.mark.parametrize("error", [OSError("too many open files"), RuntimeError("no thread")])
def test_without_resources_the_answer_is_unavailable(
    via: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    with capture_logs() as logs, served(via, card(), Ready(ScriptedKeys())) as (reader, _):
        reader.ask(STATUS)
        with monkeypatch.context() as patch:
            patch.setattr(tasks.threading.Thread, "start", fail)
            assert reader.ask(VERIFY) == b"\x64\x00"
        assert reader.ask(VERIFY) == OK
    assert [entry["log_level"] for entry in logs] == ["error", "info"]


@settings(max_examples=50)
@given(st.lists(st.binary(max_size=40), max_size=10))
def test_each_command_has_its_answer_whatever_it_is(via: str, bodies: list[bytes]) -> None:
    """Changes of power have none."""
    with served(via, card(), Ready(Refuser())) as (reader, running):
        for body in bodies:
            if len(body) > 1:
                assert len(reader.ask(body)) >= 2
            elif body in (RESET, POWER_ON, POWER_OFF):
                reader.send(body)
        assert reader.ask(GET_ATR) == shown(via, running.card.atr)
        assert len(reader.ask(STATUS)) == 2


@settings(max_examples=50)
@given(st.lists(st.binary(max_size=40), max_size=10), st.integers(1, 30))
def test_nothing_that_vpcd_says_ends_the_thread(bodies: list[bytes], step: int) -> None:
    """Controls that it does not have, and empty messages, have no answer."""
    with served("vpcd", card(), Ready(Refuser())) as (reader, running):
        for body in bodies:
            message = len(body).to_bytes(2) + body
            for start in range(0, len(message), step):
                reader.sock.sendall(message[start : start + step])
            if len(body) > 1:
                assert len(reader.receive()) >= 2
            elif body == GET_ATR:
                assert reader.receive() == running.card.atr
        assert reader.ask(GET_ATR) == running.card.atr


class Refuser:
    """Refuses everything."""

    def perform(self, request: KeyRequest) -> KeyResult:
        return Refusal.DENIED


@given(st.binary(min_size=1, max_size=60))
@example(bytes(10))  # a message that the reader answers, and nobody hears it
@settings(max_examples=30)
def test_a_connection_that_breaks_off_ends_in_order(via: str, wire: bytes) -> None:
    with served(via, card(), Ready(Refuser())) as (reader, running):
        reader.sock.sendall(wire)
        reader.hang_up()
        running.wait_for_end()
        assert running.error is None or isinstance(running.error, OSError | ReaderGone)

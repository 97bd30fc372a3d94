"""Our handler's socket, where a test decides when to answer."""

from __future__ import annotations

import os
import queue
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from card_os.trace.lines import Power
from reader_bridge import peer, records
from reader_bridge.carriers import handler_socket
from reader_bridge.carriers.carrier import Command, Event, SlotState
from reader_bridge.carriers.handler_socket import HandlerLink, HandlerSocket
from reader_bridge.records import ANY_SLOT, Apdu, Cancel, Eject, EjectReason, Response, Signal
from reader_bridge.slot import REFUSALS, Slot
from support.fakes import CannedKeys, new_card
from support.handler_end import HandlerEnd, refuse
from support.reader_places import HandlerPlace
from support.vpcd_end import SECONDS, STATUS, Ready


@pytest.fixture
def place(tmp_path: Path) -> HandlerPlace:
    return HandlerPlace(tmp_path)


@contextmanager
def running(carrier: HandlerSocket) -> Iterator[queue.Queue[SlotState]]:
    """A card that wants into the slot; what is said of it."""
    said: queue.Queue[SlotState] = queue.Queue()
    slot = Slot(carrier, new_card().card, Ready(CannedKeys()), said.put)
    slot.start()
    try:
        yield said
    finally:
        slot.stop()


@contextmanager
def linked() -> Iterator[tuple[socket.socket, HandlerLink]]:
    """The handler's end of a connection, and ours."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(SECONDS)
    with ours, theirs:
        yield ours, HandlerLink(theirs)


@pytest.mark.parametrize(
    ("reason", "state"),
    [
        (EjectReason.TAKEN, SlotState.SLOT_TAKEN),
        (EjectReason.NO_SLOT, SlotState.NO_SLOT),
        (EjectReason.FORBIDDEN, SlotState.FORBIDDEN),
        (EjectReason.VERSION, SlotState.OTHER_VERSION),
    ],
)
def test_why_a_card_is_refused_is_said_once(
    place: HandlerPlace, reason: EjectReason, state: SlotState
) -> None:
    with place.listening() as listener, running(place.carrier) as said:
        for _ in range(3):
            refuse(listener.accept()[0], reason)
        assert said.get(timeout=SECONDS) is state
        end = place.accept(listener)
        assert said.get(timeout=SECONDS) is SlotState.INSERTED
        end.hang_up()


@pytest.mark.parametrize("reason", [EjectReason.CLOSING, EjectReason.FULL, 0xEE])
def test_a_refusal_that_passes_is_said_late(place: HandlerPlace, reason: int) -> None:
    with place.listening() as listener, running(place.carrier) as said:
        for _ in range(REFUSALS - 1):
            refuse(listener.accept()[0], reason)
        assert said.empty()
        refuse(listener.accept()[0], reason)
        assert said.get(timeout=SECONDS) is SlotState.HANGS_UP


@pytest.mark.parametrize("nonsense", [b"\x07", b"\x02\x02", b"\xff" * 40, b"\x06"])
def test_a_greeting_that_is_none(place: HandlerPlace, nonsense: bytes) -> None:
    with place.listening() as listener, running(place.carrier) as said:
        for _ in range(REFUSALS):
            with listener.accept()[0] as sock:
                sock.sendall(nonsense)
        assert said.get(timeout=SECONDS) is SlotState.HANGS_UP


def test_another_users_listener_gets_not_even_the_atr(
    place: HandlerPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer, "_trusted", lambda: {os.geteuid() + 1})
    with place.listening() as listener, running(place.carrier) as said:
        with listener.accept()[0] as sock:
            sock.settimeout(SECONDS)
            assert sock.recv(100) == b""
        assert said.get(timeout=SECONDS) is SlotState.STRANGER


def test_a_card_comes_back_to_its_slot_or_to_any(place: HandlerPlace) -> None:
    with place.listening() as listener, running(place.carrier):
        first = HandlerEnd(listener.accept()[0], slot=3)
        assert first.hello.slot == ANY_SLOT
        first.hang_up()
        again = HandlerEnd(listener.accept()[0], slot=3)
        assert again.hello.slot == 3
        assert place.carrier.where.place == "slot 3"
        again.hang_up()
        refuse(listener.accept()[0], EjectReason.TAKEN)
        late = HandlerEnd(listener.accept()[0], slot=5)
        assert late.hello.slot == ANY_SLOT
        late.hang_up()


def test_a_slot_that_was_asked_for_stays(place: HandlerPlace) -> None:
    with place.listening() as listener, running(HandlerSocket(place.path, 2)):
        refuse(listener.accept()[0], EjectReason.TAKEN)
        end = HandlerEnd(listener.accept()[0], slot=2)
        assert end.hello.slot == 2
        end.hang_up()


@pytest.mark.parametrize("slot", [-1, ANY_SLOT])
def test_what_is_no_slot(slot: int) -> None:
    with pytest.raises(ValueError, match="is no slot"):
        HandlerSocket(slot=slot)


def test_an_idle_card_says_that_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handler_socket, "_BEAT", struct.pack("ll", 0, 10_000))
    with linked() as (reader, link):
        heard: list[Event] = []
        idle = threading.Thread(target=lambda: heard.append(next(link.events())))
        idle.start()
        for _ in range(3):
            assert records.decode(reader.recv(10)) is Signal.WAIT
        reader.send(Signal.RESET.encode())
        idle.join(SECONDS)
        assert heard == [Power.RESET]


def test_changes_of_power_are_followed_by_a_beat() -> None:
    """They have no answer: an application that connects again and again, and sends no command,
    would make the card seem silent.
    """
    with linked() as (reader, link):
        events = link.events()
        for _ in range(2):
            reader.send(Signal.RESET.encode())
            assert next(events) == Power.RESET
        assert records.decode(reader.recv(10)) is Signal.WAIT


def test_numbers_go_back_with_responses() -> None:
    with linked() as (reader, link):
        for number in (7, 255, 0):
            reader.send(Apdu(number, STATUS).encode())
            assert next(link.events()) == Command(STATUS)
            link.respond(b"\x90\x00")
            assert records.decode(reader.recv(10)) == Response(number, b"\x90\x00")


def test_a_late_cancellation_means_nothing() -> None:
    with linked() as (reader, link):
        reader.send(Cancel(3).encode())
        reader.send(Signal.OFF.encode())
        assert next(link.events()) == Power.OFF


def test_an_ejected_card_has_nothing_more_to_hear() -> None:
    with linked() as (reader, link):
        reader.send(Eject(EjectReason.CLOSING).encode())
        reader.send(Apdu(1, STATUS).encode())
        assert list(link.events()) == []


@pytest.mark.parametrize(
    "nonsense", [b"\x00", b"\x03\x01", b"\x05", b"\x04\x01\x90\x00", b"\x03\x00" + bytes(65545)]
)
def test_nonsense_ends_the_connection(nonsense: bytes) -> None:
    with linked() as (reader, link):
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 18)
        reader.send(nonsense)
        with pytest.raises(ConnectionAbortedError):
            next(link.events())


def test_the_longest_command_and_response() -> None:
    command, response = bytes(65544), bytes(65538)
    with linked() as (reader, link):
        reader.send(Apdu(9, command).encode())
        assert next(link.events()) == Command(command)
        link.respond(response)
        assert records.decode(reader.recv(records.LONGEST)) == Response(9, response)


@pytest.mark.parametrize(
    ("text", "there"),
    [
        ('LIBPATH "/usr/lib/pcsc/drivers/serial/libifdcloudcard.so"', True),
        ("LIBPATH /usr/lib/pcsc/drivers/serial/libifdvpcd.so", False),
    ],
)
def test_the_handler_is_found_while_pcscd_does_not_run(
    tmp_path: Path, text: str, there: bool
) -> None:
    (tmp_path / "some").write_text(text)
    assert handler_socket.is_installed(tmp_path / "none.sock", tmp_path) is there


def test_the_handler_is_found_by_its_socket(place: HandlerPlace, tmp_path: Path) -> None:
    assert not handler_socket.is_installed(place.path, tmp_path / "none")
    with place.listening():
        assert handler_socket.is_installed(place.path, tmp_path / "none")

"""A slot's thread against a stand-in for the reader, through each carrier."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from card_os.keys import Refusal
from reader_bridge.carriers.carrier import Carrier, OnChange, SlotState
from reader_bridge.carriers.vpcd_port import VpcdLink, VpcdPort
from reader_bridge.slot import REFUSALS, Slot
from reader_bridge.tasks import CancellableKeys
from support import polling
from support.fakes import CannedKeys, ScriptedKeys, new_card
from support.reader_places import DIALLED, PLACES, Place
from support.vpcd_end import GET_ATR, OK, SECONDS, VERIFY, Person, Ready


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Where the reader is, or will be."""
    made: Place = PLACES[request.param](tmp_path)
    yield made
    made.close()


@contextmanager
def running(
    carrier: Carrier,
    keys: CancellableKeys | None = None,
    on_change: Callable[[SlotState], None] | None = None,
) -> Iterator[queue.Queue[SlotState]]:
    """A card that wants into the slot; what is said of it."""
    said: queue.Queue[SlotState] = queue.Queue()
    slot = Slot(carrier, new_card().card, keys or Ready(CannedKeys()), on_change or said.put)
    name = f"slot at {carrier.where.place}"
    slot.start()
    try:
        yield said
    finally:
        slot.stop()
        assert name not in [thread.name for thread in threading.enumerate()]


def test_a_card_is_inserted_removed_and_inserted_again(place: Place) -> None:
    with place.listening() as listener, running(place.carrier) as said:
        for _ in range(3):
            reader = place.accept(listener)
            assert reader.ask(GET_ATR).startswith(b"\x3b")
            assert said.get(timeout=SECONDS) is SlotState.INSERTED
            reader.hang_up()
            assert said.get(timeout=SECONDS) is SlotState.REMOVED
        last = place.accept(listener)
    assert last.receive() == b""  # stopped: the card has left
    last.hang_up()


def test_without_pcscd_it_is_said_once(place: Place) -> None:
    with running(place.carrier) as said:
        assert said.get(timeout=SECONDS) is place.absent
        time.sleep(1.5)
        assert said.empty()
        with place.listening() as late:
            reader = place.accept(late)
            reader.ask(GET_ATR)
            assert said.get(timeout=SECONDS) is SlotState.INSERTED
            reader.hang_up()


def test_a_pcscd_that_is_just_starting_is_not_called_missing(place: Place) -> None:
    with running(place.carrier) as said:
        time.sleep(0.2)
        with place.listening() as late:
            reader = place.accept(late)
            reader.ask(GET_ATR)
            assert said.get(timeout=SECONDS) is SlotState.INSERTED
            reader.hang_up()


@pytest.mark.parametrize("place", DIALLED, indirect=True)
def test_a_port_that_hangs_up_before_a_word_is_said_once(place: Place) -> None:
    with place.listening() as listener, running(place.carrier) as said:
        for _ in range(REFUSALS):
            listener.accept()[0].close()
        assert said.get(timeout=SECONDS) is SlotState.HANGS_UP
        reader = place.accept(listener)
        reader.ask(GET_ATR)
        assert said.get(timeout=SECONDS) is SlotState.INSERTED
        reader.hang_up()


def test_stopping_cancels_what_waits(place: Place) -> None:
    person = Person(ScriptedKeys())
    with place.listening() as listener, running(place.carrier, person):
        reader = place.accept(listener)
        reader.send(VERIFY)
        person.wait_until_asked()
    assert person.cancelled.is_set()
    reader.hang_up()


def test_after_a_hang_up_while_waiting_the_card_comes_back(place: Place) -> None:
    person = Person(ScriptedKeys())
    with place.listening() as listener, running(place.carrier, person) as said:
        reader = place.accept(listener)
        reader.send(VERIFY)
        person.wait_until_asked()
        reader.hang_up()
        again = place.accept(listener)
        assert again.ask(VERIFY) == OK
        again.hang_up()
        assert person.cancelled.is_set()
        for state in (SlotState.INSERTED, SlotState.REMOVED, SlotState.INSERTED):
            while (heard := said.get(timeout=SECONDS)) is place.absent:
                pass  # if the reader takes its time to come again
            assert heard is state


def test_a_bug_does_not_end_the_thread(place: Place) -> None:
    calls: queue.Queue[SlotState] = queue.Queue()

    def on_change(state: SlotState) -> None:
        calls.put(state)
        if calls.qsize() == 1:
            raise RuntimeError("a bug")

    keys = Ready(CannedKeys(Refusal.DENIED))
    with (
        capture_logs() as logs,
        place.listening() as listener,
        running(place.carrier, keys, on_change),
    ):
        first = place.accept(listener)
        first.send(GET_ATR)
        polling.until(lambda: calls.qsize() > 0)
        first.hang_up()
        second = place.accept(listener)
        assert second.ask(GET_ATR).startswith(b"\x3b")
        second.hang_up()
    assert logs[0]["event"] == "slot failed"


def test_a_stop_before_the_connection_leaves_no_card_behind() -> None:
    """`stop` finds no connection to shut down, and the carrier puts the card in afterwards."""
    connecting, stopped = threading.Event(), threading.Event()
    said: queue.Queue[SlotState] = queue.Queue()

    class Slow(VpcdPort):
        def insert(
            self, sock: socket.socket, atr: bytes, _say: OnChange, stopping: threading.Event, /
        ) -> VpcdLink:
            connecting.set()
            assert stopping.wait(SECONDS)
            assert stopped.wait(SECONDS)
            return VpcdLink(sock, atr)

    slot = Slot(Slow(1), new_card().card, Ready(CannedKeys()), said.put)
    slot.start()
    assert connecting.wait(SECONDS)
    stopping = threading.Thread(target=slot.stop)
    stopping.start()
    time.sleep(0.1)  # in which it looks for a connection
    stopped.set()
    stopping.join(SECONDS)
    assert said.empty()
    assert "slot at port 1" not in [thread.name for thread in threading.enumerate()]

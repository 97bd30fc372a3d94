"""A slot's thread against a stand-in for vpcd's port."""

from __future__ import annotations

import queue
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from structlog.testing import capture_logs

from card_os.keys import Refusal
from reader_bridge.slot import REFUSALS, Slot, SlotState, connect
from reader_bridge.tasks import CancellableKeys
from support.fakes import CannedKeys, ScriptedKeys, new_card
from support.vpcd_end import GET_ATR, OK, SECONDS, VERIFY, Person, Reader, Ready


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """vpcd's port, where a test decides when to answer."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.settimeout(SECONDS)
        yield sock


def port_of(sock: socket.socket) -> int:
    port: int = sock.getsockname()[1]
    return port


@contextmanager
def running(
    port: int,
    keys: CancellableKeys | None = None,
    on_change: Callable[[SlotState], None] | None = None,
) -> Iterator[queue.Queue[SlotState]]:
    """A card that wants into the slot; what is said of it."""
    said: queue.Queue[SlotState] = queue.Queue()
    slot = Slot(port, new_card().card, keys or Ready(CannedKeys()), on_change or said.put)
    slot.start()
    try:
        yield said
    finally:
        slot.stop()
        assert f"slot at {port}" not in [thread.name for thread in threading.enumerate()]


def accept(listener: socket.socket) -> Reader:
    return Reader(listener.accept()[0])


def test_a_card_is_inserted_removed_and_inserted_again(listener: socket.socket) -> None:
    with running(port_of(listener)) as said:
        for _ in range(3):
            reader = accept(listener)
            assert reader.ask(GET_ATR).startswith(b"\x3b")
            assert said.get(timeout=SECONDS) is SlotState.INSERTED
            reader.hang_up()
            assert said.get(timeout=SECONDS) is SlotState.REMOVED
        last = accept(listener)
    assert last.receive() == b""  # stopped: the card has left
    last.hang_up()


def test_the_connection_does_not_wait_for_more_data(listener: socket.socket) -> None:
    with running(port_of(listener)):
        reader = accept(listener)
        times = []
        for _ in range(40):  # Debian's vpcd sends length and body apart, and Nagle holds the body
            begun = time.perf_counter()
            reader.sock.sendall(b"\x00\x01")
            reader.sock.sendall(GET_ATR)
            reader.receive()
            times.append(time.perf_counter() - begun)
        assert statistics.median(times) < 0.040  # a busy computer delays some of them
        reader.hang_up()


def test_without_pcscd_it_is_said_once(listener: socket.socket) -> None:
    port = port_of(listener)
    listener.close()
    with running(port) as said:
        assert said.get(timeout=SECONDS) is SlotState.PCSCD_NOT_RUNNING
        time.sleep(1.5)
        assert said.empty()
        with socket.create_server(("127.0.0.1", port)) as late:
            late.settimeout(SECONDS)
            reader = accept(late)
            reader.ask(GET_ATR)
            assert said.get(timeout=SECONDS) is SlotState.INSERTED
            reader.hang_up()


def test_a_pcscd_that_is_just_starting_is_not_called_missing(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = iter([ConnectionRefusedError] * (REFUSALS - 1))

    def starting(sock: socket.socket, port: int) -> None:
        for refused in refusals:
            raise refused
        connect(sock, port)

    monkeypatch.setattr("reader_bridge.slot.connect", starting)
    with running(port_of(listener)) as said:
        reader = accept(listener)
        reader.ask(GET_ATR)
        assert said.get(timeout=SECONDS) is SlotState.INSERTED
        reader.hang_up()


def test_a_busy_port_is_said_once_and_waited_for(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reader_bridge.slot.SILENCE_SECONDS", 0.2)
    with running(port_of(listener)) as said:
        reader = accept(listener)
        assert said.get(timeout=SECONDS) is SlotState.PORT_BUSY
        time.sleep(0.5)
        assert said.empty()
        reader.ask(GET_ATR)  # the other card has left: ours is the next in the queue
        assert said.get(timeout=SECONDS) is SlotState.INSERTED
        reader.hang_up()


def test_a_port_that_hangs_up_before_a_word_is_said_once(listener: socket.socket) -> None:
    with running(port_of(listener)) as said:
        for _ in range(REFUSALS):
            accept(listener).hang_up()
        assert said.get(timeout=SECONDS) is SlotState.HANGS_UP
        reader = accept(listener)
        reader.ask(GET_ATR)
        assert said.get(timeout=SECONDS) is SlotState.INSERTED
        reader.hang_up()


def test_a_full_queue_is_a_busy_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reader_bridge.slot.SILENCE_SECONDS", 0.2)

    def full(*_: object) -> None:
        raise TimeoutError

    monkeypatch.setattr("reader_bridge.slot.connect", full)
    with running(1) as said:
        assert said.get(timeout=SECONDS) is SlotState.PORT_BUSY


def test_stopping_cancels_what_waits(listener: socket.socket) -> None:
    person = Person(ScriptedKeys())
    with running(port_of(listener), person):
        reader = accept(listener)
        reader.send(VERIFY)
        person.wait_until_asked()
    assert person.cancelled.is_set()
    reader.hang_up()


def test_a_slot_that_is_busy_waiting_can_be_stopped(listener: socket.socket) -> None:
    with running(port_of(listener)):
        quiet = accept(listener)
        time.sleep(0.1)
    quiet.hang_up()


def test_after_a_hang_up_while_waiting_the_card_comes_back(listener: socket.socket) -> None:
    person = Person(ScriptedKeys())
    with running(port_of(listener), person) as said:
        reader = accept(listener)
        reader.send(VERIFY)
        person.wait_until_asked()
        reader.hang_up()
        again = accept(listener)
        assert again.ask(VERIFY) == OK
        again.hang_up()
        assert person.cancelled.is_set()
        states = [said.get(timeout=SECONDS) for _ in range(3)]
        assert states == [SlotState.INSERTED, SlotState.REMOVED, SlotState.INSERTED]


def test_a_bug_does_not_end_the_thread(listener: socket.socket) -> None:
    calls: queue.Queue[SlotState] = queue.Queue()

    def on_change(state: SlotState) -> None:
        calls.put(state)
        if calls.qsize() == 1:
            raise RuntimeError("a bug")

    keys = Ready(CannedKeys(Refusal.DENIED))
    with capture_logs() as logs, running(port_of(listener), keys, on_change):
        first = accept(listener)
        first.send(GET_ATR)
        second = accept(listener)
        assert second.ask(GET_ATR).startswith(b"\x3b")
        first.hang_up()
        second.hang_up()
    assert logs[0]["event"] == "slot failed"


def test_a_connection_to_itself_is_none() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionRefusedError):
            connect(probe, port_of(probe))
        port = port_of(probe)
    with socket.socket() as listener:  # without SO_REUSEADDR: nothing of it may linger
        listener.bind(("127.0.0.1", port))


@pytest.mark.parametrize("port", [-1, 0, 0x10000])
def test_what_is_no_port(port: int) -> None:
    with pytest.raises(ValueError, match="not a TCP port"):
        Slot(port, new_card().card, Ready(CannedKeys()), print)

"""vpcd's port, where a test decides when to answer."""

from __future__ import annotations

import queue
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from reader_bridge.carriers.carrier import SlotState
from reader_bridge.carriers.vpcd_port import VpcdPort, connect
from reader_bridge.slot import Slot
from support.fakes import CannedKeys, new_card
from support.vpcd_end import GET_ATR, SECONDS, Reader, Ready


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.settimeout(SECONDS)
        yield sock


def port_of(sock: socket.socket) -> int:
    port: int = sock.getsockname()[1]
    return port


@contextmanager
def running(port: int) -> Iterator[queue.Queue[SlotState]]:
    """A card that wants into the slot; what is said of it."""
    said: queue.Queue[SlotState] = queue.Queue()
    slot = Slot(VpcdPort(port), new_card().card, Ready(CannedKeys()), said.put)
    slot.start()
    try:
        yield said
    finally:
        slot.stop()


def accept(listener: socket.socket) -> Reader:
    return Reader(listener.accept()[0])


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
        # A busy computer delays most of them; Nagle delays all, once the kernel's first quick
        # acknowledgements are over.
        assert min(times[20:]) < 0.020
        reader.hang_up()


def test_a_busy_port_is_said_once_and_waited_for(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reader_bridge.carriers.vpcd_port.SILENCE_SECONDS", 0.2)
    with running(port_of(listener)) as said:
        reader = accept(listener)
        assert said.get(timeout=SECONDS) is SlotState.PORT_BUSY
        time.sleep(0.5)
        assert said.empty()
        reader.ask(GET_ATR)  # the other card has left: ours is the next in the queue
        assert said.get(timeout=SECONDS) is SlotState.INSERTED
        reader.hang_up()


def test_a_full_queue_is_a_busy_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reader_bridge.carriers.vpcd_port.SILENCE_SECONDS", 0.2)

    def full(*_: object) -> None:
        raise TimeoutError

    monkeypatch.setattr("reader_bridge.carriers.vpcd_port.connect", full)
    with running(1) as said:
        assert said.get(timeout=SECONDS) is SlotState.PORT_BUSY


def test_a_slot_that_is_busy_waiting_can_be_stopped(listener: socket.socket) -> None:
    with running(port_of(listener)):
        quiet = accept(listener)
        time.sleep(0.1)
    assert quiet.receive() == b""
    quiet.hang_up()


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
        VpcdPort(port)

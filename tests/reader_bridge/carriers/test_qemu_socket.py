"""The reader of a virtual machine, where a test decides what QEMU says."""

from __future__ import annotations

import queue
import struct
from pathlib import Path

import pytest

from reader_bridge import peer
from reader_bridge.carriers.carrier import SlotState
from reader_bridge.carriers.qemu_socket import QemuSocket
from reader_bridge.ccid import vsc
from reader_bridge.ccid.vsc import Kind, Message
from reader_bridge.slot import Slot
from support.fakes import ScriptedKeys, new_card
from support.qemu_end import QemuEnd
from support.reader_places import QemuPlace, served
from support.vpcd_end import OK, SECONDS, VERIFY, Ready


def slot(place: QemuPlace, said: queue.Queue[SlotState]) -> Slot:
    return Slot(place.carrier, new_card().card, Ready(ScriptedKeys()), said.put)


def test_a_card_that_is_stopped_is_taken_out_first(tmp_path: Path) -> None:
    """QEMU keeps the card of a connection that only ends."""
    place, said = QemuPlace(tmp_path), queue.Queue[SlotState]()
    with place.listening() as listener:
        running = slot(place, said)
        running.start()
        machine = place.accept(listener)
        assert isinstance(machine, QemuEnd)
        assert machine.ask(VERIFY) == OK
        running.stop()
        assert machine.hear() == Message(Kind.CARD_REMOVE)
        assert machine.hear() is None
        machine.hang_up()


def test_another_users_listener_gets_not_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer, "_trusted", lambda: {12345})
    place, said = QemuPlace(tmp_path), queue.Queue[SlotState]()
    with place.listening() as listener:
        running = slot(place, said)
        running.start()
        sock = listener.accept()[0]
        sock.settimeout(SECONDS)
        assert vsc.INIT.encode() not in sock.recv(100)
        assert said.get(timeout=SECONDS) is SlotState.STRANGER
        running.stop()
        sock.close()


@pytest.mark.parametrize(
    "nonsense",
    [
        Message(Kind.ATR, b"x"),
        Message(Kind.ERROR, (1).to_bytes(4)),
        Message(Kind.ERROR, b""),
        Message(Kind.APDU, b""),
    ],
)
def test_nonsense_ends_the_connection(nonsense: Message) -> None:
    with served("qemu", new_card().card, Ready(ScriptedKeys())) as (machine, running):
        assert isinstance(machine, QemuEnd)
        machine.say(nonsense)
        assert isinstance(running.wait_for_end(), ConnectionAbortedError)


@pytest.mark.parametrize(
    "nonsense",
    [struct.pack(">3I", 6, 0, vsc.LONGEST + 1), struct.pack(">3I", 77, 0, 0)],
)
def test_what_is_no_message_ends_the_connection(nonsense: bytes) -> None:
    with served("qemu", new_card().card, Ready(ScriptedKeys())) as (machine, running):
        machine.sock.sendall(nonsense)
        assert isinstance(running.wait_for_end(), ConnectionAbortedError)


def test_a_flush_is_answered() -> None:
    with served("qemu", new_card().card, Ready(ScriptedKeys())) as (machine, _):
        assert isinstance(machine, QemuEnd)
        machine.say(Message(Kind.FLUSH))
        assert machine.hear() == Message(Kind.FLUSH_COMPLETE)
        assert machine.ask(VERIFY) == OK


@pytest.mark.parametrize("place", ["", "relative.sock", "0", "65536", "-1", "²"])
def test_what_is_no_place(place: str) -> None:
    with pytest.raises(ValueError, match="neither"):
        QemuSocket(place)

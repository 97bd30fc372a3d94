"""Our USB reader over USB/IP: who may import it, and what a computer cannot do to it."""

from __future__ import annotations

import queue
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from reader_bridge import peer
from reader_bridge.carriers import usbip_server
from reader_bridge.carriers.carrier import SlotState
from reader_bridge.carriers.usbip_server import UsbipServer
from reader_bridge.ccid import usbip
from reader_bridge.ccid.descriptors import BULK_IN, BULK_OUT
from reader_bridge.ccid.messages import CardStatus, Message, Request
from reader_bridge.ccid.usb import MOST_WAITING
from reader_bridge.slot import Slot
from support import polling
from support.ccid_end import READ_BYTES, UsbipEnd
from support.fakes import ScriptedKeys, new_card
from support.reader_places import PAIRS, Served, imported
from support.vpcd_end import OK, SECONDS, SIGN, VERIFY, Person, Ready

LIST = struct.pack(">HHI", usbip.VERSION, usbip.Operation.LIST, 0)


@pytest.fixture
def server() -> Iterator[UsbipServer]:
    made = UsbipServer(slots=2, port=0)
    made.open()
    yield made
    made.close()


@contextmanager
def carded(server: UsbipServer) -> Iterator[tuple[Slot, queue.Queue[SlotState]]]:
    """A card in the first reader."""
    said: queue.Queue[SlotState] = queue.Queue()
    slot = Slot(server.slot(0), new_card().card, Ready(ScriptedKeys(b"sig")), said.put)
    slot.start()
    try:
        yield slot, said
    finally:
        slot.stop()


def called(server: UsbipServer) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", server.port))
    sock.settimeout(SECONDS)
    return sock


def ended(sock: socket.socket) -> bool:
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True


def test_it_listens_on_this_computer_alone(server: UsbipServer) -> None:
    called(server).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", server.port))  # as any other address


def test_the_readers_are_listed(server: UsbipServer) -> None:
    with called(server) as sock, sock.makefile("rb") as heard:
        sock.sendall(LIST)
        listed = heard.read()
    assert listed[:12] == struct.pack(">HHII", usbip.VERSION, 5, 0, 2)
    assert len(listed) == 12 + 2 * (312 + 4)
    assert b"1-1\0" in listed
    assert b"1-2\0" in listed


def test_the_first_importer_has_the_reader_until_it_goes(server: UsbipServer) -> None:
    with carded(server):
        first = imported(server)
        assert first.ask(VERIFY) == OK
        second = UsbipEnd(called(server))
        assert not second.imported
        second.hang_up()
        assert first.ask(SIGN).endswith(OK)
        other = imported(server, slot=1)
        other.hang_up()
        first.hang_up()
        again = imported(server)
        assert again.ask(SIGN) == b"\x69\x82"  # the passcode's state has gone with the first
        again.hang_up()


def test_another_users_program_gets_no_reader(
    server: UsbipServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer, "_trusted", lambda: {12345})
    for asked in (LIST, struct.pack(">HHI32s", usbip.VERSION, 0x8003, 0, b"1-1")):
        with called(server) as sock:
            sock.sendall(asked)
            assert ended(sock)


@pytest.mark.parametrize(
    "nonsense",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        struct.pack(">HHI", 0x0100, 0x8005, 0),
        struct.pack(">HHI", usbip.VERSION, 0x8007, 0),
    ],
)
def test_nonsense_ends_that_connection_alone(server: UsbipServer, nonsense: bytes) -> None:
    with called(server) as sock:
        sock.sendall(nonsense)
        assert ended(sock)
    reader = imported(server)
    reader.hang_up()


@pytest.mark.parametrize(
    "nonsense",
    [
        struct.pack(">12I", 9, 1, *[0] * 10),
        struct.pack(">12I", 1, 1, 1, 0, 1, 0, 0xFFFFFFFF, *[0] * 5),
        struct.pack(">12I", 1, 1, 1, 1, 2, 0, 64, 0, 7, *[0] * 3),
        struct.pack(">12I", 1, 1, 1, 0, 1, 0, 3, *[0] * 5) + b"abc",  # a message without a header
    ],
)
def test_a_computer_that_talks_nonsense_loses_the_reader(
    server: UsbipServer, nonsense: bytes
) -> None:
    with carded(server) as (_, said):
        reader = imported(server)
        reader.wait_for(True)
        reader.sock.sendall(nonsense)
        polling.until(lambda: ended(reader.sock), SECONDS)
        while said.get(timeout=SECONDS) is not SlotState.REMOVED:
            pass
        again = imported(server)
        assert again.ask(VERIFY) == OK
        again.hang_up()
        reader.hang_up()


def test_a_computer_that_fetches_nothing_loses_the_reader(server: UsbipServer) -> None:
    reader = imported(server)
    request = Message(Request.GET_SLOT_STATUS, 0, 1).encode()
    for _ in range(MOST_WAITING + 1):
        with suppress(BrokenPipeError, ConnectionResetError):
            reader.submit(BULK_OUT, len(request), data=request)
    polling.until(lambda: ended(reader.sock), SECONDS)
    reader.hang_up()


def test_a_computer_that_asks_without_end_loses_the_reader(server: UsbipServer) -> None:
    reader = imported(server)
    for _ in range(MOST_WAITING + 1):
        reader.submit(BULK_IN, READ_BYTES)
    polling.until(lambda: ended(reader.sock), SECONDS)
    reader.hang_up()


def test_strangers_who_ask_nothing_do_not_keep_others_out(
    server: UsbipServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usbip_server, "MOST_STRANGERS", 2)
    with called(server), called(server), called(server) as third:
        assert ended(third)
    polling.until(lambda: answers(server), SECONDS)


def answers(server: UsbipServer) -> bool:
    with called(server) as sock, suppress(ConnectionError):
        sock.sendall(LIST)
        return not ended(sock)
    return False


def test_a_stopped_card_leaves_and_the_reader_stays(server: UsbipServer) -> None:
    with carded(server) as (slot, _):
        reader = imported(server)
        assert reader.ask(VERIFY) == OK
        assert reader.notification() == b"\x50\x03"
        slot.stop()
        assert reader.notification() == b"\x50\x02"
        assert reader.status() is CardStatus.ABSENT
        reader.hang_up()


def test_a_card_that_waits_for_a_person_asks_for_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usbip_server, "TICK_SECONDS", 0.01)
    person = Person(ScriptedKeys(b"sig"))
    card = new_card().card
    reader, link, sock = PAIRS["usbip"](card.atr)
    assert isinstance(reader, UsbipEnd)
    running = Served(link, sock, card, person)
    reader.send(VERIFY)
    person.wait_until_asked()
    assert Message.decode(reader.read()).own[:2] == b"\x80\x01"
    person.decided.set()
    assert reader.receive() == OK
    reader.hang_up()
    assert running.wait_for_end() is None


def test_an_aborted_command_is_withdrawn_and_the_card_comes_back(server: UsbipServer) -> None:
    person = Person(ScriptedKeys(b"sig"))
    said: queue.Queue[SlotState] = queue.Queue()
    slot = Slot(server.slot(0), new_card().card, person, said.put)
    slot.start()
    reader = imported(server)
    reader.send(VERIFY)
    person.wait_until_asked()
    reader.waiting = False
    control = struct.pack("<BBHHH", 0x21, 1, 0x4200, 0, 0)
    assert reader.transfer(0x00, 0, control) is not None
    reader.write(Message(Request.ABORT, 0, 0x42).encode())
    answers = [Message.decode(reader.read())]
    while answers[-1].seq != 0x42:  # a question for more time may have been on its way
        answers.append(Message.decode(reader.read()))
    assert person.cancelled.wait(SECONDS)
    reader.wait_for(False)
    reader.wait_for(True)
    reader.power_on()
    assert reader.ask(VERIFY) == OK
    slot.stop()
    reader.hang_up()


def test_a_port_that_is_taken_is_said(server: UsbipServer) -> None:
    said: queue.Queue[SlotState] = queue.Queue()
    slot = Slot(
        UsbipServer(port=server.port).slot(0), new_card().card, Ready(ScriptedKeys()), said.put
    )
    slot.start()
    assert said.get(timeout=SECONDS) is SlotState.PORT_TAKEN
    slot.stop()

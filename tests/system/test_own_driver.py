"""Our own driver in a real pcscd, with real applications."""

from __future__ import annotations

import os
import signal
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from itertools import count as counted
from pathlib import Path

import pytest

from card_os.card import Card
from card_os.piv import CardImage, new_card
from card_os.piv.names import Algorithm
from cloudcard_tools.demo.programs import MODULES, must
from cloudcard_tools.shared.processes import Nursery
from reader_bridge import records
from reader_bridge.carriers.handler_socket import HandlerSocket
from reader_bridge.local.keys import LocalKeys
from reader_bridge.local.making import plain_card
from reader_bridge.records import Apdu, Response
from reader_bridge.slot import Slot, SlotState
from reader_bridge.tasks import CancellableKeys
from support.fakes import ScriptedKeys
from support.ifd_handler import Agent, build
from support.own_pcscd import OwnPcscd, name, running
from support.polling import until
from support.vpcd_end import OK, SECONDS, SIGN, VERIFY, Person

SLOTS = 8
SWAPS = int(os.environ.get("CLOUDCARD_SWAPS", "300"))
WAITS = float(os.environ.get("CLOUDCARD_WAITS", "0"))  # seconds for which a card waits at least
STRANGERS = int(os.environ.get("CLOUDCARD_STRANGERS", "1500"))  # connections that talk nonsense
TURNS_US = 20_000.0  # of other processes, which run on this computer too
DISCOVERY = bytes.fromhex("00CB3FFF035C017E00")
# OpenSC has sixteen places and keeps four for each reader: with its defaults the fifth is not seen.
ALL_READERS = "app default { pkcs11 { max_virtual_slots = 32; slots_per_card = 1; } }"
SELECT_PIV = bytes.fromhex("00A4040009A00000030800001000")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("ifd"))


@pytest.fixture(scope="module")
def shared(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnPcscd]:
    with running(tmp_path_factory.mktemp("own"), library, SLOTS) as own:
        yield own


@pytest.fixture
def own(shared: OwnPcscd) -> Iterator[OwnPcscd]:
    """A pcscd with eight of our readers, which are empty again at the end."""
    yield shared
    assert shared.process.poll() is None


@contextmanager
def in_slot(
    own: OwnPcscd, slot: int, card: Card, keys: CancellableKeys
) -> Iterator[list[SlotState]]:
    """A card in a slot for the time of the block; what is said of it."""
    said: list[SlotState] = []
    place = Slot(HandlerSocket(own.handler_socket, slot), card, keys, said.append)
    place.start()
    try:
        until(lambda: SlotState.INSERTED in said)
        yield said
    finally:
        place.stop()


@contextmanager
def local_card(own: OwnPcscd, slot: int) -> Iterator[list[SlotState]]:
    """A card with keys in a slot."""
    keys = LocalKeys(plain_card(Algorithm.ECC_P256, os.urandom, datetime.now(UTC)), os.urandom)
    with in_slot(own, slot, new_card(keys.image, os.urandom), keys) as said:
        yield said


def numbered(number: int) -> bytes:
    """The ATR of a card of this number, which `support.application` reads there."""
    body = bytes([0x84, 0x80, 0x01]) + number.to_bytes(4)
    check = 0
    for byte in body:
        check ^= byte
    return b"\x3b" + body + bytes([check])


class Numbered:
    """An agent whose card notes the commands that were meant for another card."""

    def __init__(self, path: Path, slot: int, number: int) -> None:
        self._agent = Agent(path, slot, numbered(number))
        assert self._agent.slot == slot
        self._number = number.to_bytes(4)
        self.answered = 0
        self.strangers: list[bytes] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def leave(self) -> None:
        # Its thread closes it: the number of a closed socket would soon be another card's.
        self._agent.sock.shutdown(socket.SHUT_RDWR)

    def done(self) -> None:
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        with self._agent.sock, suppress(OSError):
            while (record := self._agent.hear()) is not None:
                if isinstance(record, Apdu):
                    self.answered += 1
                    if record.command[5:] != self._number:
                        self.strangers.append(record.command)
                    self._agent.say(Response(record.number, OK))


def test_eight_cards_sign_in_eight_readers_while_one_waits(own: OwnPcscd) -> None:
    person = Person(ScriptedKeys(b"late"), SECONDS + WAITS)
    with ExitStack() as stack:
        for slot in range(1, SLOTS):
            stack.enter_context(local_card(own, slot))
        waiting = new_card(_image(), os.urandom)
        stack.enter_context(in_slot(own, 0, waiting, person))
        programs = [stack.enter_context(own.application()) for _ in range(SLOTS)]
        for slot, program in enumerate(programs):
            program.connect(slot)
            assert program.transmit(SELECT_PIV).endswith(OK)
        alone = programs[1].median_us(DISCOVERY, 300)

        programs[0].begin("transmit", VERIFY.hex())
        person.wait_until_asked()
        end = time.monotonic() + WAITS
        medians: list[float] = []
        while not medians or time.monotonic() < end:
            medians += [program.median_us(DISCOVERY, 300) for program in programs[1:]]
            for program in programs[1:]:
                assert program.transmit(VERIFY) == OK
                assert program.transmit(SIGN).endswith(OK)
        during = statistics.median(medians)
        person.decided.set()
        assert programs[0].end() == OK.hex()
    print(f"alone {alone:.0f} us, beside a card that waits {during:.0f} us")
    # Slower by a little where processes share the machine, or by some of their turns; a blocked
    # slot by far more.
    assert during < max(5 * alone, TURNS_US)


def _image() -> CardImage:
    keys = LocalKeys(plain_card(Algorithm.ECC_P256, os.urandom, datetime.now(UTC)), os.urandom)
    return keys.image


def test_opensc_sees_eight_cards_and_signs(own: OwnPcscd, tmp_path: Path) -> None:
    document, signature = tmp_path / "document", tmp_path / "signature"
    document.write_bytes(b"document")
    module = next(path for path in MODULES if path.exists())
    onepin = str(module.with_name("onepin-opensc-pkcs11.so"))
    configuration = tmp_path / "opensc.conf"
    configuration.write_text(ALL_READERS)
    environment = {**own.environment, "OPENSC_CONF": str(configuration)}
    with ExitStack() as stack:
        for slot in range(SLOTS):
            stack.enter_context(local_card(own, slot))
        seen = must(["pkcs11-tool", "--module", onepin, "--list-slots"], **environment)
        assert [slot for slot in range(SLOTS) if seen.count(name(slot)) != 1] == []
        signing = ("--sign", "--login", "--pin", "123456", "--id", "01", "-m", "ECDSA-SHA256")
        files = ("--input-file", str(document), "--output-file", str(signature))
        must(["pkcs11-tool", *signing, *files], **own.environment)
    assert signature.stat().st_size == 64


def test_swaps_are_all_seen_and_no_old_handle_reaches_a_new_card(own: OwnPcscd) -> None:
    """An application once kept its handle on the card of another person who came at once."""
    cards: list[Numbered] = []
    swaps: list[float] = []
    with own.watching(0) as watcher, own.hammering(0):
        cards.append(Numbered(own.handler_socket, 0, 1))
        watcher.wait_for(2)
        for number in range(2, SWAPS + 2):
            until(lambda: cards[-1].answered > 2)  # an application holds a handle on it
            begun = time.monotonic()
            cards[-1].leave()
            cards.append(Numbered(own.handler_socket, 0, number))
            swaps.append(time.monotonic() - begun)
            watcher.wait_for(2 * number)
        cards[-1].leave()
        watcher.wait_for(2 * SWAPS + 3)
        for card in cards:
            card.done()
        assert [what for what, _ in watcher.events[1:]] == ["in", "out"] * (SWAPS + 1)
    assert [card.strangers for card in cards] == [[]] * (SWAPS + 1)
    assert sorted(swaps)[SWAPS // 2] < 0.01  # far quicker than anybody looks


def test_insertion_and_removal_are_seen_at_once(own: OwnPcscd) -> None:
    insertions, removals = [], []
    with own.watching(0) as watcher:
        for turn in range(10):
            begun = time.monotonic()
            agent = Agent(own.handler_socket, 0)
            watcher.wait_for(2 * turn + 2)
            insertions.append(watcher.events[-1][1] - begun)
            begun = time.monotonic()
            agent.leave()
            watcher.wait_for(2 * turn + 3)
            removals.append(watcher.events[-1][1] - begun)
    assert sorted(insertions)[5] < 0.1  # polling would take 200 ms
    assert sorted(removals)[5] < 0.1


def test_an_agent_that_is_stopped_loses_its_card_and_its_neighbour_works(
    own: OwnPcscd, tmp_path: Path
) -> None:
    via = f"handler:{own.handler_socket}"
    arguments = ("--local", "--algorithm", "p256", "--via", via, "--slot", "0")
    with (
        Nursery(tmp_path) as nursery,
        local_card(own, 1),
        own.application() as program,
        own.watching(0) as watcher,
    ):
        agent = nursery.start_python(
            "reader", "-m", "cloudcard_tools", "reader", *arguments, "--json", "--no-hold-pcscd"
        )
        inserted = agent.wait_for_json(event="inserted", timeout=60)
        assert (inserted["via"], inserted["slot"]) == ("handler", 0)
        watcher.wait_for(2)
        program.connect(1)
        os.kill(agent.pid, signal.SIGSTOP)
        begun = time.monotonic()
        while len(watcher.events) < 3:
            assert program.transmit(SELECT_PIV).endswith(OK)
            assert time.monotonic() - begun < SECONDS
        assert watcher.events[2][0] == "out"
        assert watcher.events[2][1] - begun < records.SILENCE_SECONDS + 1
        os.kill(agent.pid, signal.SIGCONT)
        watcher.wait_for(4)


def test_pcscd_ends_soon_although_a_card_waits(library: Path, tmp_path: Path) -> None:
    person = Person(ScriptedKeys())
    with (
        running(tmp_path, library, 1) as own,
        own.application() as program,
        in_slot(own, 0, new_card(_image(), os.urandom), person) as said,
    ):
        program.connect(0)
        assert program.transmit(SELECT_PIV).endswith(OK)
        program.begin("transmit", VERIFY.hex())
        person.wait_until_asked()
        begun = time.monotonic()
        own.process.terminate()
        own.process.wait(SECONDS)
        assert time.monotonic() - begun < 3
        assert person.cancelled.wait(SECONDS)
        until(lambda: SlotState.REMOVED in said)


def test_after_a_killed_pcscd_the_card_is_back_and_a_new_application_signs(
    library: Path, tmp_path: Path
) -> None:
    """It leaves its sockets behind, and whoever used it without a word."""
    with ExitStack() as stack:
        with running(tmp_path, library, 1) as own, own.application() as program:
            stack.enter_context(local_card(own, 0))
            program.connect(0)
            program.begin("median_us", DISCOVERY.hex(), 1_000_000)
            own.process.kill()
            own.process.wait(SECONDS)
            with pytest.raises(AssertionError, match="8010"):
                program.end()
        assert own.handler_socket.is_socket()
        begun = time.monotonic()
        with running(tmp_path, library, 1) as again, again.application() as program:
            program.connect(0)
            assert program.transmit(SELECT_PIV).endswith(OK)
            assert program.transmit(VERIFY) == OK
            assert program.transmit(SIGN).endswith(OK)
            assert time.monotonic() - begun < 5
            stack.close()


def test_the_longest_command_and_response(own: OwnPcscd) -> None:
    command = bytes.fromhex("00DB3FFF00FFFF") + bytes(range(256)) * 256
    command = command[: 7 + 65535] + b"\x00\x00"
    response = os.urandom(65536) + OK
    agent = Agent(own.handler_socket, 0)
    heard: list[bytes] = []
    serving = threading.Thread(target=lambda: heard.append(agent.answer(response)))
    serving.start()
    with own.application() as program:
        program.connect(0)
        assert program.transmit(command) == response
        serving.join(SECONDS)
        assert heard == [command]
    agent.leave()


def test_what_applications_ask_about_a_reader(own: OwnPcscd) -> None:
    agent = Agent(own.handler_socket, 3)
    with own.application() as program:
        program.connect(3)
        assert program.ask("attribute", 0x10100) == b"Cloudcard".hex()
        assert program.ask("attribute", 0x10103) == b"CC03".hex()
        assert program.ask("control", 0x42000D48) == "120442330012"
        assert program.ask("control", 0x42330012) == "0a0400000100"
    agent.leave()


def test_strangers_who_talk_nonsense_disturb_nobody(own: OwnPcscd) -> None:
    enough = threading.Event()  # has been signed beside them

    def talk(seed: int) -> None:
        for count in counted():
            if count >= STRANGERS // 3 and enough.is_set():
                return
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock, suppress(OSError):
                sock.connect(str(own.handler_socket))
                if count % 2:
                    sock.send(records.Hello(numbered(count), 7).encode())
                sock.send(os.urandom((seed * count) % 70))
                sock.send(bytes([count % 12]) + os.urandom(count % 9))

    with local_card(own, 1) as said, own.application() as program:
        program.connect(1)
        assert program.transmit(SELECT_PIV).endswith(OK)
        talking = [threading.Thread(target=talk, args=(seed,)) for seed in (1, 2, 3)]
        for each in talking:
            each.start()
        signed = 0
        while any(each.is_alive() for each in talking):
            assert program.transmit(VERIFY) == OK
            assert program.transmit(SIGN).endswith(OK)
            signed += 1
            if signed > 3:
                enough.set()
        assert said == [SlotState.INSERTED]

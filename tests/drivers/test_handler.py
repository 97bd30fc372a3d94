"""The IFD handler, called as pcscd calls it, with agents at its socket; with shorter times."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reader_bridge.records import (
    ANY_SLOT,
    Apdu,
    Cancel,
    Eject,
    EjectReason,
    Hello,
    Response,
    Signal,
)
from support.ifd_handler import (
    ABSENT,
    ATR,
    FAILED,
    POWER_DOWN,
    POWER_UP,
    PRESENT,
    RESET,
    SECONDS,
    SUCCESS,
    TOO_SMALL,
    Handler,
    build,
    meanwhile,
    opened,
)
from support.polling import until

SILENCE = 1.0  # where it is what a test is about
PATIENCE = 30.0  # elsewhere: agents of tests say nothing between their answers
OTHER_ATR = bytes.fromhex("3B8080014F")
COMMAND, OK = bytes.fromhex("00A40400"), bytes.fromhex("9000")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory, PATIENCE)


@pytest.fixture(scope="module")
def hurried_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory, SILENCE)


def built(folders: pytest.TempPathFactory, silence: float) -> Path:
    return build(folders.mktemp("ifd"), f"SILENCE_MILLISECONDS={int(1000 * silence)}")


@pytest.fixture
def handler(library: Path, tmp_path: Path) -> Iterator[Handler]:
    """A handler with two slots."""
    with opened(Handler(library, tmp_path), 0, 1) as handler:
        yield handler


@pytest.fixture
def hurried(hurried_library: Path, tmp_path: Path) -> Iterator[Handler]:
    """The same, for which an agent is soon too silent."""
    with opened(Handler(hurried_library, tmp_path), 0, 1) as handler:
        yield handler


def shown(handler: Handler, slot: int = 0) -> None:
    """Wait until the slot shows a card, polled as pcscd does."""
    until(lambda: looks(handler, slot) == PRESENT)


def looks(handler: Handler, slot: int = 0) -> int:
    """A turn of pcscd's polling thread: it waits, and looks."""
    handler.await_change(0.005, slot)
    return handler.presence(slot)


def in_use(handler: Handler, slot: int = 0) -> None:
    """A card that an application has connected to."""
    shown(handler, slot)
    assert handler.power(POWER_UP, slot)[0] == SUCCESS
    assert handler.connect(slot) == SUCCESS


def test_a_card_comes_is_used_and_goes(handler: Handler) -> None:
    assert handler.presence() == ABSENT
    agent = handler.agent(0)
    shown(handler)
    assert handler.power(POWER_UP) == (SUCCESS, ATR)
    assert agent.hear() is Signal.ON
    assert handler.connect() == SUCCESS
    with meanwhile(lambda: agent.answer(b"\x01\x02" + OK)):
        assert handler.transmit(COMMAND) == (SUCCESS, b"\x01\x02" + OK)
    assert handler.power(RESET) == (SUCCESS, ATR)
    assert agent.hear() is Signal.RESET
    assert handler.power(POWER_DOWN) == (SUCCESS, b"")
    assert agent.hear() is Signal.OFF
    agent.leave()
    until(lambda: handler.presence() == ABSENT)
    assert handler.transmit(COMMAND)[0] == FAILED
    assert handler.power(POWER_UP)[0] not in (SUCCESS, ABSENT)


def test_commands_are_numbered(handler: Handler) -> None:
    agent = handler.agent(0)
    in_use(handler)
    numbers = []

    def answer() -> None:
        for _ in range(300):
            command = agent.hear_command()
            numbers.append(command.number)
            agent.say(Response(command.number, OK))

    with meanwhile(answer):
        for _ in range(300):
            assert handler.transmit(COMMAND) == (SUCCESS, OK)
    assert numbers == [(numbers[0] + i) % 256 for i in range(300)]


# The swap rule.


def test_a_swap_between_two_looks_is_shown_as_removal_and_insertion(handler: Handler) -> None:
    """Or an application would keep its handle on another person's card."""
    agent = handler.agent(0)
    in_use(handler)
    agent.leave()
    until(lambda: handler.presence() == ABSENT)
    other = handler.agent(0, OTHER_ATR)
    assert handler.presence() == ABSENT  # nobody has been shown the removal
    assert handler.presence() == ABSENT  # however often somebody looks
    assert handler.power(POWER_UP)[0] != SUCCESS
    assert handler.transmit(COMMAND)[0] == FAILED
    assert looks(handler) == ABSENT  # the polling thread is shown it
    assert handler.power(POWER_DOWN)[0] == SUCCESS  # as pcscd does then
    assert handler.presence() == ABSENT
    assert looks(handler) == PRESENT
    assert handler.power(POWER_UP) == (SUCCESS, OTHER_ATR)
    other.leave()


def test_no_command_reaches_a_new_card_before_an_application_connects(handler: Handler) -> None:
    """A thread of pcscd's that was about to send a command can come late."""
    handler.agent(0).leave()
    other = handler.agent(0, OTHER_ATR)
    shown(handler)
    assert handler.power(POWER_UP)[0] == SUCCESS
    assert handler.transmit(COMMAND)[0] == FAILED
    assert handler.connect() == SUCCESS
    with meanwhile(lambda: other.answer(OK)):
        assert handler.transmit(COMMAND) == (SUCCESS, OK)


def test_swaps_show_as_often_as_they_are_seen(handler: Handler) -> None:
    seen = []
    ending = threading.Event()

    def poll() -> None:
        before = ABSENT
        while not ending.is_set():
            handler.await_change(0.2)
            now = handler.presence()
            if now != before:
                seen.append(now)
                before = now

    with meanwhile(poll):
        for count in range(1, 101):
            agent = handler.agent(0)
            until(lambda count=count: len(seen) == 2 * count - 1)  # type: ignore[misc]
            agent.leave()
            if count % 2:  # the next card comes at once
                continue
            until(lambda count=count: len(seen) == 2 * count)  # type: ignore[misc]
        ending.set()
        handler.stop_waiting()
    assert seen == [PRESENT, ABSENT] * 100


# Waiting for events.


def test_the_polling_thread_learns_at_once(handler: Handler) -> None:
    for state, change in (
        (PRESENT, lambda: handler.agent(0)),
        (ABSENT, lambda: handler.agents[0].leave()),
    ):
        later = threading.Timer(0.05, change)
        begun = time.monotonic()
        later.start()
        handler.await_change(SECONDS)
        assert 0.03 < time.monotonic() - begun < SECONDS / 2
        assert handler.presence() == state
        later.join()


def test_a_stop_ends_one_wait(handler: Handler) -> None:
    """pcscd stops it at each last disconnect: a stop that stayed would burn a core."""
    handler.stop_waiting()
    begun = time.monotonic()
    handler.await_change(SECONDS)
    assert time.monotonic() - begun < SECONDS / 2
    begun = time.monotonic()
    handler.await_change(0.1)
    assert time.monotonic() - begun > 0.09


def test_what_agents_say_ends_no_wait(handler: Handler) -> None:
    """An early return can make pcscd switch off a card that it has just seen."""
    agent = handler.agent(0)
    shown(handler)
    with meanwhile(lambda: [agent.say(Signal.WAIT) or time.sleep(0.02) for _ in range(10)]):
        begun = time.monotonic()
        handler.await_change(0.15)
        assert time.monotonic() - begun > 0.14


# Silence and nonsense.


def test_an_agent_that_says_that_it_works_is_waited_for(hurried: Handler) -> None:
    agent = hurried.agent(0)
    in_use(hurried)

    def hesitate() -> None:
        command = agent.hear_command()
        for _ in range(30):
            time.sleep(SILENCE / 20)
            agent.say(Signal.WAIT)
        agent.say(Response(command.number, OK))

    with meanwhile(hesitate):
        assert hurried.transmit(COMMAND) == (SUCCESS, OK)


def test_an_agent_that_is_silent_while_a_command_waits_loses_its_card(hurried: Handler) -> None:
    agent = hurried.agent(0)
    in_use(hurried)
    begun = time.monotonic()
    assert hurried.transmit(COMMAND)[0] == FAILED
    assert SILENCE * 0.9 < time.monotonic() - begun < SECONDS
    assert isinstance(agent.hear_command(), Apdu)
    assert agent.hear() == Eject(EjectReason.SILENT)
    assert hurried.presence() == ABSENT


def test_an_idle_agent_that_is_silent_loses_its_card(hurried: Handler) -> None:
    agent, talks = hurried.agent(0), hurried.agent(1)
    shown(hurried)
    begun = time.monotonic()
    while hurried.presence() == PRESENT:
        talks.say(Signal.WAIT)
        time.sleep(SILENCE / 20)
        assert time.monotonic() - begun < SECONDS
    assert agent.hear() == Eject(EjectReason.SILENT)
    shown(hurried, 1)


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x00",
        b"\xff" * 30,
        b"\x05\x00",
        b"\x04",
        b"\x04\x00\x90",
        b"\x04\x77\x90\x00",  # a response to nothing
        b"\x03\x00\x90\x00",  # what only the reader says
        b"\x01" + bytes(40),
        b"\x04\x00" + bytes(65539),
    ],
)
@pytest.mark.parametrize("waits", [False, True])
def test_nonsense_ends_that_connection_alone(
    handler: Handler, nonsense: bytes, waits: bool
) -> None:
    agent, neighbour = handler.agent(0), handler.agent(1)
    in_use(handler)
    in_use(handler, 1)

    def talk() -> None:
        if waits:
            agent.hear_command()
        agent.sock.send(nonsense)

    with meanwhile(talk):
        if waits:
            assert handler.transmit(COMMAND)[0] == FAILED
    until(lambda: handler.presence() == ABSENT)
    while isinstance(said := agent.hear(), Signal):
        pass
    assert said == Eject(EjectReason.MALFORMED)
    with meanwhile(lambda: neighbour.answer(OK)):
        assert handler.transmit(COMMAND, 1) == (SUCCESS, OK)


def test_a_hang_up_frees_the_application(handler: Handler) -> None:
    agent = handler.agent(0)
    in_use(handler)
    with meanwhile(lambda: (agent.hear_command(), agent.leave())):
        begun = time.monotonic()
        assert handler.transmit(COMMAND)[0] == FAILED
        assert time.monotonic() - begun < PATIENCE / 2


def test_an_agent_takes_its_card_out(handler: Handler) -> None:
    agent = handler.agent(0)
    in_use(handler)
    with meanwhile(lambda: (agent.hear_command(), agent.say(Eject(EjectReason.REMOVED)))):
        assert handler.transmit(COMMAND)[0] == FAILED
    assert handler.presence() == ABSENT


# Sizes.


def test_the_longest_command_and_response(handler: Handler) -> None:
    command, response = bytes(range(256)) * 256 + bytes(8), bytes(65536) + OK
    agent = handler.agent(0)
    in_use(handler)
    heard = []
    with meanwhile(lambda: heard.append(agent.answer(response))):
        assert handler.transmit(command) == (SUCCESS, response)
    assert heard == [command]


@pytest.mark.parametrize("size", [0, 65545])
def test_what_is_no_command_is_not_sent(handler: Handler, size: int) -> None:
    agent = handler.agent(0)
    in_use(handler)
    assert handler.transmit(bytes(size))[0] == FAILED
    with meanwhile(lambda: agent.answer(OK)):
        assert handler.transmit(COMMAND) == (SUCCESS, OK)


def test_a_response_that_does_not_fit_leaves_the_card_in(handler: Handler) -> None:
    agent = handler.agent(0)
    in_use(handler)
    with meanwhile(lambda: agent.answer(bytes(300) + OK)):
        assert handler.transmit(COMMAND, room=258)[0] == TOO_SMALL
    with meanwhile(lambda: agent.answer(bytes(256) + OK)):
        assert handler.transmit(COMMAND, room=258) == (SUCCESS, bytes(256) + OK)


# Slots, and the socket.


def test_slots_are_given_and_refused(handler: Handler) -> None:
    first, second = handler.agent(), handler.agent()
    assert {first.slot, second.slot} == {0, 1}
    assert handler.agent().greeting == Eject(EjectReason.TAKEN)
    assert handler.agent(1).greeting == Eject(EjectReason.TAKEN)
    assert handler.agent(7).greeting == Eject(EjectReason.NO_SLOT)
    assert handler.agent(0x80).greeting == Eject(EjectReason.NO_SLOT)
    second.leave()
    assert handler.agent(ANY_SLOT).slot == second.slot


@pytest.mark.parametrize(
    ("greeting", "reason"),
    [
        (b"\x01\x02\x00\x00\x00\x00\xff" + ATR, EjectReason.VERSION),
        (b"\x01\x02", EjectReason.VERSION),
        (b"\x01\x01\x00\x00\x00\x00\xff\x3b", EjectReason.MALFORMED),
        (b"\x01\x01\x00\x00\x00\x00\xff\x3c\x00", EjectReason.MALFORMED),
        (b"\x01\x01\x00\x00\x00\x00\xff\x3b" + bytes(33), EjectReason.MALFORMED),
        (b"\x01\x01\x00\x00\x00\x00\xff\x3b" + bytes(900), EjectReason.MALFORMED),
        (b"\x05", EjectReason.MALFORMED),
        (b"\x01", EjectReason.MALFORMED),
    ],
)
def test_who_greets_badly_is_told_why(
    handler: Handler, greeting: bytes, reason: EjectReason, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Hello, "encode", lambda _self: greeting)
    assert handler.agent().greeting == Eject(reason)


def test_the_slots_end_while_a_command_waits(library: Path, tmp_path: Path) -> None:
    """pcscd closes channels although a command waits, when it ends."""
    handler = Handler(library, tmp_path)
    with opened(handler, 0):
        agent = handler.agent(0)
        in_use(handler)
        results = []
        with meanwhile(lambda: results.append(handler.transmit(COMMAND)[0])):
            number = agent.hear_command().number
            assert handler.close(0) == SUCCESS
        assert results == [FAILED]
        assert agent.hear() == Cancel(number)
        assert agent.hear() == Eject(EjectReason.CLOSING)
        assert agent.hear() is None
    assert not handler.path.exists()


def test_a_handler_starts_again_and_again(library: Path, tmp_path: Path) -> None:
    handler = Handler(library, tmp_path)
    before, starts = held(), 20
    for _ in range(starts):
        with opened(handler, 0, 1):
            agent = handler.agent(1)
            shown(handler, 1)
        agent.leave()
    # Other tests of this process may give up, or take, one or another meanwhile.
    assert all(after < has + starts for after, has in zip(held(), before, strict=True))


def held() -> tuple[int, int]:
    """How many descriptors and threads this process has."""
    return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))


def test_a_socket_of_before_is_replaced_and_nothing_else(library: Path, tmp_path: Path) -> None:
    handler = Handler(library, tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stale:
        stale.bind(str(handler.path))
    with opened(handler, 0):
        assert handler.agent().slot == 0
    handler.path.write_text("a file")
    assert handler.open(0) != SUCCESS
    assert handler.path.read_text() == "a file"
    handler.path.unlink()
    handler.path.symlink_to(tmp_path / "elsewhere.sock")
    assert handler.open(0) != SUCCESS


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777])
def test_a_folder_in_which_others_write_is_no_place(
    library: Path, tmp_path: Path, mode: int
) -> None:
    """Whoever can write there can put a socket of his own in place of ours."""
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(mode)
    assert Handler(library, folder).open(0) != SUCCESS
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    assert Handler(library, link).open(0) != SUCCESS


def test_the_folder_is_made_if_it_is_missing(library: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cloudcard"
    with opened(Handler(library, folder), 0) as handler:
        assert folder.stat().st_mode & 0o777 == 0o755
        assert handler.path.stat().st_mode & 0o777 == 0o666


@pytest.mark.parametrize("device", ["", "reader.sock", "/x/reader.sock:16", "/x/r:-1", "/x/r:1x"])
def test_a_device_that_is_none(library: Path, tmp_path: Path, device: str) -> None:
    handler = Handler(library, tmp_path)
    assert handler.create(device) != SUCCESS


# What applications ask.


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        (0x10100, b"Cloudcard"),
        (0x10101, b"Cloudcard reader"),
        (0x10102, b"\x00\x00\x00\x01"),
        (0x10103, b"CC01"),
        (0x20110, b"\x01\x00\xf1\x00"),
        (0x7A007, (65544).to_bytes(4, "little")),
        (0x90300, b"\x02"),
        (0x90301, b"\x01"),
        (0x90303, ATR),
        (0x0303, ATR),
        (0x0FAE, b"\x01"),
        (0x0FAF, b"\x10"),
        (0x0FAD, b"\x01"),
        (0x0FAC, b"\x01"),
    ],
)
def test_attributes(handler: Handler, tag: int, value: bytes) -> None:
    agent = handler.agent(1)
    shown(handler, 1)
    assert handler.attribute(tag, 1) == (SUCCESS, value)
    assert handler.attribute(tag, 1, room=0)[0] == TOO_SMALL
    agent.leave()


@pytest.mark.parametrize(("tag", "value"), [(0x90300, b"\x00"), (0x90301, b"\x00")])
def test_attributes_of_an_empty_slot(handler: Handler, tag: int, value: bytes) -> None:
    assert handler.attribute(tag) == (SUCCESS, value)
    assert handler.attribute(0x90303)[0] == ABSENT
    assert handler.attribute(0x12345)[0] not in (SUCCESS, ABSENT)


def test_features(handler: Handler) -> None:
    """Extended APDUs, and no keypad for passcodes."""
    assert handler.control(0x42000D48) == (SUCCESS, bytes.fromhex("120442330012"))
    assert handler.control(0x42330012) == (SUCCESS, bytes.fromhex("0A0400000100"))
    assert handler.control(0x42330012, room=5)[0] == TOO_SMALL
    result, answer = handler.control(0x42330006)
    assert result not in (SUCCESS, TOO_SMALL)
    assert answer == b""

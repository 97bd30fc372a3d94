"""The bench's parts: the echo, the clock, the tables. The whole runs among the system tests."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st

from cloudcard_tools.bench import apdu, command, echo, peer, timing
from cloudcard_tools.shared import pcscd

RESULT = apdu.Result(
    echo_us=100.0,
    card_us=125.0,
    naive_us=44000.0,
    core_us=7.5,
    peer_us=None,
    count=5000,
    slow_count=25,
    response_bytes=20,
    machine="a computer",
)


@contextmanager
def echoing(*, quick: bool) -> Iterator[socket.socket]:
    """The reader's end of a connection to the echo."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        card = socket.create_connection(listener.getsockname())
        reader, _ = listener.accept()
    response = b"\0\3x\x90\0"
    thread = threading.Thread(target=echo.serve, args=(card, response), kwargs={"quick": quick})
    thread.start()
    try:
        with reader:
            yield reader
    finally:
        thread.join()
        card.close()


def receive(reader: socket.socket) -> bytes:
    with reader.makefile("rb") as stream:
        return stream.read(int.from_bytes(stream.read(2)))


@pytest.mark.parametrize("quick", [True, False])
def test_the_echo_is_a_card_that_vpcd_can_use(quick: bool) -> None:
    with echoing(quick=quick) as reader:
        reader.sendall(b"\0\1\1" + b"\0\1\2" + b"\0\1\4")  # power on, reset, get ATR
        assert receive(reader) == echo.ATR
        reader.sendall(b"\0")
        reader.sendall(b"\5\0\xca\0\0")
        reader.sendall(b"\0")
        assert receive(reader) == b"x\x90\0"


def test_without_quick_acknowledgements_they_are_not_asked_for() -> None:
    class Socket:
        """A connection that ends at once."""

        asked = 0

        def setsockopt(self, *_: int) -> None:
            self.asked += 1

        def recv(self, _: int) -> bytes:
            return b""

    quick, naive = Socket(), Socket()
    echo.serve(quick, b"", quick=True)
    echo.serve(naive, b"", quick=False)
    assert (quick.asked, naive.asked) == (1, 0)


@given(st.lists(st.integers(0, 10**9), min_size=1))
@example([4025])
def test_the_median_is_one_of_the_middle(durations: list[int]) -> None:
    rounded = 0.005 + 1e-6  # to two decimals, which a binary number has not exactly
    assert min(durations) / 1000 - rounded <= timing.median_us(durations)
    assert timing.median_us(durations) <= max(durations) / 1000 + rounded


def test_every_call_is_timed() -> None:
    calls: list[int] = []
    assert len(timing.sample(lambda: calls.append(1), 7)) == len(calls) == 7


def test_the_machine_is_one_line() -> None:
    assert "Python 3." in timing.machine()
    assert "\n" not in timing.machine()


def test_the_core_is_far_quicker_than_the_goal() -> None:
    # Other tests run beside this one and can only make it slower: the quickest try counts.
    assert 0 < min(apdu.core(100) for _ in range(10)) <= apdu.CORE_GOAL_US


def test_another_answer_than_success_is_no_measurement() -> None:
    class Refusing(apdu.pcsc.Card):
        def __init__(self) -> None:
            pass

        def transmit(self, command: bytes) -> bytes:
            del command
            return b"\x6a\x82"

    with pytest.raises(click.ClickException, match="6A82, not 9000"):
        apdu.response_size(Refusing())


def test_the_emulators_package_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(peer, "PROGRAM", tmp_path / "vicc")
    with pytest.raises(click.ClickException, match="apt-get install vsmartcard-vpicc"):
        peer.command(35964)


@pytest.mark.parametrize(
    ("arguments", "with_peer"), [([], False), (["--peer"], True), (["--json"], False)]
)
def test_the_command(
    arguments: list[str], with_peer: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, bool]] = []

    def measure(_: Path, count: int, *, with_peer: bool, **__: object) -> apdu.Result:
        asked.append((count, with_peer))
        return RESULT

    monkeypatch.setattr(apdu, "measure", measure)
    monkeypatch.setattr(pcscd, "available", lambda *_: nullcontext())
    done = CliRunner().invoke(command.bench, ["apdu", "--count", "10", *arguments])
    assert (done.exit_code, asked) == (0, [(10, with_peer)])
    if "--json" in arguments:
        shown = json.loads(done.stdout)
        assert (shown["ratio"], shown["core_us"]) == (1.25, 7.5)
        assert "peer_us" not in shown
    else:
        assert "<= 1.3" in done.stdout
        assert "a computer" in done.stdout


def test_a_count_of_nothing_is_wrong_usage() -> None:
    assert CliRunner().invoke(command.bench, ["apdu", "--count", "0"]).exit_code == 2

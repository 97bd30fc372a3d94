"""The supervisor with small programs: those that fail, hang, talk and do not end."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from cloud_keystore.config import Address
from cloud_keystore.run.ports import CannotListen
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.serve import supervisor
from cloudcard_tools.serve.holding import holding
from support import supervised
from support.supervised import lasts, supervise


def test_all_serve_and_all_end(tmp_path: Path) -> None:
    assert supervise(tmp_path, [lasts] * 3) == ""
    assert len(list(tmp_path.glob("told *"))) == 3  # asked to end, not killed


@pytest.mark.parametrize("program", [supervised.fails, supervised.breaks])
def test_a_process_that_does_not_start_is_an_error_and_not_an_endless_try(
    program: supervised.Program, tmp_path: Path
) -> None:
    why = supervise(tmp_path, [lasts, program], ends=False)
    assert why == "worker 1 does not start: its own message says why"
    assert not (tmp_path / "ready").exists()


def test_a_process_that_says_nothing_does_not_start(tmp_path: Path) -> None:
    why = supervise(tmp_path, [supervised.is_silent], ends=False, START_SECONDS=0.2)
    assert "worker 0 does not start" in why
    assert not (tmp_path / "ready").exists()


def test_a_process_that_ends_is_started_again_but_not_for_ever(tmp_path: Path) -> None:
    programs = [supervised.ends_at_once, lasts]
    why = supervise(tmp_path, programs, ends=False, FIRST_PAUSE=0.01)
    assert "worker 0 ended 5 times in a row" in why
    assert (tmp_path / "starts").read_text() == "x" * supervisor.MOST_FAILURES


def test_a_steady_process_has_its_ends_forgotten(tmp_path: Path) -> None:
    most = supervisor.MOST_FAILURES + 2
    program = partial(supervised.ends_often, most)
    constants = {"STEADY_SECONDS": 0.0, "FIRST_PAUSE": 0.0}
    assert supervise(tmp_path, [program], ends=False, **constants) == ""
    assert (tmp_path / "starts").read_text() == "x" * most


def test_a_process_that_does_not_end_is_killed(tmp_path: Path) -> None:
    began = time.monotonic()
    assert supervise(tmp_path, [supervised.is_deaf, lasts], STOP_SECONDS=0.2) == ""
    assert 0.2 <= time.monotonic() - began < supervised.SECONDS


@pytest.mark.parametrize("hang", [supervised.stops, supervised.spins])
def test_a_process_that_hangs_is_killed_and_one_that_says_that_it_lives_is_not(
    hang: Callable[[], None], tmp_path: Path
) -> None:
    """One that stops within a transaction of SQLite would keep the others waiting for ever."""
    programs = [partial(supervised.hangs_once, hang)] * 2
    assert supervise(tmp_path, programs, ends=False, MOST_SILENT=2.0) == ""
    assert sorted((tmp_path / "starts").read_text()) == ["0", "0", "1"]


def test_a_process_that_waits_for_a_processor_does_not_hang(tmp_path: Path) -> None:
    """On a busy computer one after the other was killed, and none got anything done."""
    constants = {"ALIVE_SECONDS": 0.1, "MOST_SILENT": 0.5}
    assert supervise(tmp_path, [supervised.starves], ends=False, **constants) == ""
    assert (tmp_path / "starts").read_text() == "x"


def test_a_process_that_ends_in_order_is_not_killed_for_its_silence(tmp_path: Path) -> None:
    """It was killed after three seconds, while it still wrote its last results."""
    assert supervise(tmp_path, [supervised.ends_slowly], ends=False, MOST_SILENT=0.3) == ""
    assert (tmp_path / "ended in order").exists()
    assert (tmp_path / "starts").read_text() == "xx"


def test_what_one_says_all_others_hear(tmp_path: Path) -> None:
    assert supervise(tmp_path, [partial(supervised.talks, 3)] * 3, ends=False) == ""
    for number in range(3):
        others = " ".join(f"topic-of-{other}" for other in range(3) if other != number)
        assert (tmp_path / f"heard {number}").read_text() == others


def test_ports_are_asked_for_and_held() -> None:
    (port,) = free_ports(1)
    address = Address("127.0.0.1", port)
    with (
        socket.create_server((address.host, port), reuse_port=True),
        pytest.raises(CannotListen, match=str(port)),
        holding([address]),
    ):
        pass
    with holding([address]):
        with pytest.raises(OSError, match="in use"), socket.socket() as rival:
            rival.bind((address.host, port))
        socket.create_server((address.host, port), reuse_port=True).close()  # what a worker does
    socket.create_server((address.host, port)).close()


def test_a_name_that_stands_for_several_addresses_is_held_at_those_there_are() -> None:
    (port,) = free_ports(1)
    with holding([Address("localhost", port)]):
        pass
    with pytest.raises(CannotListen), holding([Address("no.such.name.invalid", port)]):
        pass

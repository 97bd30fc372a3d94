"""The held connection, against a stand-in for pcscd's socket."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from reader_bridge.pcscd import Hold

SECONDS = 60.0

if sys.platform == "win32":
    pytest.skip("no such socket on Windows", allow_module_level=True)


@pytest.fixture
def place() -> Iterator[Path]:
    """A path short enough for a socket's name."""
    with TemporaryDirectory() as folder:
        yield Path(folder) / "pcscd.comm"


def listen(place: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(place))
    listener.listen()
    listener.settimeout(SECONDS)
    return listener


def called(listener: socket.socket) -> bool:
    """Whether somebody connects; it ends at once."""
    try:
        listener.accept()[0].close()
    except TimeoutError:
        return False
    return True


def test_it_is_held_once_and_let_go(place: Path) -> None:
    hold = Hold(place)
    with listen(place) as listener:
        hold.renew()
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(SECONDS)
            hold.renew()
            listener.settimeout(0)
            with pytest.raises(BlockingIOError):
                listener.accept()
            hold.release()
            assert connection.recv(1) == b""


def test_a_pcscd_that_ended_is_called_again(place: Path) -> None:
    hold = Hold(place)
    with listen(place) as listener:
        hold.renew()
        assert called(listener)
        hold.renew()
        assert called(listener)
        hold.release()


def test_the_first_place_that_answers_is_taken(place: Path) -> None:
    hold = Hold(place.with_name("missing"), place)
    with listen(place) as listener:
        hold.renew()
        assert called(listener)
        hold.release()


def test_without_pcscd_nothing_happens(place: Path) -> None:
    hold = Hold(place)
    hold.renew()
    hold.release()
    hold.release()
    with listen(place) as listener:  # and once it is there it is called as ever
        hold.renew()
        assert called(listener)
        hold.release()

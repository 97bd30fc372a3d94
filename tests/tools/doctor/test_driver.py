"""Our driver and its socket: real drivers, real strangers, and what is said of them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cloudcard_tools.bench.own_pcscd import slot
from cloudcard_tools.doctor import driver
from cloudcard_tools.doctor.checks import Level
from cloudcard_tools.doctor.places import Places
from reader_bridge.records import EjectReason
from support.handler_end import refuse
from support.ifd_handler import ABSENT, Handler
from support.strangers import as_nobody, holding

VPCD = "FRIENDLYNAME vpcd\nDEVICENAME /dev/null:0x8C7B\nLIBPATH /usr/lib/libifdvpcd.so\n"


def configure(places: Places, text: str) -> None:
    places.readers.mkdir()
    (places.readers / "readers").write_text(text)


def listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(path))
    listener.listen()
    return listener


@contextmanager
def answering(path: Path, answer: Callable[[socket.socket], object]) -> Iterator[None]:
    """A program that treats each connection to a socket so."""
    with listen(path) as listener:

        def run() -> None:
            try:
                while True:
                    answer(listener.accept()[0])
            except OSError:
                return

        thread = threading.Thread(target=run)
        thread.start()
        yield
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_driver_is_installed_or_not(places: Places, library: Path) -> None:
    assert driver.installed(places).level is Level.FAILED
    configure(places, VPCD)
    assert driver.installed(places).cause == "not installed; cards go through vpcd"
    file, there = places.readers / "readers", slot(places.handler.parent, library, 0)
    file.write_text(there + slot(places.handler.parent, library, 1))
    assert driver.installed(places).cause == f"2 slots, {library}"
    gone = library.with_name("libifdcloudcard.so.gone")
    file.write_text(slot(places.handler.parent, gone, 0))
    finding = driver.installed(places)
    assert (finding.level, finding.cause) == (Level.FAILED, f"{gone} does not exist")
    file.write_text("".join(f"#{line}\n" for line in there.splitlines()))
    assert driver.installed(places).level is Level.FAILED


def test_the_real_driver_answers_and_shows_no_card(places: Places, handler: Handler) -> None:
    """It runs in this process, which is not called pcscd."""
    finding = driver.answering(places)
    assert finding.level is Level.WARNING
    assert finding.cause.endswith(f" listens at {places.handler}, not pcscd")
    assert handler.presence(0) == handler.presence(1) == ABSENT


@pytest.mark.usefixtures("handler")
def test_a_user_whose_cards_the_driver_does_not_take(places: Places) -> None:
    said = as_nobody(lambda: "{0.level} {0.cause} {0.fix}".format(driver.answering(places)))
    assert said.startswith("Level.FAILED the driver takes no cards from this user")
    assert "--groups cloudcard" in said


def test_a_stranger_at_the_socket(places: Places) -> None:
    places.handler.parent.chmod(0o777)
    with holding(lambda: listen(places.handler)):
        writable = driver.answering(places)
        assert f"other users can write in {places.handler.parent}" in writable.cause
        places.handler.parent.chmod(0o755)
        finding = driver.answering(places)
    assert (finding.level, "is not pcscd" in finding.cause) == (Level.FAILED, True)
    assert f"ss -lxp src {places.handler}" in finding.fix


def test_a_driver_of_another_release(places: Places) -> None:
    with answering(places.handler, lambda sock: refuse(sock, EjectReason.VERSION)):
        finding = driver.answering(places)
    assert (finding.level, "another version" in finding.cause) == (Level.FAILED, True)


def test_what_does_not_speak_the_protocol(places: Places) -> None:
    def nonsense(sock: socket.socket) -> None:
        sock.sendall(b"\xff\xff")
        sock.close()

    with answering(places.handler, nonsense):
        finding = driver.answering(places)
    assert (finding.level, "does not speak" in finding.cause) == (Level.FAILED, True)


def test_a_socket_that_was_left_behind(places: Places) -> None:
    listen(places.handler).close()
    finding = driver.answering(places)
    assert finding.level is Level.FAILED
    assert finding.cause == f"nobody listens at {places.handler}"


def test_without_our_driver_no_socket_is_missed(places: Places, library: Path) -> None:
    assert driver.answering(places).level is Level.OK
    configure(places, slot(places.handler.parent, library, 0))
    assert driver.answering(places).cause == f"nobody listens at {places.handler}"

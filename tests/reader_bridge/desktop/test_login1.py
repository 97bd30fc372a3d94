"""What logind tells, on a bus of its own, and what it means."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from reader_bridge.desktop.events import Event
from reader_bridge.desktop.login1 import Logind
from reader_bridge.desktop.screensavers import ScreenSavers
from support.logind import LOGIND, MANAGER, SESSION, Desktop, desktop
from support.polling import until

SECONDS = 60.0
ADA, BOB = 1001, 1002


@dataclass
class Heard:
    """Ada's desktop, and what was told of it."""

    here: Desktop
    path: str
    events: queue.Queue[Event] = field(default_factory=queue.Queue)

    def next(self) -> Event:
        return self.events.get(timeout=SECONDS)

    def signal(self, name: str, signature: str, *body: object) -> None:
        self.here.emit(MANAGER, f"{LOGIND}.Manager", name, signature, *body)


@pytest.fixture
def heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Heard]:
    stop = threading.Event()
    with desktop(tmp_path) as here:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", here.address)
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", here.address)
        found = Heard(here, here.log_in(ADA))
        here.log_in(BOB, "c2")
        logind = Logind(ADA, found.events.put, stop)
        threads = [threading.Thread(target=logind.run, daemon=True)]
        threads.append(
            threading.Thread(target=ScreenSavers(found.events.put, stop).run, daemon=True)
        )
        for each in threads:
            each.start()
        until(lambda: found.path in logind.sessions.own, SECONDS)
        try:
            yield found
        finally:
            stop.set()
            for each in threads:
                each.join(SECONDS)


def test_who_locks_leaves_and_comes_back(heard: Heard) -> None:
    heard.here.emit(heard.path, SESSION, "Lock", "")
    assert heard.next() is Event.LOCKED
    heard.here.change(heard.path, LockedHint=True)
    assert heard.next() is Event.LOCKED
    heard.here.change(heard.path, LockedHint=False)
    assert heard.next() is Event.HERE
    heard.here.change(heard.path, Active=False)
    assert heard.next() is Event.AWAY
    heard.here.change(heard.path, Active=True)
    assert heard.next() is Event.HERE
    heard.here.change(heard.path, IdleHint=True)
    assert heard.next() is Event.IDLE


def test_a_computer_that_is_about_to_sleep_or_shut_down(heard: Heard) -> None:
    heard.signal("PrepareForSleep", "b", True)
    assert heard.next() is Event.SLEEPS
    heard.signal("PrepareForSleep", "b", False)
    heard.signal("PrepareForShutdown", "b", True)
    assert heard.next() is Event.LOGGED_OFF


def test_others_sessions_do_not_count(heard: Heard) -> None:
    other = f"{MANAGER}/session/c2"
    heard.here.emit(other, SESSION, "Lock", "")
    heard.here.change(other, LockedHint=True)
    heard.here.emit(heard.path, SESSION, "Lock", "")  # the first that is told
    assert heard.next() is Event.LOCKED
    assert heard.events.empty()


def test_a_session_that_ends(heard: Heard) -> None:
    heard.signal("SessionRemoved", "so", "c1", heard.path)
    assert heard.next() is Event.LOGGED_OFF


@pytest.mark.parametrize("interface", ["org.freedesktop.ScreenSaver", "org.gnome.ScreenSaver"])
def test_a_desktop_that_locks_by_itself(heard: Heard, interface: str) -> None:
    def tell(active: bool) -> None:
        heard.here.emit(MANAGER, interface, "ActiveChanged", "b", active)

    # The listener may not have asked for the signal yet.
    until(lambda: tell(True) is None and not heard.events.empty(), SECONDS)
    assert heard.next() is Event.LOCKED
    tell(False)
    until(lambda: heard.next() is Event.HERE, SECONDS)

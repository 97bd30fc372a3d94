"""What logind tells of this user's sessions, and of a computer that is about to sleep."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jeepney import DBusAddress

from reader_bridge.desktop.bus import GONE, PROPERTIES, Bus, Signal, kept, opened, plain
from reader_bridge.desktop.events import Event, Tell
from reader_bridge.desktop.sessions import Sessions

if TYPE_CHECKING:
    from jeepney.fds import FileDescriptor

NAME = "org.freedesktop.login1"
MANAGER = DBusAddress("/org/freedesktop/login1", NAME, "org.freedesktop.login1.Manager")
SESSION = "org.freedesktop.login1.Session"
SESSIONS_BELOW = "/org/freedesktop/login1/session"
TICK_SECONDS = 0.5  # in which a stop is noticed
AGAIN_SECONDS = 2.0  # until the bus is looked for again


@dataclass(slots=True)
class Logind:
    """Listens, on the thread that calls `run`, until `stop` is set."""

    uid: int
    tell: Tell
    stop: threading.Event
    sessions: Sessions = field(default_factory=Sessions)
    _inhibitor: FileDescriptor | None = None

    def run(self) -> None:
        """Listen; begin again if logind or the bus is gone for a while."""
        while not self.stop.is_set():
            try:
                with opened("SYSTEM", enable_fds=True) as bus:
                    self._listen(bus)
            except GONE:
                self._release()
                self.stop.wait(AGAIN_SECONDS)
        self._release()

    def _listen(self, bus: Bus) -> None:
        bus.listen(sender=NAME, interface=MANAGER.interface or "")
        bus.listen(sender=NAME, interface=SESSION)
        bus.listen(sender=NAME, interface=PROPERTIES)
        self._inhibit(bus)
        self.sessions.own.clear()
        (found,) = bus.call(MANAGER, "ListSessions")
        if isinstance(found, list):
            for _, uid, *_, path in found:
                if uid == self.uid:
                    self._begin(bus, path)
        while not self.stop.is_set():
            for signal in bus.signals(TICK_SECONDS):
                self._take(bus, signal)

    def _begin(self, bus: Bus, path: str) -> None:
        properties = bus.properties(DBusAddress(path, NAME, SESSION))
        self._say(self.sessions.begin(path, properties))

    def _take(self, bus: Bus, signal: Signal) -> None:
        match signal.member, signal.body:
            case "PropertiesChanged", (str(interface), changed, _) if interface == SESSION:
                self._say(self.sessions.change(signal.path, plain(changed)))
            case "Lock", _:
                self._say(self.sessions.lock(signal.path))
            case "SessionNew", (_, str(path)):
                if self._is_own(bus, path):
                    self._begin(bus, path)
            case "SessionRemoved", (_, str(path)):
                self._say(self.sessions.end(path))
            case "PrepareForShutdown", (True,):
                self._say(Event.LOGGED_OFF)
            case "PrepareForSleep", (True,):
                self._say(Event.SLEEPS)
                self._release()
            case "PrepareForSleep", (False,):
                self._inhibit(bus)

    def _is_own(self, bus: Bus, path: str) -> bool:
        match bus.properties(DBusAddress(path, NAME, SESSION)).get("User"):
            case (int(uid), _):
                return uid == self.uid
        return False

    def _inhibit(self, bus: Bus) -> None:
        """Have the computer wait with its sleep until the card is out."""
        self._release()
        why = ("sleep", "cloudcard", "The card is taken out of the reader.", "delay")
        self._inhibitor = kept(bus.call(MANAGER, "Inhibit", "ssss", *why))

    def _release(self) -> None:
        if self._inhibitor is not None:
            self._inhibitor.close()
            self._inhibitor = None

    def _say(self, event: Event | None) -> None:
        if event is not None:
            self.tell(event)

"""What desktops tell when they lock or blank the screen by themselves."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from reader_bridge.desktop.bus import GONE, opened
from reader_bridge.desktop.events import Event, Tell

INTERFACES = ("org.freedesktop.ScreenSaver", "org.gnome.ScreenSaver")
TICK_SECONDS = 0.5
AGAIN_SECONDS = 5.0  # a session's bus can come later


@dataclass(frozen=True, slots=True)
class ScreenSavers:
    """Listens, on the thread that calls `run`, until `stop` is set."""

    tell: Tell
    stop: threading.Event

    def run(self) -> None:
        """Listen; look for the bus again if there is none."""
        while not self.stop.is_set():
            try:
                with opened("SESSION") as bus:
                    for interface in INTERFACES:
                        bus.listen(interface=interface, member="ActiveChanged")
                    while not self.stop.is_set():
                        for signal in bus.signals(TICK_SECONDS):
                            if signal.interface in INTERFACES and len(signal.body) == 1:
                                self.tell(Event.LOCKED if signal.body[0] else Event.HERE)
            except GONE:
                self.stop.wait(AGAIN_SECONDS)

"""Watches the desktop during a block."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from reader_bridge.desktop.events import Tell
from reader_bridge.desktop.login1 import Logind
from reader_bridge.desktop.screensavers import ScreenSavers


@contextmanager
def watched(uid: int, tell: Tell) -> Iterator[None]:
    """Tell of a user's leaving and coming back, from threads of its own."""
    stop = threading.Event()
    for name, run in (
        ("logind", Logind(uid, tell, stop).run),
        ("screen saver", ScreenSavers(tell, stop).run),
    ):
        threading.Thread(target=run, name=name, daemon=True).start()
    try:
        yield
    finally:
        stop.set()

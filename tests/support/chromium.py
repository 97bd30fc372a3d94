"""Chromium in a window, and the person before it, who types into its dialogs.

The dialogs for a card's PIN and for the choice of a certificate are the browser's own: no page and
no browser automation reaches them, and a headless Chromium does not show them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import ImageGrab
from playwright.sync_api import Page, sync_playwright

from cloudcard_tools.shared.processes import Nursery

PIN_DIALOG = "Unlock Security Device"  # the title of its window
PAGE = (500, 500)  # a place inside the page
INSIDE = (20, 160, 960, 660)  # of the page: left, top, right, bottom
LOOK_SECONDS = 0.2  # between two looks at the screen
ANSWERED_SECONDS = 2.0  # for which a choice that was made may stay on the screen
FLAGS = (
    *("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--window-position=0,0"),
)


@dataclass(frozen=True, slots=True)
class Screen:
    """A virtual screen with a keyboard."""

    environment: Mapping[str, str]

    def shows(self, title: str) -> bool:
        """Whether a window has that title."""
        return self._xdotool("search", "--onlyvisible", "--name", title)

    def is_blank(self) -> bool:
        """Whether the page is empty, and no dialog is drawn over it."""
        picture = ImageGrab.grab(xdisplay=self.environment["DISPLAY"])
        return picture.crop(INSIDE).getcolors(1) is not None

    def turn_to(self, title: str) -> None:
        """Give the window of that title the focus, and wait until it has it."""
        self._xdotool("search", "--onlyvisible", "--name", title, "windowfocus", "--sync")

    def type(self, text: str) -> None:
        """Type into the window that has the focus, then Enter."""
        self._xdotool("type", text)
        self._xdotool("key", "Return")

    def point(self, x: int, y: int) -> None:
        """Click at that place."""
        self._xdotool("mousemove", str(x), str(y), "click", "1")

    def _xdotool(self, *arguments: str) -> bool:
        command = ["xdotool", *arguments]
        done = subprocess.run(
            command, env={**os.environ, **self.environment}, capture_output=True, timeout=60
        )
        return done.returncode == 0


class Person:
    """Types the PIN when asked, and takes the first certificate offered.

    With OpenSC 0.23, Chromium asks for the PIN before it offers certificates; with 0.26, after it.
    """

    def __init__(self, screen: Screen, pin: str) -> None:
        self.asked = 0
        """How often the PIN was asked for."""
        self._screen = screen
        self._pin = pin
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Person:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(LOOK_SECONDS):
            # In this order: a dialog that is drawn has had its title before. An Enter that is meant
            # for the choice, which has no window of its own, must not meet the PIN's as it comes.
            blank = self._screen.is_blank()
            if self._screen.shows(PIN_DIALOG):
                self.asked += 1
                self._screen.turn_to(PIN_DIALOG)
                self._screen.type(self._pin)
                while self._screen.shows(PIN_DIALOG) and not self._done.wait(LOOK_SECONDS):
                    pass
            elif not blank:
                self._screen.type("")
                self._wait_for_the_choice_to_go()

    def _wait_for_the_choice_to_go(self) -> None:
        end = time.monotonic() + ANSWERED_SECONDS
        while not (self._screen.is_blank() or self._screen.shows(PIN_DIALOG)):
            if time.monotonic() > end or self._done.wait(LOOK_SECONDS):
                return


@contextmanager
def opened(nursery: Nursery, home: Path) -> Iterator[tuple[Page, Screen]]:
    """A page of a browser whose user has that home folder; NSS's database is in `.pki/nssdb`."""
    screen = nursery.start(
        *("screen", "Xvfb", "-displayfd", "1", "-nolisten", "tcp"),
        *("-screen", "0", "1000x700x24"),
    )
    environment = {"DISPLAY": ":" + screen.wait_for(r"^\d+$")[0], "HOME": str(home)}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch_persistent_context(
            str(home / "profile"),
            executable_path=shutil.which("chromium"),
            headless=False,
            args=list(FLAGS),
            env={**os.environ, **environment},
            no_viewport=True,
        )
        try:
            seen = Screen(environment)
            # Else the address line has the focus, and each Enter of a person begins anew.
            seen.point(*PAGE)
            yield browser.pages[0], seen
        finally:
            browser.close()

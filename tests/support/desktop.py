"""A desktop on a virtual screen: a session bus, and what screen readers use to look at windows."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import zxingcpp
from PIL import Image, ImageGrab

from cloudcard_tools.shared.processes import Nursery
from support.polling import until

SYSTEM_PYTHON = "/usr/bin/python3"
NOTICING = Path(__file__).with_name("noticing.py")
LOOKING = Path(__file__).with_name("looking.py")
SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Seen:
    """Something in a window, as a screen reader knows it."""

    role: str
    name: str
    description: str
    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Desktop:
    """A screen, its session bus, and its keyboard."""

    environment: Mapping[str, str]

    def seen(self) -> list[Seen]:
        """What screen readers can say of all windows now."""
        return [
            Seen(each["role"], each["name"], each["description"], tuple(each["actions"]))
            for each in json.loads(self._look("see"))
        ]

    def named(self, name: str) -> Seen | None:
        """What has that name; None if nothing has it."""
        return next((each for each in self.seen() if each.name == name), None)

    def wait_for(self, name: str) -> Seen:
        """What has that name, as soon as it is there."""
        until(lambda: self.named(name) is not None, SECONDS)
        found = self.named(name)
        assert found is not None
        return found

    def press(self, name: str) -> None:
        """Press a button as a screen reader does."""
        assert self._look("press", name).strip() == "true"

    def key(self, name: str) -> None:
        """Press a key."""
        subprocess.run(["xdotool", "key", name], env={**self.environment}, check=True, timeout=30)

    def picture(self) -> Image.Image:
        """The screen."""
        return ImageGrab.grab(xdisplay=self.environment["DISPLAY"])

    def scan(self) -> list[str]:
        """The texts of the QR codes on the screen."""
        return [each.text for each in zxingcpp.read_barcodes(self.picture())]

    def is_empty(self) -> bool:
        """Whether no window is on the screen."""
        return self.picture().getbbox() is None

    def _look(self, *arguments: str) -> str:
        return subprocess.run(
            [SYSTEM_PYTHON, "-I", "-B", LOOKING, *arguments],
            env={**self.environment},
            check=True,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        ).stdout


@contextmanager
def opened(nursery: Nursery, home: Path, size: str = "1024x768") -> Iterator[Desktop]:
    """A desktop without programs, for the time of the block."""
    screen = nursery.start(
        *("screen", "Xvfb", "-displayfd", "1", "-nolisten", "tcp", "-screen", "0", f"{size}x24"),
    )
    display = ":" + screen.wait_for(r"^\d+$", SECONDS)[0]
    runtime = home / "runtime"
    runtime.mkdir(mode=0o700)
    own = {
        "DISPLAY": display,
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(runtime),
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "GSETTINGS_BACKEND": "memory",
        "GTK_THEME": "Adwaita",
    }
    command = ("dbus-daemon", "--session", "--nofork", "--print-address=1")
    bus = nursery.start("bus", *command, **own)
    address = bus.wait_for(r"^unix:.*", SECONDS)[0]
    try:
        yield Desktop({**own, "DBUS_SESSION_BUS_ADDRESS": address, "WAYLAND_DISPLAY": ""})
    finally:
        for name in ("bus", "screen"):
            with suppress(KeyError):
                nursery.stop(name)

"""What systemd is told of a service: sd_notify(3)."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

SOCKET = "NOTIFY_SOCKET"
MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Notifier:
    """Tells the service manager; does nothing where there is none."""

    address: str = ""
    watchdog_seconds: float = (
        0.0  # without a sign of life for so long it is started again; 0: never
    )

    @classmethod
    def of(cls, environment: Mapping[str, str], pid: int) -> Notifier:
        """The manager that an environment names."""
        expected = environment.get("WATCHDOG_PID", str(pid)) == str(pid)
        microseconds = environment.get("WATCHDOG_USEC", "0") if expected else "0"
        seconds = int(microseconds) / MICROSECONDS if microseconds.isdigit() else 0.0
        return cls(environment.get(SOCKET, ""), seconds)

    def ready(self) -> None:
        """The service has started."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """A line for people, as `systemctl status` shows it."""
        self._send(f"STATUS={text}".replace("\n", " "))

    def alive(self) -> None:
        """The service goes on."""
        if self.watchdog_seconds:
            self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """The service is about to end."""
        self._send("STOPPING=1")

    def _send(self, text: str) -> None:
        if not self.address:
            return
        # A name in the abstract namespace begins with @.
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(text.encode(), address)


def of_this_process() -> Notifier:
    """The manager of this process."""
    return Notifier.of(os.environ, os.getpid())

"""A private D-Bus with a logind that does as tests say: dbus-daemon and python-dbusmock."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jeepney import DBusAddress, new_method_call
from jeepney.io.blocking import open_dbus_connection
from jeepney.wrappers import unwrap_msg

from support.polling import until

SECONDS = 60.0
# Debian has python-dbusmock for its own Python alone.
SYSTEM_PYTHON = "/usr/bin/python3"
LOGIND = "org.freedesktop.login1"
MANAGER = "/org/freedesktop/login1"
MOCK = "org.freedesktop.DBus.Mock"
SESSION = f"{LOGIND}.Session"
CONFIGURATION = """<busconfig>
  <type>session</type>
  <listen>unix:path={socket}</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
  </policy>
</busconfig>
"""


@dataclass(frozen=True, slots=True)
class Desktop:
    """What happens at the computer."""

    address: str

    def call(self, path: str, interface: str, method: str, signature: str, *body: object) -> object:
        with open_dbus_connection(self.address) as connection:
            message = new_method_call(
                DBusAddress(path, LOGIND, interface), method, signature or None, body
            )
            return unwrap_msg(connection.send_and_get_reply(message, timeout=SECONDS))

    def log_in(self, uid: int, name: str = "c1") -> str:
        """A session at the screen; returns its path."""
        (path,) = self.call(MANAGER, MOCK, "AddSession", "ssusb", name, "seat0", uid, "ada", True)  # type: ignore[misc]
        return str(path)

    def change(self, path: str, **properties: bool) -> None:
        """Change properties of a session."""
        changed = {name: ("b", value) for name, value in properties.items()}
        self.call(path, MOCK, "UpdateProperties", "sa{sv}", SESSION, changed)

    def emit(self, path: str, interface: str, name: str, signature: str, *body: object) -> None:
        """Have a signal sent."""
        values = [(kind, value) for kind, value in zip(signature, body, strict=True)]
        self.call(path, MOCK, "EmitSignal", "sssav", interface, name, signature, values)

    def lock(self, path: str) -> bool:
        """Have a session asked to lock its screen, as `loginctl lock-session` does. Nobody says
        that it has.
        """
        self.emit(path, SESSION, "Lock", "")
        return False

    def is_there(self) -> bool:
        try:
            self.call(MANAGER, f"{LOGIND}.Manager", "ListSessions", "")
        except Exception:  # whatever a bus that starts may answer
            return False
        return True


@contextmanager
def desktop(folder: Path) -> Iterator[Desktop]:
    """A bus with a logind, for the duration of the block."""
    configuration, address = folder / "bus.conf", f"unix:path={folder / 'bus'}"
    configuration.write_text(CONFIGURATION.format(socket=folder / "bus"))
    bus = subprocess.Popen(["dbus-daemon", f"--config-file={configuration}", "--nofork"])
    environment = {"DBUS_SYSTEM_BUS_ADDRESS": address, "PATH": "/usr/bin:/bin"}
    mock = None
    try:
        until(lambda: (folder / "bus").exists(), SECONDS)
        mock = subprocess.Popen(
            [SYSTEM_PYTHON, "-m", "dbusmock", "--system", "--template", "logind"], env=environment
        )
        here = Desktop(address)
        until(here.is_there, SECONDS)
        yield here
    finally:
        for each in filter(None, (mock, bus)):
            each.terminate()
            each.wait(SECONDS)

"""Where the checks look on a computer."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from cloudcard_tools.shared import pcscd
from reader_bridge.carriers import handler_socket

OPENSC_PLACES = (
    "/usr/lib/*/opensc-pkcs11.so",
    "/usr/lib/opensc-pkcs11.so",
    "/usr/lib64/*/opensc-pkcs11.so",
    "/usr/lib64/opensc-pkcs11.so",
)


def _pcscd_socket() -> Path:
    return Path(os.environ.get(pcscd.SOCKET_VARIABLE) or pcscd.SOCKET)


@dataclass(frozen=True, slots=True)
class Places:
    """The files and sockets that the checks of the reader look at."""

    pcscd: Path = field(default_factory=_pcscd_socket)
    readers: Path = handler_socket.READERS
    handler: Path = handler_socket.SOCKET
    processes: Path = Path("/proc")
    tcp: Path = Path("/proc/net/tcp")
    tcp6: Path = Path("/proc/net/tcp6")
    opensc: tuple[str, ...] = OPENSC_PLACES
    systemd: Path = Path("/run/systemd/system")
    # What systemd-logind tells of users, and our driver reads
    seats: Path = Path("/run/systemd/users")
    bus: Path = Path("/run/dbus/system_bus_socket")
    policy: Path = Path("/etc/cloudcard/reader.toml")  # of the agent

    def module(self, name: str = "") -> Path | None:
        """OpenSC's PKCS#11 module, or the other one of this name beside it."""
        for place in self.opensc:
            for found in sorted(Path("/").glob(place.removeprefix("/"))):
                named = found.with_name(name) if name else found
                if named.exists():
                    return named
        return None

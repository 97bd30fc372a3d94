"""Keeps pcscd running on systems where systemd starts it on demand and it ends without clients.

Debian runs `pcscd --auto-exit`: it ends a minute after its last client has gone, and the virtual
reader's port closes. A connection to its socket starts it, and an open one keeps it, even if idle.
"""

from __future__ import annotations

import socket
import threading
from pathlib import Path

SOCKETS = (Path("/run/pcscd/pcscd.comm"), Path("/var/run/pcscd/pcscd.comm"))
CONNECT_SECONDS = 1.0


class Hold:
    """An idle connection to pcscd. It does nothing on systems without pcscd's socket."""

    def __init__(self, *paths: Path) -> None:
        self._paths = paths or SOCKETS
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def renew(self) -> None:
        """Connect if there is no connection or pcscd has closed it. Never raises."""
        with self._lock:
            if self._socket is not None and _is_open(self._socket):
                return
            self._drop()
            self._socket = self._connect()

    def release(self) -> None:
        """Close the connection, so that pcscd can end."""
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connect(self) -> socket.socket | None:
        family = getattr(socket, "AF_UNIX", None)  # not on Windows
        if family is None:
            return None
        for path in self._paths:
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.settimeout(CONNECT_SECONDS)
            try:
                sock.connect(str(path))
            except OSError:
                sock.close()
                continue
            sock.setblocking(False)
            return sock
        return None


def _is_open(sock: socket.socket) -> bool:
    """Whether the other end still holds the connection; pcscd sends nothing unless asked."""
    try:
        return bool(sock.recv(1))
    except BlockingIOError:
        return True
    except OSError:
        return False

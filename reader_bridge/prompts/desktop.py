"""Whose screen it is that the environment names: prompts are for this user alone."""

from __future__ import annotations

import os
import re
import socket
import struct
import sys
from collections.abc import Mapping
from pathlib import Path

X11_SOCKETS = Path("/tmp/.X11-unix")  # noqa: S108 (where X servers listen)
X11_NAME = re.compile(r"^(?:unix)?:(\d+)(?:\.\d+)?$")
PATIENCE = 2.0
CREDENTIALS = struct.Struct("3i")  # pid, uid, gid (socket(7), SO_PEERCRED)


def is_ours(environment: Mapping[str, str]) -> bool:
    """Whether there is a screen, and this user's server or root's shows it.

    A display on another computer, as with ssh's forwarding, is not taken: nobody can say whose it
    is.
    """
    if sys.platform != "linux":
        return True  # a process is in one session of the desktop, which is its user's
    return any(_owner(path) in (os.getuid(), 0) for path in _sockets(environment))


def _sockets(environment: Mapping[str, str]) -> list[str]:
    """The sockets of the screens that are named."""
    found = []
    if wayland := environment.get("WAYLAND_DISPLAY"):
        found.append(str(Path(environment.get("XDG_RUNTIME_DIR", "/")) / wayland))
    if name := X11_NAME.match(environment.get("DISPLAY", "")):
        path = str(X11_SOCKETS / f"X{name[1]}")
        found += [path, f"\0{path}"]  # the second one is in the abstract namespace
    return found


def _owner(path: str) -> int | None:
    """The user of the program that listens; None if nobody does."""
    with socket.socket(socket.AF_UNIX) as end:
        end.settimeout(PATIENCE)
        try:
            end.connect(path)
            raw = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
        except OSError:
            return None
    return int(CREDENTIALS.unpack(raw)[1])

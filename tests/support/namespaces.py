"""Runs a worker of the tests (`-n`) in Linux namespaces of its own: a folder for pcscd, a loopback.

So each worker has a pcscd to itself, and the ports of vpcd: no two workers wait for one another.
"""

from __future__ import annotations

import os
import shlex
import socket
import struct
import subprocess
import sys
from pathlib import Path

from cloudcard_tools.shared import pcscd

ALONE = "alone in its namespaces"  # so the lock for pcscd is ours without asking
NETWORK = Path("/proc/self/ns/net")
SIOCSIFFLAGS, IFF_UP = 0x8914, 1  # linux/sockios.h, net/if.h
SCREENS = Path("/tmp/.X11-unix")
SECONDS = 10


def prefix() -> list[str]:
    """What to write before a command so that it runs in new namespaces."""
    # Whoever is not root may have them inside a user namespace, as the same user without rights.
    user = [] if os.geteuid() == 0 else ["--user", "--map-current-user", "--keep-caps"]
    return ["unshare", *user, "--mount", "--net", sys.executable, __file__, _network()]


def interpreter() -> str | None:
    """The worker's interpreter in namespaces, as execnet takes it; None where they are refused."""
    if sys.platform != "linux":
        return None
    try:
        subprocess.run([*prefix(), "true"], check=True, capture_output=True, timeout=SECONDS)
    except (OSError, subprocess.SubprocessError):
        return None
    return shlex.join([*prefix(), sys.executable])


def here() -> bool:
    """Whether this process runs in namespaces of its own."""
    return os.environ.get(pcscd.HELD) == ALONE


def _network() -> str:
    """The namespace in which this process is."""
    return NETWORK.readlink().name


def _enter(outside: str, *command: str) -> None:
    """Furnish the namespaces in which this process is alone by now, and become the command."""
    if _network() == outside:
        raise SystemExit("these are everybody's namespaces: nothing is changed in them")
    import fcntl  # not on Windows, where the tests are imported all the same

    # Not all of /run: pcscd may ask others there, such as polkit, who may use it. A virtual screen
    # looks for a free number in its network alone, and takes another one's place in this folder.
    for folder, mode in ((pcscd.SOCKET.parent, 0o755), (SCREENS, 0o1777)):
        if not folder.exists():
            folder.mkdir()
            folder.chmod(mode)
        options = ("-t", "tmpfs", "-o", f"mode={mode:o}")
        subprocess.run(["mount", *options, "cloudcard-tests", folder], check=True)
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", IFF_UP))
    os.environ[pcscd.HELD] = ALONE
    dropped = ("setpriv", "--ambient-caps=-all", "--inh-caps=-all", "--")
    whole = command if os.geteuid() == 0 else (*dropped, *command)
    os.execvp(whole[0], whole)


if __name__ == "__main__":
    _enter(*sys.argv[1:])

"""A pcscd beside the computer's own, with the readers of a configuration and no others.

Its folder takes the place of pcscd's in a mount namespace, for which one has to be root, or where
everybody can make namespaces. Programs find its socket there by a variable.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cloudcard_tools.shared import pcscd

START_SECONDS = END_SECONDS = 10.0
IN_ITS_PLACE = 'mkdir -p "$2" && mount --bind "$1" "$2" && shift 2 && exec "$@"'


@dataclass(frozen=True, slots=True)
class OwnPcscd:
    """A running pcscd, and the folder where it and our driver have their sockets."""

    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def handler_socket(self) -> Path:
        """Where agents connect."""
        return handler_socket(self.folder)

    @property
    def environment(self) -> dict[str, str]:
        """The variable for programs that use this pcscd."""
        return {pcscd.SOCKET_VARIABLE: str(self.folder / pcscd.SOCKET.name)}


def handler_socket(folder: Path) -> Path:
    """Our driver's socket in the folder of a pcscd."""
    return folder / "reader.sock"


def slot(folder: Path, library: Path, number: int) -> str:
    """A reader of ours in a configuration, as the driver's Makefile writes it."""
    device = f"{handler_socket(folder)}:{number}"
    return reader(f"Cloudcard {number}", device, library, number)


def reader(name: str, device: str, library: Path, channel: int) -> str:
    """A reader in a configuration (reader.conf(5))."""
    return f'FRIENDLYNAME "{name}"\nDEVICENAME {device}\nLIBPATH {library}\nCHANNELID {channel}\n\n'


@contextmanager
def running(folder: Path, configuration: str, log: Path) -> Iterator[OwnPcscd]:
    """Run a pcscd in an empty folder for the time of the block. Raises PcscdFailed."""
    readers = log.with_name("reader.conf.d")
    readers.mkdir(exist_ok=True)
    (readers / "readers").write_text(configuration)
    process = _start(folder, readers, log)
    try:
        _wait_for(folder / pcscd.SOCKET.name, process, log)
        yield OwnPcscd(folder, process)
    finally:
        process.terminate()
        try:
            process.wait(END_SECONDS)
        finally:
            process.kill()
            process.communicate()


def _start(folder: Path, readers: Path, log: Path) -> subprocess.Popen[bytes]:
    path = pcscd.program()
    if path is None:
        raise pcscd.PcscdFailed("pcscd is not installed: apt-get install pcscd")
    user = [] if os.geteuid() == 0 else ["--user", "--map-current-user", "--keep-caps"]
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 (fixed text; the paths are pcscd's own and ours)
            [
                *("/usr/bin/unshare", *user, "--mount", "/bin/sh", "-c", IN_ITS_PLACE, "sh"),
                *(str(folder), str(pcscd.SOCKET.parent), "/bin/sh", "-c", pcscd.TIED_TO_PIPE, "sh"),
                *(path, str(pcscd.SOCKET), str(pcscd.PID_FILE)),
                f"--config {readers} {pcscd.options(path)}",
            ],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
        )


def _wait_for(socket: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not socket.is_socket():
        if process.poll() is not None or time.monotonic() > deadline:
            last = (log.read_text("utf-8", "replace").strip() or "it says nothing").splitlines()[-1]
            raise pcscd.PcscdFailed(f"a pcscd of our own does not start: {last}")
        time.sleep(0.01)

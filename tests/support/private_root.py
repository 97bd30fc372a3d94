"""A root of its own over this computer's: what is installed and written there is gone afterwards.

Only root can have one. The network is this computer's; /run and /tmp are empty.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

READY = "ready"
# What lies in the upper layer is what was written. Not every file system can be one; a tmpfs can.
MOUNTS = """
set -eu
mount --make-rprivate /
mount -t tmpfs private "$1"
cd "$1"
mkdir upper work root
mount -t overlay private -o "lowerdir=/,upperdir=$PWD/upper,workdir=$PWD/work" root
mount --rbind /dev root/dev
mount --rbind /proc root/proc
mount --rbind /sys root/sys
for folder in run tmp; do mount -t tmpfs -o mode=1777 private root/$folder; done
chmod 755 root/run
mkdir -p root/run/lock
echo ready
exec sleep infinity
"""
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class PrivateRoot:
    """The root, as long as the process that has its mounts."""

    place: Path
    pid: int

    @property
    def path(self) -> Path:
        """The root as this process sees it."""
        return Path(f"/proc/{self.pid}/root{self.place}/root")

    def command(self, *words: str | Path, user: str = "root", folder: str = "/") -> list[str]:
        """What runs a command of a user there."""
        entered = ["nsenter", f"--target={self.pid}", "--mount", "chroot", f"{self.place}/root"]
        home = "/root" if user == "root" else f"/home/{user}"
        become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        clean = ["env", "-i", f"--chdir={folder}", PATH, f"HOME={home}", "LANG=C.UTF-8"]
        return [*entered, *become, *clean, *map(str, words)]

    def run(self, *words: str | Path, user: str = "root", folder: str = "/") -> str:
        """What a command says, on both outputs. Raises AssertionError with it if it fails."""
        done = subprocess.run(
            self.command(*words, user=user, folder=folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def written(self) -> set[str]:
        """The files that were written or removed there, but for what dpkg and its log know."""
        upper = Path(f"/proc/{self.pid}/root{self.place}/upper")
        names = (path.relative_to(upper).as_posix() for path in upper.rglob("*"))
        return {f"/{name}" for name in names if not name.startswith(KEPT_BY_THE_SYSTEM)}


KEPT_BY_THE_SYSTEM = ("var/lib/dpkg", "var/log", "var/cache", "var/lib/apt", "var/lib/systemd")


@contextmanager
def private_root(place: Path) -> Iterator[PrivateRoot]:
    """A root under an empty folder. Raises AssertionError with the kernel's words if it refuses."""
    shell = ["unshare", "--mount", "sh", "-c", MOUNTS, "sh", str(place)]
    with subprocess.Popen(shell, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as held:
        assert held.stdout is not None
        assert held.stderr is not None
        try:
            if held.stdout.readline().strip() != READY:
                raise AssertionError(f"no root of its own: {held.stderr.read()}")
            yield PrivateRoot(place, held.pid)
        finally:
            held.kill()

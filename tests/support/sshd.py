"""A real sshd on the loopback address, for logins as the user who runs the tests."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from cloudcard_tools.demo.programs import must
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.shared.processes import Nursery

PROGRAM = "/usr/sbin/sshd"
EMPTY = Path("/run/sshd")  # where root's sshd locks up the part of it that strangers talk to
CONFIGURATION = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
AuthenticationMethods publickey
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
PidFile none
"""


@dataclass(frozen=True, slots=True)
class Sshd:
    """A server that admits whom `authorized_keys` names, and how to reach it."""

    folder: Path
    port: int

    def authorize(self, public_key: str) -> None:
        """Admit the holder of this key, and nobody else."""
        (self.folder / "authorized_keys").write_text(public_key + "\n")

    def client(self, *options: str, agent: Path | str = "none") -> list[str]:
        """An ssh that knows this server and nothing of its user's own settings."""
        settings = (
            *("-F", "none", "-o", f"UserKnownHostsFile={self.folder / 'known_hosts'}"),
            *("-o", "IdentityFile=none", "-o", f"IdentityAgent={agent}"),
        )
        return ["ssh", *settings, "-p", str(self.port), *options, "127.0.0.1"]


def start(nursery: Nursery, folder: Path) -> Sshd:
    """Start it with files in `folder`; it admits nobody yet."""
    if os.geteuid() == 0:
        EMPTY.mkdir(mode=0o755, exist_ok=True)
    (port,) = free_ports(1)
    key = folder / "host_key"
    must(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)])
    host_key = key.with_suffix(".pub").read_text()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}")
    configuration = folder / "sshd_config"
    configuration.write_text(CONFIGURATION.format(folder=folder, port=port))
    command = f"exec {PROGRAM} -D -e -f {configuration} 2>&1"  # its log is what it prints
    nursery.start("sshd", "/bin/sh", "-c", command).wait_for("Server listening")
    return Sshd(folder, port)


def user() -> str:
    """Who logs in."""
    return pwd.getpwuid(os.geteuid()).pw_name

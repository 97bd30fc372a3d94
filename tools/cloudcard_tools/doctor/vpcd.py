"""Checks of vpcd: its configuration, and who listens on its ports."""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cloudcard_tools.doctor import configuration
from cloudcard_tools.doctor.checks import Finding, failed, ok, warning
from cloudcard_tools.doctor.driver import INSTALL
from cloudcard_tools.doctor.places import Places
from cloudcard_tools.shared import pcscd
from reader_bridge.carriers.handler_socket import LIBRARY
from reader_bridge.peer import owners

WORD = "vpcd"  # in the name of its library
WAITS = "/dev/null:"  # a device that lets vpcd wait for cards instead of calling one
WAKE_SECONDS = 1.0
LOOPBACK = ("127.", "::1")
ONLY_THIS_COMPUTER = """\
let only this computer reach them:
nft add table inet cloudcard
nft add chain inet cloudcard input '{ type filter hook input priority 0; }'
nft add rule inet cloudcard input iifname != lo tcp dport 35963-35964 drop"""
NEVER = "not installed, and not needed with our driver"


class Socket(NamedTuple):
    """A TCP socket on one of vpcd's ports."""

    port: int
    address: str
    state: str
    user: int


def driver(places: Places) -> Finding:
    """Whether the reader configuration names vpcd, and its library is there."""
    readers = configuration.of_library(places.readers, WORD)
    if not readers:
        if configuration.of_library(places.readers, LIBRARY):
            return ok(NEVER)
        return failed(f"no reader in {places.readers} uses vpcd or our driver", INSTALL)
    missing = [each.library for each in readers if not Path(each.library).exists()]
    if missing:
        return failed(f"{missing[0]} does not exist", "apt-get install --reinstall vsmartcard-vpcd")
    if any(each.device and not each.device.startswith(WAITS) for each in readers):
        return failed("vpcd is configured to connect out", "set DEVICENAME to /dev/null:0x8C7B")
    return ok(readers[0].library)


def ports(places: Places) -> Finding:
    """Who listens on the virtual reader's ports, who can reach them, and whether a card is in."""
    needed = bool(configuration.of_library(places.readers, WORD))
    if needed and pcscd.answers(places.pcscd):
        pcscd.wait_for_ports(WAKE_SECONDS)  # of one that systemd has just started
    found = [*_sockets(places.tcp), *_sockets(places.tcp6)]
    listening = [each for each in found if each.state == pcscd.TCP_LISTEN]
    for each in listening:
        if each.user not in owners() or ":" in each.address:  # vpcd speaks IPv4 only
            port = each.port
            return failed(
                f"a program of {_name(each.user)} listens on vpcd's port {port}, not pcscd",
                f"find it with `sudo ss -ltnp 'sport = :{port}'`, end it, and restart pcscd",
            )
    if not needed and not listening:
        return ok(NEVER)
    missing = [port for port in pcscd.PORTS if all(each.port != port for each in listening)]
    if missing:
        return failed(f"nobody listens on {', '.join(map(str, missing))}", "start or restart pcscd")
    taken = {each.port for each in found if each.state == pcscd.TCP_ESTABLISHED}
    cards = ", ".join(
        f"{port} {'holds a card' if port in taken else 'free'}" for port in pcscd.PORTS
    )
    if any(not each.address.startswith(LOOPBACK) for each in listening):
        return warning(
            f"{cards}; open to the network, which vpcd cannot change", ONLY_THIS_COMPUTER
        )
    return ok(cards)


def _sockets(table: Path) -> Iterator[Socket]:
    """The sockets on vpcd's ports in a table of the kernel (proc(5)); none on other systems."""
    try:
        rows = table.read_text("ascii").splitlines()[1:]
    except OSError:
        return
    for row in rows:
        _, local, _, state, _, _, _, user, *_ = row.split()
        address, port = local.split(":")
        if int(port, 16) in pcscd.PORTS:
            yield Socket(int(port, 16), _address(address), state, int(user))


def _address(text: str) -> str:
    words = re.findall("." * 8, text)  # each in the processor's order
    raw = b"".join(int(word, 16).to_bytes(4, sys.byteorder) for word in words)
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)


def _name(user: int) -> str:
    import pwd  # not on Windows, where this is not checked

    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"

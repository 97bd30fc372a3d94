"""Checks of our own driver in pcscd, and of its socket."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from cloudcard_tools.doctor import configuration
from cloudcard_tools.doctor.checks import Finding, failed, ok, warning
from cloudcard_tools.doctor.places import Places
from cloudcard_tools.shared import pcscd
from reader_bridge import peer, records
from reader_bridge.carriers.carrier import NotInserted, SlotState
from reader_bridge.carriers.handler_socket import LIBRARY, HandlerSocket

WAKE_SECONDS = 1.0
# HELLO needs an ATR. No handler has this slot, so no application ever sees a card of ours.
ATR, NO_SUCH_SLOT = bytes.fromhex("3B80800101"), records.ANY_SLOT - 1
OTHERS_WRITE = 0o022
INSTALL = (
    "apt-get install pcscd opensc, and our driver: sudo make -C drivers/linux/ifd install "
    "(or vpcd: apt-get install vsmartcard-vpcd)"
)
AGAIN = "sudo make -C drivers/linux/ifd install, then sudo systemctl try-restart pcscd"
RESTART = "restart pcscd: sudo systemctl restart pcscd"

NOT_AS_IT_SHOULD: Mapping[SlotState, tuple[str, str]] = {
    SlotState.STRANGER: (
        "the program at {path} is not pcscd: it is neither root's nor yours",
        "find it with `ss -lxp src {path}`, end it, and restart pcscd",
    ),
    SlotState.FORBIDDEN: (
        "the driver takes no cards from this user",
        "use a session at this computer's screen, or become a member: "
        "sudo usermod --append --groups cloudcard USER, then log in again",
    ),
    SlotState.OTHER_VERSION: (
        "the driver speaks another version of the protocol",
        "install driver and program of one release, then restart pcscd",
    ),
    SlotState.HANGS_UP: (
        "the program at {path} does not speak the driver's protocol, or does not answer",
        f"end what listens there, or {RESTART}",
    ),
    SlotState.PCSCD_NOT_RUNNING: ("nobody listens at {path}", RESTART),
}


def installed(places: Places) -> Finding:
    """Whether pcscd is configured to load our driver, and the driver is there."""
    own = configuration.of_library(places.readers, LIBRARY)
    if not own:
        if configuration.of_library(places.readers, "vpcd"):
            return ok("not installed; cards go through vpcd")
        return failed(f"no reader in {places.readers} is for cloudcard's cards", INSTALL)
    missing = [each.library for each in own if not Path(each.library).exists()]
    if missing:
        return failed(f"{missing[0]} does not exist", AGAIN)
    return ok(f"{len(own)} slots, {own[0].library}")


def answering(places: Places) -> Finding:
    """Whether our driver answers at its socket, by its protocol, and takes this user's cards."""
    path = places.handler
    if not path.exists():
        if not configuration.of_library(places.readers, LIBRARY):
            return ok("not needed without our driver")
        _wake(places)
    folder = _folder(path)
    if folder is not None:
        return folder
    state = _greet(path)
    if state in NOT_AS_IT_SHOULD:
        cause, fix = NOT_AS_IT_SHOULD[state]
        return failed(cause.format(path=path), fix.format(path=path))
    listener = _listener(path)
    if listener != "pcscd":
        return warning(f"{listener or 'an unknown program'} listens at {path}, not pcscd", RESTART)
    return ok(f"answers at {path}, and takes this user's cards")


def _wake(places: Places) -> None:
    """Let systemd start pcscd, and wait a little for the driver."""
    if not pcscd.answers(places.pcscd):
        return
    deadline = time.monotonic() + WAKE_SECONDS
    while not places.handler.exists() and time.monotonic() < deadline:
        time.sleep(0.02)


def _folder(path: Path) -> Finding | None:
    """What is wrong with the socket's folder: whoever writes there can put a socket of their own in
    its place.
    """
    with suppress(OSError):
        found = path.parent.stat()
        if found.st_mode & OTHERS_WRITE:
            fix = f"sudo chown root {path.parent}; sudo chmod 755 {path.parent}"
            return failed(f"other users can write in {path.parent}", fix)
    return None


def _greet(path: Path) -> SlotState:
    """What the driver says to a card for a slot that it does not have."""
    carrier = HandlerSocket(path, NO_SUCH_SLOT)
    with carrier.endpoint() as sock:
        try:
            carrier.insert(sock, ATR, lambda _state: None, threading.Event())
        except NotInserted as refused:
            return refused.state
        return SlotState.HANGS_UP  # it has taken a card for which it has no slot


def _listener(path: Path) -> str:
    """The name of the program that listens at the socket; empty if that cannot be found out."""
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.settimeout(WAKE_SECONDS)
        sock.connect(str(path))
        process, _user = peer.listener(sock)
        return Path(f"/proc/{process}/comm").read_text().strip()
    return ""

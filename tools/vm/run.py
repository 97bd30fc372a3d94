"""Boots a guest with stock libccid, and puts a card into its reader: `run.py FOLDER qemu|usbip`.

The guest lists, signs, signs once more while the card waits for 45 s as for a person, and sees the
card leave. By USB/IP it also sends the longest command to the card, which gives the longest
response; QEMU's own reader takes short ones only. QEMU emulates the processor, as the machines of
our tests have no /dev/kvm.
"""

from __future__ import annotations

import base64
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from card_os.card import Card
from card_os.keys import Exchange, KeyRequest, KeyResult, UseKey
from card_os.piv import new_card
from card_os.piv.names import Algorithm
from card_os.status import SW
from reader_bridge.carriers.carrier import Carrier, SlotState
from reader_bridge.carriers.qemu_socket import QemuSocket
from reader_bridge.carriers.usbip_server import UsbipServer
from reader_bridge.local import making
from reader_bridge.local.keys import LocalKeys
from reader_bridge.local.profiles import PROFILES
from reader_bridge.slot import Slot
from reader_bridge.tasks import Cancellation

WAIT_SECONDS = 45.0
LONGEST = bytes.fromhex("00DB3FFF00FFFF") + bytes(each % 256 for each in range(65535)) + b"\0\0"
RESPONSE = bytes(each * 7 % 256 for each in range(65536)) + SW.OK.to_bytes(2)
LIMIT_SECONDS = 600.0  # tells a guest that hangs from one that is slow
DATA = b"to be signed\n"  # as guest-init has it
MARK = "vm: "
WIDTH = 120  # of what is shown of a line
READER = ("-device", "qemu-xhci")
MACHINE = (
    *("qemu-system-x86_64", "-accel", "tcg", "-machine", "pc", "-cpu", "max", "-m", "512"),
    *("-display", "none", "-no-reboot", "-nodefaults", "-serial", "stdio", *READER),
)


class Deciding:
    """A card's keys, which take their time once they have been told to."""

    def __init__(self, keys: LocalKeys) -> None:
        self._keys = keys
        self.wait = threading.Event()

    def perform(self, request: KeyRequest, cancellation: Cancellation) -> KeyResult:
        """As the keys do, later."""
        if isinstance(request, UseKey) and self.wait.is_set():
            cancellation.wait(WAIT_SECONDS)
        return self._keys.perform(request)

    def reset(self) -> None:
        """Keeps nothing that ends with the card's session."""


class Wordy(Card):
    """A card with the longest response to the longest command."""

    def exchange(self, apdu: bytes) -> Exchange:
        """As every card, but for that command."""
        return _respond(RESPONSE) if apdu == LONGEST else super().exchange(apdu)


def _respond(response: bytes) -> Exchange:
    return response
    yield


def main(folder: Path, via: str) -> None:
    """Run the scenario; print what the guest says, and what came of it. Raises SystemExit."""
    image = making.new_card(PROFILES["plain"], Algorithm.ECC_P256, os.urandom, datetime.now(UTC))
    local = LocalKeys(image, os.urandom)
    keys = Deciding(local)
    states: queue.Queue[SlotState] = queue.Queue()
    with tempfile.TemporaryDirectory() as work:
        carrier, devices = WAYS[via](Path(work))
        card = new_card(local.image, os.urandom)
        slot = Slot(carrier, Wordy(card.applications, card.atr), keys, states.put)
        said: list[str] = []
        with _machine(folder, via, devices) as lines:
            slot.start()
            for line in lines:
                print(line[:WIDTH], flush=True)
                said.append(line.removeprefix(MARK).partition(" ")[2])  # without the guest's clock
                if said[-1] == "signing waiting":
                    keys.wait.set()
                elif said[-1] == "removal":
                    slot.stop()
        slot.stop()
    _check(said)
    if via == "usbip":
        _check_longest(_said(said, "longest "))


def _check_longest(said: str) -> None:
    """Look whether the longest response came as it was sent. Raises SystemExit if not."""
    fnv = 0xCBF29CE484222325
    for byte in RESPONSE:
        fnv = (fnv ^ byte) * 0x100000001B3 % 2**64
    if said != f"{len(RESPONSE)} {fnv:016x}":
        raise SystemExit(f"the longest command led to: {said}")
    print("the longest command and response came as they were sent")


def _check(said: Sequence[str]) -> None:
    """Look whether what was signed is right, and the card has left. Raises if not."""
    certificate = x509.load_der_x509_certificate(base64.b64decode(_said(said, "certificate ")))
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise SystemExit("the guest has read another certificate")
    for which in ("at-once", "waiting"):
        signature = base64.b64decode(_said(said, f"signed {which} "))
        key.verify(signature, DATA, ec.ECDSA(hashes.SHA256()))
    if " No " not in _said(said, "empty "):
        raise SystemExit("the guest still has the card")
    print("the guest listed the card, signed twice, and saw it leave")


def _said(said: Sequence[str], start: str) -> str:
    """The rest of the line that starts so. Raises SystemExit if the guest has not said it."""
    for line in said:
        if line.startswith(start):
            return line.removeprefix(start)
    raise SystemExit(f"the guest did not come to say: {start}")


@contextmanager
def _machine(folder: Path, via: str, devices: tuple[str, ...]) -> Iterator[Iterator[str]]:
    """A guest, and the lines that it says of the scenario."""
    process = subprocess.Popen(
        [
            *MACHINE,
            *("-kernel", folder / "vmlinuz", "-initrd", folder / "initrd.gz"),
            *("-append", f"console=ttyS0 quiet panic=-1 via={via}"),
            *devices,
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    timer = threading.Timer(LIMIT_SECONDS, process.kill)
    timer.start()
    try:
        yield (line.rstrip() for line in process.stdout or () if line.startswith(MARK))
    finally:
        timer.cancel()
        process.kill()
        process.wait()


def _qemu(work: Path) -> tuple[Carrier, tuple[str, ...]]:
    socket = work / "ccid.sock"
    return QemuSocket(str(socket)), (
        *("-device", "usb-ccid,id=ccid"),
        *("-chardev", f"socket,id=card,path={socket},server=on,wait=off"),
        *("-device", "ccid-card-passthru,chardev=card"),
    )


def _usbip(_work: Path) -> tuple[Carrier, tuple[str, ...]]:
    # The guest reaches this computer's loopback at 10.0.2.2.
    return UsbipServer().slot(0), (
        *("-netdev", "user,id=net"),
        *("-device", "e1000,netdev=net,romfile="),
    )


WAYS = {"qemu": _qemu, "usbip": _usbip}

if __name__ == "__main__":
    began = time.monotonic()
    main(Path(sys.argv[1]), sys.argv[2])
    print(f"{sys.argv[2]}: {time.monotonic() - began:.0f} s in all")

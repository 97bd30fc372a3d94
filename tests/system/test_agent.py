"""The agent with our own driver, a keystore, and a phone that approves: kill -9 of each part while
an application works.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cloudcard.approval.v1 import approval_pb2
from cloudcard.registry.v1 import organisations_pb2
from cloudcard_tools.authenticator.phone import Phone
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.processes import Child, Nursery, ProcessFailed
from support.ifd_handler import build
from support.keystore_process import PASSCODE, KeystoreProcess
from support.own_pcscd import OwnPcscd, running
from support.polling import until
from support.vpcd_end import OK, SIGN

# Until a new application signs: five seconds are the goal, where nothing else runs.
MOST_SECONDS = float(os.environ.get("CLOUDCARD_BACK_WITHIN", "60"))
DISCOVERY = bytes.fromhex("00CB3FFF035C017E00")
SELECT_PIV = bytes.fromhex("00A4040009A00000030800001000")
VERIFY = bytes.fromhex("0020008008") + PASSCODE.encode().ljust(8, b"\xff")


@dataclass
class Desk:
    """A workstation whose holder approves whatever is asked."""

    keystore: KeystoreProcess
    own: identity.Identity
    phone: Phone
    nursery: Nursery
    folder: Path
    pcscd: OwnPcscd
    child: Child | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        nowhere = f"unix:path={self.folder / 'no-bus'}"
        self.child = self.nursery.start_python(
            "agent",
            *("-m", "cloudcard_tools", "reader", "--identity", str(self.own.folder)),
            *("--via", f"handler:{self.pcscd.handler_socket}", "--no-hold-pcscd", "--json"),
            XDG_RUNTIME_DIR=str(self.folder),
            XDG_CONFIG_HOME=str(self.folder),
            DBUS_SYSTEM_BUS_ADDRESS=nowhere,
            DBUS_SESSION_BUS_ADDRESS=nowhere,
        )

    def approve(self) -> None:
        """Approve what is shown, until the end."""
        while not self.ended.is_set():
            try:
                assert self.child is not None
                shown = self.child.wait_for_json(event="approval", timeout=0.5)
            except ProcessFailed:
                self.ended.wait(0.05)
                continue
            with suppress(Exception):  # of a request that has ended meanwhile
                if shown["qr"]:
                    self.phone.approve(self.phone.claim(str(shown["qr"])), "")
                else:
                    ringing = self.phone.find(str(shown["operation"]))
                    self.phone.approve(ringing, str(shown["number"]))

    def signs(self) -> bool:
        """Whether a new application can sign."""
        with suppress(AssertionError), self.pcscd.application() as program:
            program.connect(0)
            return (
                program.transmit(SELECT_PIV).endswith(OK)
                and program.transmit(VERIFY) == OK
                and program.transmit(SIGN).endswith(OK)
            )
        return False


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    library = build(tmp_path)
    with ExitStack() as stack:
        nursery = stack.enter_context(Nursery(tmp_path / "logs"))
        keystore = KeystoreProcess(tmp_path, nursery)
        terms = approval_pb2.SessionTerms(most_uses=1000, seconds=3600)
        policy = organisations_pb2.Policy(
            largest_batch=1,
            session=terms,
            channels=[approval_pb2.CHANNEL_PUSH, approval_pb2.CHANNEL_QR],
        )
        asked = organisations_pb2.SetPolicyRequest(profile="p256", policy=policy)
        keystore.registry.organisations.SetPolicy(asked)
        user, phone = keystore.holder("ada")
        keystore.card(user, phone)
        channel = stack.enter_context(identity.channel(phone))
        pcscd = stack.enter_context(running(tmp_path, library, 1))
        made = Desk(
            keystore, keystore.workstation("pc"), Phone(phone, channel), nursery, tmp_path, pcscd
        )
        made.start()
        thread = threading.Thread(target=made.approve)
        thread.start()
        try:
            until(made.signs, MOST_SECONDS)
            yield made
        finally:
            made.ended.set()
            thread.join(MOST_SECONDS)


def kill_agent(desk: Desk) -> None:
    """systemd starts it again."""
    assert desk.child is not None
    desk.child.kill()
    desk.child = desk.nursery.restart("agent")


def kill_keystore(desk: Desk) -> None:
    desk.keystore.kill_and_restart()


def test_a_new_application_signs_soon_after_a_kill_of_each_part(desk: Desk, tmp_path: Path) -> None:
    took: dict[str, float] = {}
    for kill in (kill_agent, kill_keystore):
        with desk.pcscd.application() as busy:
            busy.connect(0)
            busy.begin("median_us", DISCOVERY.hex(), 1_000_000)
            begun = time.monotonic()
            kill(desk)
            until(desk.signs, MOST_SECONDS)
            took[kill.__name__] = time.monotonic() - begun
    with desk.pcscd.application() as busy:
        busy.connect(0)
        busy.begin("median_us", DISCOVERY.hex(), 1_000_000)
        desk.pcscd.process.kill()
        desk.pcscd.process.wait(MOST_SECONDS)
    begun = time.monotonic()
    with running(tmp_path, build(tmp_path), 1) as desk.pcscd:
        until(desk.signs, MOST_SECONDS)
        took["kill_pcscd"] = time.monotonic() - begun
    print({name: round(seconds, 1) for name, seconds in took.items()})

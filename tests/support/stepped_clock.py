"""Programs whose clock a test steps, for TLS at times to come: a keystore, and its clients.

Each takes from standard input by how many days its clock is ahead. A preloaded library gives it
that time, by which OpenSSL and BoringSSL check certificates too.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path

from cloud_keystore.config import Address, Settings
from cloud_keystore.model.clock import utc_now
from cloud_keystore.run import ends, serving, upkeep
from cloud_keystore.run.opening import open_keystore
from cloud_keystore.run.owning import own
from cloudcard.audit.v1 import audit_pb2, audit_pb2_grpc
from cloudcard.registry.v1 import cards_pb2
from cloudcard.workstation.v1.workstation_pb2_grpc import WorkstationServiceStub
from cloudcard_tools.authenticator.phone import Phone
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.enrolment import spending
from cloudcard_tools.enrolment.living import living
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.processes import Child, Nursery
from support.keystore_process import PASSCODE, Workstation
from support.registry import Registry

NAMES = ("operator", "ada", "pc", "auditor")


def environment(folder: Path) -> dict[str, str]:
    """For a process whose clock can be stepped; the library is compiled into a folder."""
    library = folder / "stepped_clock.so"
    if not library.exists():
        source = Path(__file__).with_suffix(".c")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    return {
        "LD_PRELOAD": str(library),
        "STEPPED_DAYS": "0",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }


def start(nursery: Nursery, folder: Path, home: Path) -> tuple[Child, identity.Identity]:
    """A keystore in a folder, whose clock `step` steps, and its operator, enrolled in `home`."""
    listen, enrol_listen = (f"127.0.0.1:{port}" for port in free_ports(2))
    data = folder / "keystore"
    child = nursery.start_python(
        *("keystore", "-m", "support.stepped_clock", "serve", str(data), listen, enrol_listen),
        **environment(folder),
    )
    child.wait_for("Keystore ready", timeout=60)
    token = (data / "operator.token").read_text()
    return child, spending.enrol(token, home / "operator", "operator")


def step(keystore: Child, days: int) -> None:
    """Put the keystore's clock so many days ahead."""
    keystore.send(str(days))
    keystore.wait_for(f"stepped {days}$", timeout=60)


def _steps() -> Iterator[str]:
    """Step this process's clock for each line, and then yield it."""
    for line in sys.stdin:
        os.environ["STEPPED_DAYS"] = line.strip()
        yield line


def _follow(looked: threading.Event) -> None:
    """Tell of each step when the keystore has looked for what ends since; the first look can have
    begun before.
    """
    for line in _steps():
        for _ in range(2):
            looked.clear()
            looked.wait()
        print(f"stepped {line.strip()}", flush=True)


def serve(folder: str, listen: str, enrol_listen: str) -> None:
    """A keystore that follows each step of the clock, and looks all the time for what ends."""
    settings = Settings(
        Path(folder), listen=Address.parse(listen), enrol_listen=Address.parse(enrol_listen)
    )
    looked, look = threading.Event(), ends.Ends.look

    def looking(seen: ends.Ends) -> None:
        look(seen)
        looked.set()

    ends.LOOK_SECONDS, upkeep.UPKEEP_SECONDS = 0.0, 0.1
    ends.Ends.look = looking  # type: ignore[method-assign]
    threading.Thread(target=_follow, args=(looked,), daemon=True).start()
    with closing(own(settings)) as hold, open_keystore(settings, hold, utc_now) as parts:
        asyncio.run(serving.serve(parts, lambda: print("Keystore ready", flush=True)))


def call(folder: str, user_id: str) -> None:
    """For each step, everybody calls the keystore, and a new card signs."""
    everybody = {name: identity.load(Path(folder, name)) for name in NAMES}
    for _ in _steps():
        print(json.dumps(_call(everybody, user_id)), flush=True)


def _call(everybody: Mapping[str, identity.Identity], user_id: str) -> dict[str, str]:
    with ExitStack() as stack:
        at = {name: stack.enter_context(living(own)) for name, own in everybody.items()}
        registry, phone = Registry(at["operator"]), Phone(everybody["ada"], at["ada"])
        asked = cards_pb2.IssueCardRequest(
            request_id=os.urandom(16), user_id=user_id, profile="p256"
        )
        serial = registry.cards.IssueCard(asked).card.serial
        phone.set_passcode(serial, PASSCODE)
        pc = Workstation(WorkstationServiceStub(at["pc"]), serial)
        operation = pc.create(os.urandom(16))
        phone.approve(phone.find(operation.id), operation.number)
        signature = pc.perform(operation.id)
        audit_pb2_grpc.AuditServiceStub(at["auditor"]).GetJournal(
            audit_pb2.GetJournalRequest(), timeout=60
        )
        return {
            "now": datetime.now(UTC).date().isoformat(),
            "signature": signature.hex(),
            **{name: str(own.pair()[1].serial_number) for name, own in everybody.items()},
        }


if __name__ == "__main__":
    {"serve": serve, "call": call}[sys.argv[1]](*sys.argv[2:])

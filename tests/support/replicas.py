"""Replicas of the keystore as real processes on one PostgreSQL, with clients of either."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg

from card_os.keys import KeyResult
from cloud_keystore.model.journal import Entry, Kind, decode
from cloud_keystore.storage.bundles.contents import unpack
from cloudcard.registry.v1 import cards_pb2, identities_pb2, people_pb2
from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard.workstation.v1 import workstation_pb2_grpc
from cloudcard_tools.authenticator.phone import Phone
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.enrolment import spending
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.processes import Child, Nursery
from reader_bridge.remote.operation import RemoteOperation
from reader_bridge.remote.watches import Watches
from reader_bridge.tasks import Cancellation
from support.keystore_process import PASSCODE, Workstation
from support.registry import Registry
from support.screen import Screen

DIGEST = b"\x11" * 32
NAMES = ("first", "second")


@dataclass
class Replicas:
    """Two replicas. Those who enrol know both addresses, and may be bound to one."""

    folder: Path
    nursery: Nursery
    url: str
    addresses: list[str] = field(init=False)

    def __post_init__(self) -> None:
        ports = free_ports(4)
        self.addresses = [f"127.0.0.1:{port}" for port in ports[:2]]
        for name, address, enrolment in zip(NAMES, self.addresses, ports[2:], strict=True):
            data = self.folder / name
            if name != NAMES[0]:
                data.mkdir(mode=0o700)
                shutil.copy(self.folder / NAMES[0] / "sealing.key", data)  # its mode too
            child = self.nursery.start_python(
                name,
                *("-m", "cloudcard_tools", "serve", "--data", str(data), "--database", self.url),
                *("--listen", address, "--enrol-listen", f"127.0.0.1:{enrolment}"),
                *(part for each in self.addresses for part in ("--public-address", each)),
            )
            child.wait_for("Keystore ready", timeout=60)
        token = (self.folder / NAMES[0] / "operator.token").read_text()
        self.operator = spending.enrol(token, self.folder / "operator", "operator")
        self.registry = Registry(identity.channel(self.operator))

    def at(self, enrolled: identity.Identity, replica: int) -> identity.Identity:
        """The same identity, which knows one replica alone."""
        return replace(enrolled, address=self.addresses[replica])

    def kill(self, replica: int) -> None:
        self.nursery[NAMES[replica]].kill()

    def start(self, replica: int) -> Child:
        child = self.nursery.restart(NAMES[replica])
        child.wait_for("Keystore ready", timeout=60)
        return child

    def meet(self) -> Ward:
        """A holder with a phone and a card, at an enrolled workstation."""
        made = self.registry.people.CreateUser(people_pb2.CreateUserRequest(display_name="Ada"))
        phone = spending.enrol(made.device_token.text, self.folder / "ada", "authenticator", "a")
        issued = self.registry.cards.IssueCard(
            cards_pb2.IssueCardRequest(
                request_id=os.urandom(16), user_id=made.user.id, profile="p256"
            )
        )
        with identity.channel(phone) as channel:
            Phone(phone, channel).set_passcode(issued.card.serial, PASSCODE)
        request = identities_pb2.CreateWorkstationRequest(display_name="WARD7-PC3", site="Ward 7")
        token = self.registry.identities.CreateWorkstation(request).token.text
        pc = spending.enrol(token, self.folder / "pc", "workstation")
        return Ward(self, phone, pc, issued.card.serial)

    def journal(self, *kinds: Kind) -> list[Entry]:
        """The journal's entries of these kinds."""
        with psycopg.connect(self.url) as connection:
            bundles = connection.execute("SELECT entries FROM bundle ORDER BY number").fetchall()
            rows = connection.execute("SELECT entry FROM journal ORDER BY id").fetchall()
        lines = [line for (each,) in bundles for line in unpack(0, each).entries]
        lines += (line for (line,) in rows)
        return [entry for line in lines if (entry := decode(line)).kind in kinds]


@dataclass
class Ward:
    """Who asks and who decides."""

    replicas: Replicas
    phone: identity.Identity
    pc: identity.Identity
    serial: str

    def sign(self, decide: Callable[[str, str], None], replica: int | None = None) -> KeyResult:
        """What a reader gets that asks for a signature, while `decide` happens with the number and
        the operation's id; the reader knows all replicas, or this one alone.
        """
        pc = self.pc if replica is None else self.replicas.at(self.pc, replica)
        with identity.channel(pc) as channel:
            stub = workstation_pb2_grpc.WorkstationServiceStub(channel)
            asked = pb.CreateOperationRequest(
                request_id=os.urandom(16),
                card_serial=self.serial,
                key_ref=0x9A,
                algorithm=17,
                key_use=1,
                inputs=[DIGEST],
                passcode_proof=Workstation(stub, self.serial).proof(),
            )
            screen = Screen()
            operation = RemoteOperation(
                stub, Watches(channel), screen, Cancellation(), time.monotonic
            )
            results: list[KeyResult] = []
            signing = threading.Thread(target=lambda: results.append(operation.run(asked)))
            signing.start()
            try:
                prompt = screen.read()
                decide(prompt.number, prompt.operation_id)
            finally:
                signing.join(120)
            return results[0]

    def approve(self, number: str, operation_id: str, replica: int | None = None) -> str:
        """The holder approves, by any replica or by this one; returns the state."""
        phone = self.phone if replica is None else self.replicas.at(self.phone, replica)
        with identity.channel(phone) as channel:
            holder = Phone(phone, channel)
            return holder.approve(holder.find(operation_id), number)

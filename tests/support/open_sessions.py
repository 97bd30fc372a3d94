"""A real keystore process, a card whose policy allows sessions, and who uses them."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from cloudcard.approval.v1 import approval_pb2
from cloudcard.registry.v1 import organisations_pb2
from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard.workstation.v1 import workstation_pb2_grpc
from cloudcard_tools.authenticator.phone import Phone
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.processes import Nursery
from support.keystore_process import KeystoreProcess, Workstation

DIGEST = b"\x11" * 32
TERMS = approval_pb2.SessionTerms(most_uses=10, seconds=600)
MANY = approval_pb2.SessionTerms(most_uses=1000, seconds=600)


@dataclass
class Place:
    """A keystore, a card whose policy allows sessions, and who uses it."""

    keystore: KeystoreProcess
    serial: str
    own: identity.Identity  # the workstation's
    pc: Workstation
    phone: Phone

    def connect(self) -> None:
        """Leave a channel that has met nobody: it would wait before it connects again."""
        self.pc = at(self.own, self.serial)

    def session(self, terms: approval_pb2.SessionTerms = TERMS) -> pb.Session:
        """An open session of 9A."""
        asked = pb.CreateOperationRequest(
            request_id=os.urandom(16),
            card_serial=self.serial,
            key_ref=0x9A,
            algorithm=approval_pb2.ALGORITHM_ECC_P256,
            key_use=approval_pb2.KEY_USE_SIGN,
            passcode_proof=self.pc.proof(),
            session=terms,
        )
        operation = self.pc.stub.CreateOperation(asked, timeout=60).operation
        assert self.phone.approve(self.phone.find(operation.id), operation.number) == "approved"
        return self.open(operation.id)

    def open(self, operation_id: str) -> pb.Session:
        request = pb.PerformOperationRequest(operation_id=operation_id)
        return self.pc.stub.PerformOperation(request, timeout=60).session

    def use(self, session_id: str, request_id: bytes, *inputs: bytes) -> pb.UseSessionResponse:
        request = pb.UseSessionRequest(
            session_id=session_id, request_id=request_id, inputs=inputs or (DIGEST,)
        )
        response: pb.UseSessionResponse = self.pc.stub.UseSession(request, timeout=60)
        return response

    def kept(self) -> int:
        """Results that the database has: a use is answered before its result is kept."""
        file = self.keystore.folder / "keystore" / "keystore.db"
        with closing(sqlite3.connect(file)) as database:
            query = "SELECT count(*) FROM session_use WHERE sealed_result IS NOT NULL"
            return int(database.execute(query).fetchone()[0])

    def wait_until_kept(self, results: int) -> None:
        deadline = time.monotonic() + 60
        while self.kept() < results:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def at(own: identity.Identity, serial: str) -> Workstation:
    """A card at a workstation, over a new connection."""
    channel = identity.channel(own)
    return Workstation(workstation_pb2_grpc.WorkstationServiceStub(channel), serial)


def new_place(folder: Path, nursery: Nursery) -> Place:
    """A keystore in a folder, with a holder, a card and a workstation."""
    keystore = KeystoreProcess(folder, nursery)
    keystore.registry.organisations.SetPolicy(
        organisations_pb2.SetPolicyRequest(
            policy=organisations_pb2.Policy(largest_batch=250, session=MANY)
        )
    )
    user_id, phone = keystore.holder("Ada")
    serial = keystore.card(user_id, phone)
    own = keystore.workstation("PC")
    phones = Phone(phone, identity.channel(phone))
    return Place(keystore, serial, own, at(own, serial), phones)
